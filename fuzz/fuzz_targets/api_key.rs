//! Arbitrary texts and changes as API keys: refused, or of the one form.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_core::fuzzing::api_key(bytes));
