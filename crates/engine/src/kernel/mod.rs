//! The arithmetic of models: rows of numbers in, scores out.
//!
//! Kernels know nothing of files. They are checked when they are built, so
//! that predicting cannot fail on them; they work on blocks of at most
//! [`chain::BLOCK_ROWS`] rows and append to the output they are given.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts are bounded when a kernel is built; narrowing to f32 is what trees do"
)]

pub(crate) mod chain;
pub(crate) mod forest;
pub(crate) mod linear;
pub(crate) mod scale;

/// Index of the largest value; the first of equals, as `numpy.argmax` has it.
pub(crate) fn argmax(values: &[f64]) -> u32 {
    let mut best = 0;
    for (index, value) in values.iter().enumerate().skip(1) {
        if *value > values[best] {
            best = index;
        }
    }
    best as u32
}
