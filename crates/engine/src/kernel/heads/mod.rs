//! The kernels that answer, a family a file.

pub(crate) mod adaboost;
pub(crate) mod boosting;
pub(crate) mod calibrated;
pub(crate) mod clusters;
pub(crate) mod constant;
pub(crate) mod dense;
pub(crate) mod first;
pub(crate) mod forest;
pub(crate) mod generative;
pub(crate) mod isolation;
pub(crate) mod isotonic;
pub(crate) mod layers;
pub(crate) mod linear;
pub(crate) mod link;
pub(crate) mod neighbours;
pub(crate) mod outputs;
pub(crate) mod rivals;
pub(crate) mod stack;
pub(crate) mod svm;
pub(crate) mod target;
pub(crate) mod threshold;
pub(crate) mod vote;
pub(crate) mod weights;
