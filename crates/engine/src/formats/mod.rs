//! One module per family of model files.
