//! The kernels that answer, a family a file.

pub(crate) mod boosting;
pub(crate) mod forest;
pub(crate) mod isolation;
pub(crate) mod linear;
pub(crate) mod link;
