//! Endpoints: a lasting name for versions that come and go.
//!
//! Every change is a switch (see `switch.rs`): the new versions are checked,
//! loaded and warm before a single request reaches them, requests that run end
//! with the version they began with, and what was served before stays in memory
//! for a while. Each switch is an entry of the endpoint's ledger, failed ones too.

mod deploy;
mod read;
mod rollback;
mod settings;
mod switch;
mod traffic;
mod validate;

pub use deploy::{EndpointChange, NewEndpoint};
pub use read::{EndpointView, ServedVersion};
pub use rollback::{Rollback, RolledBack};
pub use settings::SettingsChange;
pub use switch::{Deployed, revision};
pub use traffic::{NewShare, TrafficChange};
pub use validate::{Check, CheckStatus, Validation};
