//! Models and their versions: add, look up, change, promote, archive.

mod artifact;
mod capture;
mod change;
mod compare;
mod comparison;
mod contents;
mod example;
mod in_use;
mod meta;
mod models;
mod promote;
mod revision;
mod samples;
mod statistics;
mod upload;
mod verification;
mod versions;

pub use artifact::Artifact;
pub use capture::{CaptureChange, CaptureMode};
pub use change::VersionChange;
pub use compare::{Better, MetricChange, SchemaChange, Verdict, VersionComparison};
pub use meta::UploadMeta;
pub use models::{ModelChange, ModelView};
pub use plimsoll_store::{ModelFilter, ModelSort};
pub use revision::{model_revision, version_revision};
pub use statistics::{Analytics, Statistics, rate};
pub use upload::Added;
pub use verification::{Verification, Worst};
pub use versions::Verified;
