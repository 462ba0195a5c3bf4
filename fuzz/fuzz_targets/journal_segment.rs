//! Arbitrary changes to a small journal: no wrong, doubled or reordered record.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_journal::properties::segment(bytes));
