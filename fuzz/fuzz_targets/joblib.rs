//! Arbitrary bytes as a file of joblib: decompressed within bounds, then read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_engine::fuzzing::joblib(bytes));
