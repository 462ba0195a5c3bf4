//! The control plane as requests see it: one immutable snapshot in memory.
//!
//! Keys, users, models and versions are read from the database when the
//! control plane changes and never on the path of a request. A change made by
//! another process (the command line beside a running server, a replica) is
//! noticed by the change counter.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use plimsoll_core::digest::Digest;
use plimsoll_core::id::{KeyId, ModelId, UserId, VersionId};
use plimsoll_core::key::{KeyHandle, KeyHash, Scopes};
use plimsoll_core::model::{ModelRef, Stage, Status, VersionRef};
use plimsoll_core::record::CapturePolicy;
use plimsoll_core::schema::{Schema, Task};
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;
use plimsoll_engine::FLAT_VERSION;
use plimsoll_limit::{Rate, Rules};
use plimsoll_store::{Db, KeyRow, LiveUser, LiveVersion, StoreError};

use crate::Error;
use crate::auth::Caller;
use crate::capture::Redactions;
use crate::meters::{Meters, VersionMeters};
use crate::usage::{KeyUsage, Usage, VersionUsage};

/// One person.
#[derive(Clone, Copy, Debug)]
pub struct UserEntry {
    /// What they may do on the installation.
    pub role: Role,
    /// Whether they may do anything at all.
    pub is_active: bool,
    /// Tokens from before the last bump are void.
    pub token_epoch: i64,
}

/// One API key.
#[derive(Debug)]
pub struct KeyEntry {
    /// Its row.
    pub id: KeyId,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of its secret.
    pub hash: KeyHash,
    /// What it allows.
    pub scopes: Scopes,
    /// Models it is limited to; empty means all of its owner's.
    pub models: Vec<ModelId>,
    /// How often it may be used.
    pub rules: Rules,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched on.
    pub is_active: bool,
    /// Its counter.
    pub usage: Arc<KeyUsage>,
}

/// One model with its versions.
#[derive(Debug)]
pub struct ModelEntry {
    /// Its id.
    pub id: ModelId,
    /// Whose it is.
    pub owner: UserId,
    /// Its name, unique per owner.
    pub name: String,
    /// Whether it answers.
    pub status: Status,
    /// What is kept of requests to it.
    pub capture: CapturePolicy,
    /// Its versions by ascending number.
    pub versions: Vec<Arc<VersionEntry>>,
}

/// One version of a model.
#[derive(Debug)]
pub struct VersionEntry {
    /// Its id.
    pub id: VersionId,
    /// Its number, from 1.
    pub number: i64,
    /// Its label.
    pub label: String,
    /// Whether it answers.
    pub status: Status,
    /// Whether it is in production.
    pub stage: Stage,
    /// What it is for.
    pub task: Task,
    /// Outermost class first, e.g. `Pipeline(StandardScaler, LogisticRegression)`.
    pub algorithm: String,
    /// Its artifact.
    pub artifact: Digest,
    /// Length of its artifact, in bytes.
    pub size_bytes: i64,
    /// The content with its sample rows, if there are any.
    pub samples: Option<Digest>,
    /// Its flat form, if there is one that this program reads.
    pub flat: Option<Digest>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its counter in the database.
    pub usage: Arc<VersionUsage>,
    /// Its counters on `/metrics`.
    pub meters: VersionMeters,
    /// Which of its fields are redacted; known once it was loaded.
    redactions: OnceLock<Redactions>,
}

impl VersionEntry {
    /// Which fields are redacted. Found once for each snapshot: `policy` is that of
    /// the model in it, and `schema` that of this version.
    pub(crate) fn redactions(&self, policy: &CapturePolicy, schema: &Schema) -> &Redactions {
        self.redactions
            .get_or_init(|| Redactions::of(policy, schema))
    }
}

impl ModelEntry {
    /// The version in production, if one was promoted and still answers.
    pub fn production(&self) -> Option<&Arc<VersionEntry>> {
        self.versions
            .iter()
            .find(|v| v.stage == Stage::Production && v.status != Status::Archived)
    }

    /// The newest active version that is not a candidate: a refused
    /// challenger never goes live by being new.
    pub fn latest(&self) -> Option<&Arc<VersionEntry>> {
        self.versions
            .iter()
            .rev()
            .find(|v| v.status == Status::Active && v.stage != Stage::Candidate)
    }

    /// The version a caller means.
    pub fn version(&self, wanted: &VersionRef) -> Result<&Arc<VersionEntry>, Error> {
        let found = match wanted {
            VersionRef::Default => self.production().or_else(|| self.latest()),
            VersionRef::Production => self.production(),
            VersionRef::Latest => self.latest(),
            VersionRef::Number(number) => self
                .versions
                .binary_search_by_key(number, |v| v.number)
                .ok()
                .map(|index| &self.versions[index]),
            VersionRef::Id(id) => self.versions.iter().find(|v| v.id == *id),
            VersionRef::Label(label) => self.versions.iter().find(|v| v.label == *label),
        };
        found.ok_or(Error::NotFound { what: "version" })
    }
}

/// One immutable snapshot of the control plane.
#[derive(Debug, Default)]
pub struct Live {
    change: i64,
    users: HashMap<UserId, UserEntry>,
    keys: HashMap<KeyHandle, Arc<KeyEntry>>,
    models: HashMap<ModelId, Arc<ModelEntry>>,
    by_name: HashMap<UserId, HashMap<String, ModelId>>,
    by_version: HashMap<VersionId, ModelId>,
}

impl Live {
    /// The person with this id.
    pub fn user(&self, id: UserId) -> Option<&UserEntry> {
        self.users.get(&id)
    }

    /// The administrator who was created first.
    pub fn first_admin(&self) -> Option<UserId> {
        let admins = self
            .users
            .iter()
            .filter(|(_, user)| user.role == Role::Admin && user.is_active);
        admins.map(|(id, _)| *id).min()
    }

    /// The key with this handle.
    pub fn key(&self, handle: &KeyHandle) -> Option<&Arc<KeyEntry>> {
        self.keys.get(handle)
    }

    /// All models, in no order.
    pub fn models(&self) -> impl Iterator<Item = &Arc<ModelEntry>> {
        self.models.values()
    }

    /// The model with this id, whoever owns it.
    pub fn model_by_id(&self, id: ModelId) -> Option<&Arc<ModelEntry>> {
        self.models.get(&id)
    }

    /// The model a caller means: by name among their own, by id also among
    /// everyone's for administrators. What they may not see does not exist;
    /// what is theirs but closed to their key is forbidden.
    pub fn model(&self, caller: &Caller, wanted: &ModelRef) -> Result<&Arc<ModelEntry>, Error> {
        let id = match wanted {
            ModelRef::Id(id) => Some(id),
            ModelRef::Version(id) => self.by_version.get(id),
            ModelRef::Name(name) => self
                .by_name
                .get(&caller.user)
                .and_then(|names| names.get(name)),
        };
        let model = id
            .and_then(|id| self.models.get(id))
            .filter(|model| model.owner == caller.user || caller.is_admin())
            .ok_or(Error::NotFound { what: "model" })?;
        if caller.reaches(model.id) {
            Ok(model)
        } else {
            Err(Error::Forbidden {
                need: "this model in its list of models",
            })
        }
    }
}

/// Holds the current [`Live`] and rebuilds it. Empty until the first refresh.
#[derive(Debug, Default)]
pub struct LiveView {
    current: ArcSwap<Live>,
    rebuilding: tokio::sync::Mutex<()>,
}

impl LiveView {
    /// The current snapshot.
    pub fn load(&self) -> arc_swap::Guard<Arc<Live>> {
        self.current.load()
    }

    /// Makes sure the snapshot contains every change committed before this call.
    pub async fn refresh(&self, db: &Db, usage: &Usage, meters: &Meters) -> Result<(), StoreError> {
        let committed = db.change_counter().await?;
        if self.current.load().change >= committed {
            return Ok(());
        }
        let _one_at_a_time = self.rebuilding.lock().await;
        // Somebody may have rebuilt it while this call waited for its turn.
        if self.current.load().change >= committed {
            return Ok(());
        }
        let fresh = read(db, usage, meters).await?;
        self.current.store(Arc::new(fresh));
        Ok(())
    }
}

async fn read(db: &Db, usage: &Usage, meters: &Meters) -> Result<Live, StoreError> {
    // The counter is read first: a change that lands while the rows are read
    // leaves the counter behind, and the next refresh reads again.
    let mut live = Live {
        change: db.change_counter().await?,
        ..Live::default()
    };
    for user in db.live_users().await? {
        let LiveUser {
            id,
            role,
            is_active,
            token_epoch,
        } = user;
        live.users.insert(
            id,
            UserEntry {
                role,
                is_active,
                token_epoch,
            },
        );
    }
    for key in db.live_keys().await? {
        live.keys
            .insert(key.handle, Arc::new(key_entry(key, usage)));
    }
    // A model is only ever stored together with its first version, so the
    // versions name all models.
    let mut models: HashMap<ModelId, ModelEntry> = HashMap::new();
    for version in db.live_versions().await? {
        live.by_version.insert(version.id, version.model_id);
        let model = models
            .entry(version.model_id)
            .or_insert_with(|| model_entry(&version));
        model
            .versions
            .push(Arc::new(version_entry(&version, usage, meters)));
    }
    for (id, mut model) in models {
        model.versions.sort_by_key(|v| v.number);
        live.by_name
            .entry(model.owner)
            .or_default()
            .insert(model.name.clone(), id);
        live.models.insert(id, Arc::new(model));
    }
    Ok(live)
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

fn model_entry(version: &LiveVersion) -> ModelEntry {
    ModelEntry {
        id: version.model_id,
        owner: version.owner_id,
        name: version.model_name.clone(),
        status: version.model_status,
        capture: version.capture.clone(),
        versions: Vec::new(),
    }
}

fn version_entry(version: &LiveVersion, usage: &Usage, meters: &Meters) -> VersionEntry {
    VersionEntry {
        id: version.id,
        number: version.number,
        label: version.label.clone(),
        status: version.status,
        stage: version.stage,
        task: version.task,
        algorithm: version.algorithm.clone(),
        artifact: version.sha256,
        size_bytes: version.size_bytes,
        samples: version.samples,
        flat: version
            .flat
            .filter(|_| version.flat_version.as_deref() == Some(FLAT_VERSION)),
        created_at: version.created_at,
        usage: usage.version(version.model_id, version.id),
        meters: meters.version(version.model_id.to_string(), version.number),
        redactions: OnceLock::new(),
    }
}
