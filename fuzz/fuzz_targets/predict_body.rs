//! Arbitrary bytes as the body of a prediction: refused, or a batch that fits its schema.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_core::fuzzing::predict_body(bytes));
