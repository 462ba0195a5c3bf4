//! Words of the domain: ids, time, secrets, schemas, columns.
//!
//! Everything here is plain data and pure functions. No IO, no async, no
//! database, no HTTP: the crates above speak to each other in these words.

pub mod audit;
pub mod column;
pub mod decode;
pub mod digest;
pub mod endpoint;
pub mod entropy;
pub mod example;
pub mod field;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod id;
pub mod idempotency;
pub mod job;
pub mod key;
pub mod mode;
pub mod model;
pub mod page;
pub mod record;
pub mod revision;
pub mod schema;
pub mod secret;
pub mod time;
pub mod user;
