//! Arbitrary types, shapes and bytes as an array: refused, or decoded whole.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_engine::fuzzing::array(bytes));
