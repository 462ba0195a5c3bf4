//! The kernels that change rows, a family a file.

pub(crate) mod scale;
