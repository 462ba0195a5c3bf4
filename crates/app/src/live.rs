//! The control plane as requests see it: one immutable snapshot in memory.
//!
//! Keys, users, models and versions are read from the database when the
//! control plane changes and never on the path of a request. A change made by
//! another process (the command line beside a running server, a replica) is
//! noticed by the change counter. What a change says it was about is read alone;
//! everything is read at the start and when a change does not say.

mod endpoint;
mod read;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use plimsoll_core::digest::Digest;
use plimsoll_core::id::{EndpointId, KeyId, ModelId, UserId, VersionId};
use plimsoll_core::key::{KeyHandle, KeyHash, Scopes};
use plimsoll_core::model::{ModelRef, Stage, Status, VersionRef};
use plimsoll_core::record::CapturePolicy;
use plimsoll_core::schema::{Schema, Task};
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;
use plimsoll_limit::Rules;
use plimsoll_store::{Db, ModeRow, StoreError};

use crate::Error;
use crate::auth::Caller;
use crate::capture::Redactions;
use crate::meters::{Meters, VersionMeters};
use crate::mode;
use crate::serving::Rooms;
use crate::usage::{KeyUsage, Usage, VersionUsage};

pub use endpoint::EndpointEntry;

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
    /// Since when.
    pub status_at: Timestamp,
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
    /// Since when.
    pub status_at: Timestamp,
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

impl VersionEntry {
    /// Since when this version of `model` is deprecated, by itself or with its model.
    pub fn deprecated_at(&self, model: &ModelEntry) -> Option<Timestamp> {
        let own = (self.status == Status::Deprecated).then_some(self.status_at);
        own.into_iter().chain(model.deprecated_at()).min()
    }
}

impl ModelEntry {
    /// Since when the model is deprecated, if it is.
    pub fn deprecated_at(&self) -> Option<Timestamp> {
        (self.status == Status::Deprecated).then_some(self.status_at)
    }

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

/// The mode before anybody changed it.
static INITIAL_MODE: ModeRow = mode::initial();

/// One immutable snapshot of the control plane.
#[derive(Clone, Debug, Default)]
pub struct Live {
    change: i64,
    users: Arc<HashMap<UserId, UserEntry>>,
    keys: Arc<HashMap<KeyHandle, Arc<KeyEntry>>>,
    mode: Option<ModeRow>,
    models: HashMap<ModelId, Arc<ModelEntry>>,
    by_name: HashMap<UserId, Arc<HashMap<String, ModelId>>>,
    by_version: HashMap<VersionId, ModelId>,
    endpoints: HashMap<EndpointId, Arc<EndpointEntry>>,
    endpoints_by_name: HashMap<UserId, Arc<HashMap<String, EndpointId>>>,
}

impl Live {
    /// The mode the platform is in.
    pub fn mode(&self) -> &ModeRow {
        self.mode.as_ref().unwrap_or(&INITIAL_MODE)
    }

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

    /// The model that is meant where none is named: the newest that the caller may see.
    pub fn default_model(&self, caller: &Caller) -> Option<&Arc<ModelEntry>> {
        let names = self.by_name.get(&caller.user)?;
        let models = names.values().filter_map(|id| self.models.get(id));
        models
            .filter(|model| model.status != Status::Archived && caller.reaches(model.id))
            .max_by_key(|model| model.id)
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
        caller.require_model(model.id)?;
        Ok(model)
    }
}

/// What a snapshot's entries share with those of the snapshots before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lasting<'a> {
    pub(crate) usage: &'a Usage,
    pub(crate) meters: &'a Meters,
    pub(crate) rooms: &'a Rooms,
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
    pub(crate) async fn refresh(&self, db: &Db, lasting: Lasting<'_>) -> Result<(), StoreError> {
        let committed = db.change_counter().await?;
        if self.current.load().change >= committed {
            return Ok(());
        }
        let _one_at_a_time = self.rebuilding.lock().await;
        // Somebody may have rebuilt it while this call waited for its turn.
        if self.current.load().change >= committed {
            return Ok(());
        }
        let reader = read::Reader { db, lasting };
        let fresh = reader.after(&self.current.load_full()).await?;
        self.current.store(Arc::new(fresh));
        Ok(())
    }
}
