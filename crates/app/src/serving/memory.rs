//! Which models are in memory: kept, loaded ahead, let go of.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::digest::Digest;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_engine::CacheStats;

use super::load::{LoadedModel, locked};
use crate::auth::Caller;
use crate::live::{ModelEntry, VersionEntry};
use crate::{App, Error};

/// A version that is in memory.
#[derive(Debug)]
pub struct InMemory {
    /// Its model.
    pub model: Arc<ModelEntry>,
    /// The version.
    pub version: Arc<VersionEntry>,
    /// Whether it was in memory before.
    pub cached: bool,
    /// How long it took.
    pub took: Duration,
    /// Bytes of memory it keeps.
    pub resident_bytes: u64,
    /// Sample rows it was warmed with; `None` if it was one row made from its schema.
    pub sample_rows: Option<usize>,
}

impl App {
    /// Loads a version ahead of its first caller: checked, warm, kept in memory.
    pub async fn load_version(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<InMemory, Error> {
        let started = self.clock().monotonic();
        let (model, version) = self.held(caller, model, version)?;
        if model.status == Status::Archived || version.status == Status::Archived {
            return Err(Error::conflict(
                "archived",
                "an archived version answers nobody and is not loaded; restore it first",
            ));
        }
        let (loaded, cached) = self.loaded(&version).await?;
        Ok(InMemory {
            model,
            version,
            cached,
            took: self.clock().monotonic().since(started),
            resident_bytes: loaded.predictor.cost().resident_bytes,
            sample_rows: loaded.sample_rows.get().copied(),
        })
    }

    /// Lets go of a version's model. Running requests end; the next one loads it again.
    pub fn unload_version(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<(), Error> {
        let (_, version) = self.held(caller, model, version)?;
        self.let_go(&version.artifact);
        Ok(())
    }

    fn held(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<(Arc<ModelEntry>, Arc<VersionEntry>), Error> {
        caller.require(Scope::Admin)?;
        let model = self.live().model(caller, model)?.clone();
        let version = model.version(version)?.clone();
        Ok((model, version))
    }

    /// Puts a loaded model into the cache. One that does not fit is served
    /// all the same and forgotten afterwards.
    pub(crate) fn keep(&self, artifact: Digest, model: &Arc<LoadedModel>) {
        let weight = model.predictor.cost().resident_bytes;
        let mut cache = locked(&self.serving().cache);
        let evicted_before = cache.stats().evictions;
        if cache.insert(artifact, model.clone(), weight).is_err() {
            tracing::warn!(
                bytes = weight,
                "a model is larger than the whole cache (cache.max_bytes)"
            );
        }
        let stats = cache.stats();
        self.meters()
            .cache_evictions
            .inc_by(stats.evictions - evicted_before);
        self.show(stats);
    }

    /// Takes a model out of the cache.
    pub(super) fn let_go(&self, artifact: &Digest) {
        let mut cache = locked(&self.serving().cache);
        cache.remove(artifact);
        self.show(cache.stats());
    }

    fn show(&self, stats: CacheStats) {
        let meters = self.meters();
        let entries = i64::try_from(stats.entries).unwrap_or(i64::MAX);
        meters.loaded_models.set(entries);
        let bytes = i64::try_from(stats.resident_bytes).unwrap_or(i64::MAX);
        meters.loaded_bytes.set(bytes);
    }
}
