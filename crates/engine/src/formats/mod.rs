//! One module per family of model files.

pub(crate) mod sklearn;
