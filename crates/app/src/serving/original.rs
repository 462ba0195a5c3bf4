//! The file that was uploaded, held against its hash.
//!
//! A version runs from its flat form, so a damaged original harms no answer. It
//! is refused all the same: it could not be translated again, downloaded or
//! copied, and whoever reads the answers trusts a file that is no longer there.

use plimsoll_blob::BlobError;
use plimsoll_core::digest::Digest;
use plimsoll_core::id::VersionId;

use super::load::locked;
use crate::live::VersionEntry;
use crate::{App, Error};

impl App {
    /// Reads a version's original and refuses the version if it is not what it was.
    pub(crate) async fn check_original(&self, version: &VersionEntry) -> Result<(), Error> {
        let checked = self.blobs().verify(&version.artifact).await;
        checked.map_err(|error| self.unreadable(version.id, error))?;
        locked(&self.serving().suspects).remove(&version.artifact);
        Ok(())
    }

    /// Checks an original while its model answers already. If it is damaged, the
    /// model is let go of, and each load checks first until the file is whole again.
    pub(super) fn check_behind(&self, version: &VersionEntry) {
        let (app, id, artifact) = (self.clone(), version.id, version.artifact);
        self.tasks().detach(async move {
            let Err(error) = app.blobs().verify(&artifact).await else {
                return;
            };
            if let BlobError::Corrupt { .. } | BlobError::Missing { .. } = error {
                locked(&app.serving().suspects).insert(artifact);
                app.let_go(&artifact);
            }
            let error = app.unreadable(id, error);
            tracing::error!(error = ?error, "the file of a version in memory failed its check");
        });
    }

    /// Whether an original was found damaged and not yet whole again.
    pub(super) fn is_suspect(&self, original: &Digest) -> bool {
        locked(&self.serving().suspects).contains(original)
    }

    /// The refusal of a version whose artifact cannot be read whole; damage is counted.
    pub(crate) fn unreadable(&self, version: VersionId, error: BlobError) -> Error {
        if let BlobError::Corrupt { .. } = error {
            self.meters().integrity_failures.inc();
        }
        Error::ModelBroken {
            version,
            source: error.into(),
        }
    }
}
