//! The kernels that change rows, a family a file.

pub(crate) mod columns;
pub(crate) mod elementwise;
pub(crate) mod encode;
pub(crate) mod impute;
pub(crate) mod nearest;
pub(crate) mod normal;
pub(crate) mod polynomial;
pub(crate) mod project;
pub(crate) mod quantile;
pub(crate) mod scale;
pub(crate) mod spline;
pub(crate) mod stop_words;
pub(crate) mod terms;
pub(crate) mod words;
