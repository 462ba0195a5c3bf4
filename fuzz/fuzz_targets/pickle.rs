//! Arbitrary bytes as a pickle: refused, or a graph that can be walked.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plimsoll_engine::fuzzing::pickle(bytes));
