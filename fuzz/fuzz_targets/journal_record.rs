//! Arbitrary bytes as a record: refused, or the one form of what they say.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_journal::properties::record(bytes));
