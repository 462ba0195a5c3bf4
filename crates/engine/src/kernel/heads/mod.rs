//! The kernels that answer, a family a file.

pub(crate) mod forest;
pub(crate) mod linear;
