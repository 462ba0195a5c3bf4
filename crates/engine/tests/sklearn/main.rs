//! scikit-learn files: what the library answered, what is refused, what is hostile.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "helpers of tests fail by panicking, and exact equality is what is claimed"
)]

mod files;
mod golden;
mod hostile;
mod refused;
