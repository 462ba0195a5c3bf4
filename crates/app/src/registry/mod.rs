//! Models and their versions: add, look up, change, promote, archive.

mod capture;
mod change;
mod comparison;
mod contents;
mod in_use;
mod meta;
mod models;
mod promote;
mod samples;
mod upload;
mod verification;
mod versions;

pub use capture::{CaptureChange, CaptureMode};
pub use change::VersionChange;
pub use meta::UploadMeta;
pub use models::{ModelChange, ModelView};
pub use plimsoll_store::{ModelFilter, ModelSort};
pub use upload::Added;
pub use verification::{Verification, Worst};
pub use versions::Verified;
