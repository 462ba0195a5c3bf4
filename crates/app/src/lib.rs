//! Use cases and rules: the only place that combines the crates below it.
//!
//! [`App`] is the whole product without the wire. A function lives here when
//! there is a rule, a permission or more than one write; plain reads may go
//! from a handler to the store directly.

mod app;
pub mod audit;
pub mod auth;
mod background;
mod capture;
pub mod endpoints;
mod error;
pub mod health;
pub mod history;
pub mod idempotency;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod live;
pub mod meters;
pub mod mode;
pub mod registry;
pub mod serving;
mod settings;
pub mod tasks;
mod turns;
mod usage;

pub use app::{App, AppParts};
pub use background::Background;
pub use error::{AuthFailure, Error};
pub use settings::{
    AuthSettings, CacheSettings, JobSettings, LimitSettings, PredictSettings, Settings,
};
