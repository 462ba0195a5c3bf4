//! The file of a version, as it was uploaded.

use plimsoll_blob::Content;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_store::VersionRow;

use crate::auth::Caller;
use crate::{App, Error};

/// A file that is read chunk by chunk. Damage is only known at its end: the last
/// chunk is then an error.
pub struct Artifact {
    /// Whose file it is.
    pub version: VersionRow,
    /// Its length, in bytes.
    pub size: u64,
    /// Its bytes.
    pub content: Content,
}

impl App {
    /// Opens the file of a version.
    pub async fn artifact(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<Artifact, Error> {
        caller.require(Scope::Read)?;
        let version = self.version(caller, model, version).await?;
        let opened = self.blobs().content(&version.sha256).await;
        let (size, content) = opened.map_err(|error| self.unreadable(version.id, error))?;
        Ok(Artifact {
            version,
            size,
            content,
        })
    }
}

impl std::fmt::Debug for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifact")
            .field("version", &self.version.id)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
