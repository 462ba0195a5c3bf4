//! Arbitrary bytes as a model file: refused, or a model that answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_engine::fuzzing::open(bytes));
