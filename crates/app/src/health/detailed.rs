//! Health for administrators: what runs, from which files, on how much disk.

use std::collections::HashSet;

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{ModelId, UserId};
use plimsoll_core::model::{Status, VersionRef};
use plimsoll_store::ModeRow;

use super::{Health, HealthStatus};
use crate::auth::Caller;
use crate::live::ModelEntry;
use crate::{App, Error};

/// Everything an administrator is told.
#[derive(Clone, Debug)]
pub struct DetailedHealth {
    /// What everybody is told; degraded at best if a file is missing.
    pub health: Health,
    /// The mode with its reason.
    pub mode: ModeRow,
    /// Bytes that can still be written; `None` if that cannot be found out.
    pub free_bytes: Option<u64>,
    /// Below so many bytes nothing is uploaded.
    pub min_free_bytes: u64,
    /// Models that answer, the newest first.
    pub models: Vec<ModelHealth>,
}

/// One model that answers.
#[derive(Clone, Debug)]
pub struct ModelHealth {
    /// Its id.
    pub id: ModelId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: UserId,
    /// The version that answers for it, if any does.
    pub current: Option<i64>,
    /// The version that was promoted.
    pub production: Option<i64>,
    /// Versions in memory.
    pub loaded: Vec<i64>,
    /// The files that its current and its production version need.
    pub files: Vec<RequiredFile>,
}

/// A file without which a version does not answer.
#[derive(Clone, Copy, Debug)]
pub struct RequiredFile {
    /// The version that needs it.
    pub version: i64,
    /// Its SHA-256 and its name.
    pub sha256: Digest,
    /// Whether it is there.
    pub is_present: bool,
}

impl App {
    /// Looks at every part, and at the files of every model that answers.
    pub async fn detailed_health(&self, caller: &Caller) -> Result<DetailedHealth, Error> {
        caller.require_admin_role()?;
        let live = self.live().clone();
        let mut entries: Vec<_> = live
            .models()
            .filter(|m| m.status != Status::Archived)
            .collect();
        entries.sort_by_key(|model| std::cmp::Reverse(model.id));
        let in_memory = self.artifacts_in_memory();
        let mut models = Vec::with_capacity(entries.len());
        for entry in entries {
            models.push(self.model_health(entry, &in_memory).await?);
        }
        let mut health = self.health().await;
        let complete = models
            .iter()
            .flat_map(|model| &model.files)
            .all(|file| file.is_present);
        if !complete {
            health.status = health.status.max(HealthStatus::Degraded);
        }
        Ok(DetailedHealth {
            health,
            mode: live.mode().clone(),
            free_bytes: self.blobs().free_bytes().ok(),
            min_free_bytes: self.settings().min_free_bytes,
            models,
        })
    }

    async fn model_health(
        &self,
        model: &ModelEntry,
        in_memory: &HashSet<Digest>,
    ) -> Result<ModelHealth, Error> {
        let current = model.version(&VersionRef::Default).ok();
        let production = model.production();
        let mut files: Vec<RequiredFile> = Vec::new();
        for version in current.into_iter().chain(production) {
            if files.iter().any(|file| file.version == version.number) {
                continue;
            }
            files.push(RequiredFile {
                version: version.number,
                sha256: version.artifact,
                is_present: self.blobs().contains(&version.artifact).await?,
            });
        }
        let loaded = model
            .versions
            .iter()
            .filter(|v| in_memory.contains(&v.artifact));
        Ok(ModelHealth {
            id: model.id,
            name: model.name.clone(),
            owner: model.owner,
            current: current.map(|version| version.number),
            production: production.map(|version| version.number),
            loaded: loaded.map(|version| version.number).collect(),
            files,
        })
    }
}
