//! The arithmetic of models: rows in, answers out.
//!
//! A model is steps that change rows and a head that answers ([`model`]).
//! Kernels know nothing of files. They are checked when they are built, so
//! that predicting cannot fail on them; they work on blocks of at most
//! [`rows::BLOCK_ROWS`] rows and append to the answer they are given. To add
//! one: a struct with [`step::Transform`] or [`head::Answering`], and a variant.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts are bounded when a kernel is built; narrowing to f32 is what trees do"
)]

pub(crate) mod blocks;
pub(crate) mod functions;
pub(crate) mod graph;
pub(crate) mod head;
pub(crate) mod heads;
pub(crate) mod member;
pub(crate) mod model;
pub(crate) mod native;
pub(crate) mod rows;
pub(crate) mod sparse;
pub(crate) mod step;
pub(crate) mod steps;
pub(crate) mod trees;

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
