//! Look versions up and check their files.

use plimsoll_blob::BlobError;
use plimsoll_core::digest::Digest;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_store::VersionRow;

use crate::auth::Caller;
use crate::{App, Error};

/// What re-hashing an artifact found.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    /// SHA-256 recorded at upload.
    pub sha256: Digest,
    /// Whether the stored bytes still have it.
    pub matches: bool,
}

impl App {
    /// The versions of a model, newest first.
    pub async fn versions(
        &self,
        caller: &Caller,
        model: &ModelRef,
        tag: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<VersionRow>, Error> {
        caller.require(Scope::Read)?;
        let id = self.live().model(caller, model)?.id;
        Ok(self.db().versions_page(id, None, tag, page).await?)
    }

    /// One version of a model.
    pub async fn version(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<VersionRow, Error> {
        caller.require(Scope::Read)?;
        let id = self.live().model(caller, model)?.version(version)?.id;
        let row = self.db().version_by_id(id).await?;
        row.ok_or(Error::NotFound { what: "version" })
    }

    /// Hashes a version's stored bytes again.
    pub async fn verify_version(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<Verified, Error> {
        caller.require(Scope::Write)?;
        let sha256 = self.live().model(caller, model)?.version(version)?.artifact;
        match self.blobs().verify(&sha256).await {
            Ok(()) => Ok(Verified {
                sha256,
                matches: true,
            }),
            Err(BlobError::Corrupt { .. } | BlobError::Missing { .. }) => {
                self.meters().integrity_failures.inc();
                Ok(Verified {
                    sha256,
                    matches: false,
                })
            }
            Err(other) => Err(other.into()),
        }
    }
}
