//! One module per family of model files.

pub(crate) mod boosters;
pub(crate) mod known;
pub(crate) mod mlflow;
pub(crate) mod onnx;
pub(crate) mod recipes;
pub(crate) mod sklearn;
pub(crate) mod zip;
