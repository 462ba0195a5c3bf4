//! One module per family of model files.

pub(crate) mod boosters;
pub(crate) mod containers;
pub(crate) mod known;
pub(crate) mod onnx;
pub(crate) mod sklearn;
mod zip;
