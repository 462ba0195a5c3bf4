//! Look versions up and check their files.

use std::sync::Arc;

use plimsoll_blob::BlobError;
use plimsoll_core::digest::Digest;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_store::{VersionChange, VersionRow};

use super::upload::json;
use super::verification::Verification;
use crate::auth::Caller;
use crate::live::VersionEntry;
use crate::{App, Error};

/// What re-hashing an artifact found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// SHA-256 recorded at upload.
    pub sha256: Digest,
    /// Whether the stored bytes still have it.
    pub matches: bool,
    /// How the version answered its sample rows just now, if anything is expected of them.
    pub verification: Option<Verification>,
}

impl App {
    /// The versions of a model, newest first; all of them, or those with a status or a tag.
    pub async fn versions(
        &self,
        caller: &Caller,
        model: &ModelRef,
        (status, tag): (Option<Status>, Option<&str>),
        page: PageRequest,
    ) -> Result<Page<VersionRow>, Error> {
        caller.require(Scope::Read)?;
        let id = self.live().model(caller, model)?.id;
        Ok(self.db().versions_page(id, status, tag, page).await?)
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

    /// Hashes a version's stored bytes again, and runs its sample rows again.
    pub async fn verify_version(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<Verified, Error> {
        caller.require(Scope::Write)?;
        let version = self.live().model(caller, model)?.version(version)?.clone();
        let sha256 = version.artifact;
        match self.blobs().verify(&sha256).await {
            Ok(()) => Ok(Verified {
                sha256,
                matches: true,
                verification: self.verify_answers(&version).await?,
            }),
            Err(BlobError::Corrupt { .. } | BlobError::Missing { .. }) => {
                self.meters().integrity_failures.inc();
                Ok(Verified {
                    sha256,
                    matches: false,
                    verification: None,
                })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The body of a request for the first sample row of a version, if it has some.
    pub async fn sample_request(&self, version: &VersionRow) -> Result<Option<String>, Error> {
        Ok(match &version.samples {
            Some(name) => Some(self.samples(name).await?.first_request()),
            None => None,
        })
    }

    /// Holds a version to its sample rows and writes down what came of it.
    async fn verify_answers(&self, version: &VersionEntry) -> Result<Option<Verification>, Error> {
        let Some(samples) = &version.samples else {
            return Ok(None);
        };
        let samples = Arc::new(self.samples(samples).await?);
        let (loaded, _) = self.loaded(version).await?;
        let Some(found) = self.hold_to(samples, loaded).await? else {
            return Ok(None);
        };
        let change = VersionChange {
            verification: Some(json(&found)?),
            ..VersionChange::default()
        };
        let mut tx = self.db().begin().await?;
        tx.update_version(version.id, change, self.clock().now())
            .await?;
        tx.commit().await?;
        Ok(Some(found))
    }
}
