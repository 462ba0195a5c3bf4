//! From the database to a snapshot: all of it, or what changed since the last one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use plimsoll_core::endpoint::{EndpointState, Share};
use plimsoll_core::id::{ModelId, UserId};
use plimsoll_engine::FLAT_VERSION;
use plimsoll_limit::{Rate, Rules};
use plimsoll_store::{
    Db, EndpointRow, KeyRow, LiveModel, LiveUser, LiveVersion, StoreError, Subject,
};

use super::{KeyEntry, Lasting, Live, ModelEntry, UserEntry, VersionEntry};
use crate::usage::Usage;

/// More changed models than this are not looked up one by one.
const MANY: usize = 64;

/// What a snapshot is read with.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) db: &'a Db,
    pub(super) lasting: Lasting<'a>,
}

impl Reader<'_> {
    /// The snapshot that follows `before`.
    pub(super) async fn after(&self, before: &Live) -> Result<Live, StoreError> {
        // The counter is read first: a change that lands while the rows are read
        // leaves the counter behind, and the next refresh reads again.
        let change = self.db.change_counter().await?;
        let subjects = match before.change {
            // Nothing was read yet.
            0 => None,
            from => self.db.subjects_changed(from, change).await?,
        };
        let mut live = match subjects.filter(|subjects| subjects.len() <= MANY) {
            Some(subjects) => self.with_changes(before, &subjects).await?,
            None => self.everything().await?,
        };
        live.change = change;
        Ok(live)
    }

    async fn everything(&self) -> Result<Live, StoreError> {
        let mut live = Live {
            mode: self.db.mode().await?,
            ..Live::default()
        };
        self.read_accounts(&mut live).await?;
        let mut versions: HashMap<ModelId, Vec<LiveVersion>> = HashMap::new();
        for version in self.db.live_versions().await? {
            versions.entry(version.model_id).or_default().push(version);
        }
        for model in self.db.live_models().await? {
            let versions = versions.remove(&model.id).unwrap_or_default();
            live.put(self.model_entry(model, versions));
        }
        for (row, shares) in self.db.live_endpoints().await? {
            self.put_endpoint(&mut live, row, shares);
        }
        let rooms = self.lasting.rooms;
        rooms.keep_only(|id| live.endpoints.contains_key(id));
        Ok(live)
    }

    async fn with_changes(
        &self,
        before: &Live,
        subjects: &HashSet<Subject>,
    ) -> Result<Live, StoreError> {
        let mut live = before.clone();
        let (mut models, mut endpoints) = (Vec::new(), Vec::new());
        for subject in subjects {
            match *subject {
                Subject::Accounts => self.read_accounts(&mut live).await?,
                Subject::Mode => live.mode = self.db.mode().await?,
                Subject::Model(id) => {
                    live.remove(id);
                    models.push(id);
                }
                Subject::Endpoint(id) => endpoints.push(id),
            }
        }
        // All are gone before one comes back: two may have exchanged their names.
        for id in models {
            if let Some(model) = self.db.live_model(id).await? {
                let versions = self.db.live_versions_of(id).await?;
                live.put(self.model_entry(model, versions));
            }
            live.attach_endpoints(id);
        }
        for id in endpoints {
            live.remove_endpoint(id);
            let row = self.db.endpoint_by_id(id).await?;
            if let Some(row) = row.filter(|row| row.state == EndpointState::Ready) {
                let shares = self.db.endpoint_shares(id).await?;
                self.put_endpoint(&mut live, row, shares);
            }
        }
        Ok(live)
    }

    fn put_endpoint(&self, live: &mut Live, row: EndpointRow, shares: Vec<Share>) {
        let room = self.lasting.rooms.room(row.id, row.workload_size);
        live.add_endpoint(row, shares, room);
    }

    async fn read_accounts(&self, live: &mut Live) -> Result<(), StoreError> {
        let users = self.db.live_users().await?;
        let keys = self.db.live_keys().await?;
        live.users = Arc::new(users.into_iter().map(user_entry).collect());
        let keys = keys.into_iter();
        let keys = keys.map(|key| (key.handle, Arc::new(key_entry(key, self.lasting.usage))));
        live.keys = Arc::new(keys.collect());
        Ok(())
    }

    /// A model with its versions, which come by ascending number.
    fn model_entry(&self, model: LiveModel, versions: Vec<LiveVersion>) -> ModelEntry {
        let versions = versions.into_iter();
        ModelEntry {
            id: model.id,
            owner: model.owner_id,
            name: model.name,
            status: model.status,
            status_at: model.status_at,
            capture: model.capture,
            versions: versions
                .map(|version| Arc::new(self.version_entry(version)))
                .collect(),
        }
    }

    fn version_entry(&self, version: LiveVersion) -> VersionEntry {
        VersionEntry {
            id: version.id,
            number: version.number,
            label: version.label,
            status: version.status,
            status_at: version.status_at,
            stage: version.stage,
            task: version.task,
            algorithm: version.algorithm,
            artifact: version.sha256,
            size_bytes: version.size_bytes,
            samples: version.samples,
            flat: version
                .flat
                .filter(|_| version.flat_version.as_deref() == Some(FLAT_VERSION)),
            created_at: version.created_at,
            usage: self.lasting.usage.version(version.model_id, version.id),
            meters: self
                .lasting
                .meters
                .version(version.model_id, version.number),
            redactions: OnceLock::new(),
        }
    }
}

impl Live {
    fn put(&mut self, model: ModelEntry) {
        let names = self.by_name.entry(model.owner).or_default();
        // Copied only if another snapshot has them too.
        Arc::make_mut(names).insert(model.name.clone(), model.id);
        let versions = model.versions.iter();
        self.by_version
            .extend(versions.map(|version| (version.id, model.id)));
        self.models.insert(model.id, Arc::new(model));
    }

    fn remove(&mut self, id: ModelId) {
        let Some(model) = self.models.remove(&id) else {
            return;
        };
        if let Some(names) = self.by_name.get_mut(&model.owner) {
            Arc::make_mut(names).remove(&model.name);
        }
        for version in &model.versions {
            self.by_version.remove(&version.id);
        }
    }
}

fn user_entry(user: LiveUser) -> (UserId, UserEntry) {
    let LiveUser {
        id,
        role,
        is_active,
        token_epoch,
    } = user;
    let entry = UserEntry {
        role,
        is_active,
        token_epoch,
    };
    (id, entry)
}

fn key_entry(key: KeyRow, usage: &Usage) -> KeyEntry {
    let counter = usage.key(key.id);
    let rules = rules(&key);
    counter.adopt(rules.burst);
    KeyEntry {
        id: key.id,
        user: key.user_id,
        hash: key.hash,
        scopes: key.scopes.iter().copied().collect(),
        models: key.model_ids,
        rules,
        expires_at: key.expires_at,
        is_active: key.is_active,
        usage: counter,
    }
}

fn rules(key: &KeyRow) -> Rules {
    let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let burst = count(key.burst.requests).zip(count(key.burst.window_s));
    Rules {
        hourly: count(key.rate_limit),
        burst: burst.map(|(requests, window_s)| Rate::new(requests, Duration::from_secs(window_s))),
    }
}
