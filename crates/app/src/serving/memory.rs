//! Which models are in memory: kept, loaded ahead, let go of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plimsoll_core::audit::Action;
use plimsoll_core::digest::Digest;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_core::time::Monotonic;
use plimsoll_engine::{CacheLimits, CacheStats};
use serde_json::json;

use super::load::{LoadedModel, locked};
use crate::auth::Caller;
use crate::live::{ModelEntry, VersionEntry};
use crate::{App, CacheSettings, Error};

/// When a model was last asked for. Written by every request, read when memory is short.
#[derive(Debug, Default)]
pub(super) struct LastUse(AtomicU64);

impl LoadedModel {
    /// Notes that the model was asked for.
    pub(super) fn touch(&self, now: Monotonic) {
        self.used.0.store(now.as_nanos(), Ordering::Relaxed);
    }

    fn last_used(&self) -> Monotonic {
        Monotonic::from_nanos(self.used.0.load(Ordering::Relaxed))
    }
}

/// How firmly a model in memory is held, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// By its model: not pushed out by others while it is used.
    Production,
    /// By an endpoint that scales to zero: the same, and it leaves when it is idle.
    Endpoint,
    /// By an endpoint that does not, or because it was served a moment ago.
    Firm,
}

/// What the cache may hold.
pub(super) const fn limits(settings: &CacheSettings) -> CacheLimits {
    CacheLimits {
        bytes: settings.max_bytes,
        entries: settings.max_models,
    }
}

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
        self.note(caller, Action::VersionLoaded, &model, &version)
            .await?;
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
    pub async fn unload_version(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<(), Error> {
        let (model, version) = self.held(caller, model, version)?;
        self.let_go(&version.artifact);
        self.note(caller, Action::VersionUnloaded, &model, &version)
            .await
    }

    async fn note(
        &self,
        caller: &Caller,
        action: Action,
        model: &ModelEntry,
        version: &VersionEntry,
    ) -> Result<(), Error> {
        let mut tx = self.begin(caller).await?;
        let facts = json!({"model": model.id, "version": version.number});
        tx.audit(action, version.id, facts);
        Ok(tx.commit().await?)
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

    /// Puts a loaded model into the cache. One that does not fit beside those in
    /// production is served all the same and forgotten afterwards.
    pub(crate) fn keep(&self, artifact: Digest, model: &Arc<LoadedModel>) {
        let weight = model.predictor.cost().resident_bytes;
        let now = self.clock().monotonic();
        let held = self.held_in_memory(now);
        let idle = self.settings().cache.idle_unload;
        model.touch(now);
        let stays = |artifact: &Digest, model: &LoadedModel| match held.get(artifact) {
            Some(Hold::Firm) => true,
            Some(Hold::Endpoint | Hold::Production) => now.since(model.last_used()) < idle,
            None => false,
        };
        let mut cache = locked(&self.serving().cache);
        let evicted_before = cache.stats().evictions;
        if let Err(refused) = cache.insert(artifact, model.clone(), weight, stays) {
            tracing::warn!(
                bytes = refused.bytes,
                available = refused.available,
                "a model does not fit into memory beside those in production (cache.max_bytes, \
                 cache.max_models): each request loads it again"
            );
        }
        let stats = cache.stats();
        self.meters()
            .cache_evictions
            .inc_by(stats.evictions - evicted_before);
        self.show_memory(stats);
    }

    /// Lets go of models of endpoints that scale to zero and were idle for
    /// `cache.idle_unload`. The next request loads them again.
    pub fn unload_idle(&self) {
        let now = self.clock().monotonic();
        let held = self.held_in_memory(now);
        let idle = self.settings().cache.idle_unload;
        let leaves = |(artifact, model): &(&Digest, &Arc<LoadedModel>)| {
            held.get(*artifact) == Some(&Hold::Endpoint) && now.since(model.last_used()) >= idle
        };
        let mut cache = locked(&self.serving().cache);
        let leaving: Vec<Digest> = cache.iter().filter(leaves).map(|(key, _)| *key).collect();
        for artifact in &leaving {
            cache.remove(artifact);
        }
        self.show_memory(cache.stats());
        drop(cache);
        for artifact in leaving {
            tracing::info!(%artifact, "a model that nobody asked for left memory");
        }
    }

    /// Keeps what is no longer served in memory for a while, so that going back
    /// to it costs no load.
    pub(crate) fn keep_warm(&self, artifacts: Vec<Digest>, grace: Duration) {
        let end = self.clock().monotonic().plus(grace);
        let mut warm = locked(&self.serving().warm);
        warm.extend(artifacts.into_iter().map(|artifact| (artifact, end)));
    }

    /// The contents that others do not push out of memory, and how firmly each is held.
    fn held_in_memory(&self, now: Monotonic) -> HashMap<Digest, Hold> {
        let live = self.live();
        let mut held = HashMap::new();
        let models = live.models().filter(|m| m.status != Status::Archived);
        for version in models.filter_map(|model| model.production()) {
            held.insert(version.artifact, Hold::Production);
        }
        for endpoint in live.endpoints() {
            let hold = if endpoint.scale_to_zero {
                Hold::Endpoint
            } else {
                Hold::Firm
            };
            for version in endpoint.versions() {
                let before = held.entry(version.artifact).or_insert(hold);
                *before = hold.max(*before);
            }
        }
        let mut warm = locked(&self.serving().warm);
        warm.retain(|_, end| now < *end);
        held.extend(warm.keys().map(|artifact| (*artifact, Hold::Firm)));
        held
    }

    /// The contents that are in memory.
    pub(crate) fn artifacts_in_memory(&self) -> HashSet<Digest> {
        let cache = locked(&self.serving().cache);
        cache.iter().map(|(artifact, _)| *artifact).collect()
    }

    /// Takes a model out of the cache.
    pub(super) fn let_go(&self, artifact: &Digest) {
        let mut cache = locked(&self.serving().cache);
        cache.remove(artifact);
        self.show_memory(cache.stats());
    }

    fn show_memory(&self, stats: CacheStats) {
        let meters = self.meters();
        let entries = i64::try_from(stats.entries).unwrap_or(i64::MAX);
        meters.loaded_models.set(entries);
        let bytes = i64::try_from(stats.resident_bytes).unwrap_or(i64::MAX);
        meters.loaded_bytes.set(bytes);
    }
}
