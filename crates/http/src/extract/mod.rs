//! Our extractors: what axum's would reject in their own words, ours reject as
//! problems, and authentication is a type in the handler's signature.

mod auth;
mod body;
mod condition;
mod json;
mod multipart;
mod path;
mod query;
mod rows;

pub(crate) use auth::credential;
pub(crate) use auth::{AdminUser, Authenticated, Caller, Visitor, needs};
pub(crate) use body::{RawJson, read_body, read_control_body, reuse, too_large};
pub(crate) use condition::{IfMatch, Tagged};
pub(crate) use json::field_error;
pub(crate) use json::{Json, OptionalJson};
pub(crate) use multipart::{Form, Part};
pub(crate) use path::Path;
pub(crate) use query::Query;
pub(crate) use rows::RowsBody;
