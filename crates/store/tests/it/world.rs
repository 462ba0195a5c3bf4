//! What the tests start from: an open database, ids, a clock, and rows.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::digest::Digest;
use plimsoll_core::entropy::SeededEntropy;
use plimsoll_core::id::{IdSource, KeyId, ModelId, UserId, VersionId};
use plimsoll_core::key::{NewKey, Scope};
use plimsoll_core::model::Stage;
use plimsoll_core::page::PageRequest;
use plimsoll_core::schema::Task;
use plimsoll_core::time::{Clock, ManualClock, Timestamp};
use plimsoll_core::user::Role;
use plimsoll_store::{
    Burst, DatabaseUrl, Db, DbOptions, KeyRow, Lineage, NewModel, NewVersion, UserRow, VersionRow,
};
use plimsoll_testkit::postgres;
use serde_json::json;

pub(crate) const ALL: PageRequest = PageRequest {
    number: 1,
    size: 100,
};

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) ids: IdSource,
    pub(crate) entropy: Arc<SeededEntropy>,
    clock: Arc<ManualClock>,
}

pub(crate) async fn on_sqlite<F: Future<Output = ()>>(body: impl FnOnce(World) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let db = open_sqlite(folder.path()).await;
    db.migrate().await.unwrap();
    body(World::new(db.clone())).await;
    db.close().await;
}

pub(crate) async fn on_postgres<F: Future<Output = ()>>(body: impl FnOnce(World) -> F) {
    let Some(database) = postgres::database().await else {
        return;
    };
    let db = database.open().await;
    body(World::new(db.clone())).await;
    db.close().await;
}

pub(crate) async fn open_sqlite(folder: &std::path::Path) -> Db {
    let path = folder.join("plimsoll.db");
    Db::open(&DbOptions::new(DatabaseUrl::Sqlite { path }))
        .await
        .unwrap()
}

/// Pages of `size` items.
pub(crate) fn page(number: u32, size: u32) -> PageRequest {
    PageRequest { number, size }
}

impl World {
    fn new(db: Db) -> Self {
        let start = Timestamp::from_micros(1_763_711_340_000_001);
        let clock = Arc::new(ManualClock::new(start));
        let entropy = Arc::new(SeededEntropy::new(5));
        Self {
            db,
            ids: IdSource::new(clock.clone(), &*entropy),
            entropy,
            clock,
        }
    }

    /// A new moment, a second after the one before.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.advance(Duration::from_secs(1));
        self.clock.now()
    }

    pub(crate) fn new_user(&self, name: &str) -> UserRow {
        let now = self.now();
        UserRow {
            id: UserId::new(&self.ids),
            email: format!("{name}@example.org"),
            password_hash: Some("$argon2id$…".into()),
            full_name: Some(name.into()),
            role: Role::User,
            is_active: true,
            token_epoch: 0,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        }
    }

    pub(crate) async fn user(&self, name: &str) -> UserRow {
        let user = self.new_user(name);
        let mut tx = self.db.begin().await.unwrap();
        tx.insert_user(&user).await.unwrap();
        tx.commit().await.unwrap();
        user
    }

    pub(crate) fn new_key(&self, owner: UserId, name: &str) -> KeyRow {
        let key = NewKey::generate(&*self.entropy);
        KeyRow {
            id: KeyId::new(&self.ids),
            handle: key.handle,
            hash: key.hash,
            user_id: owner,
            name: name.into(),
            description: "for \"tests\" – ✓".into(),
            scopes: vec![Scope::Read, Scope::Feedback],
            model_ids: vec![ModelId::new(&self.ids)],
            rate_limit: Some(1000),
            burst: Burst {
                requests: Some(10),
                window_s: Some(60),
            },
            is_active: true,
            created_at: self.now(),
            expires_at: Some(self.now()),
            revoked_at: None,
            rotated_from: Some(KeyId::new(&self.ids)),
            last_used_at: None,
            total_requests: 0,
        }
    }

    pub(crate) async fn key(&self, owner: UserId, name: &str) -> KeyRow {
        let key = self.new_key(owner, name);
        let mut tx = self.db.begin().await.unwrap();
        tx.insert_key(&key).await.unwrap();
        tx.commit().await.unwrap();
        key
    }

    pub(crate) fn new_model(&self, owner: UserId, name: &str) -> NewModel {
        NewModel {
            id: ModelId::new(&self.ids),
            owner_id: owner,
            name: name.into(),
            description: String::new(),
            tags: Vec::new(),
            task: Task::Classification,
            created_at: self.now(),
        }
    }

    pub(crate) async fn model(&self, owner: UserId, name: &str) -> ModelId {
        let model = self.new_model(owner, name);
        let mut tx = self.db.begin().await.unwrap();
        assert!(tx.insert_model(&model).await.unwrap());
        tx.commit().await.unwrap();
        model.id
    }

    pub(crate) fn new_version(&self, model: ModelId, owner: UserId) -> NewVersion {
        NewVersion {
            id: VersionId::new(&self.ids),
            model_id: model,
            label: None,
            description: "as trained".into(),
            stage: Stage::None,
            format: "sklearn".into(),
            algorithm: "RandomForestClassifier".into(),
            library: "scikit-learn 1.7.2".into(),
            task: Task::Classification,
            sha256: Digest::of(b"content"),
            size_bytes: 7,
            file_name: "iris.pkl".into(),
            input_schema: json!([{"name": "petal \u{0} length", "type": "float64"}]),
            output_schema: json!([]),
            classes: json!(["setosa", 1, 2.5, true]),
            metrics: json!({"accuracy": 0.973_333_333_333_333_4, "rows": 9_007_199_254_740_993_i64}),
            config: json!({"n_estimators": 10}),
            training_info: json!({}),
            tags: vec!["first".into()],
            verification: None,
            samples: None,
            lineage: Lineage::default(),
            created_by: owner,
            created_at: self.now(),
        }
    }

    pub(crate) async fn version(&self, model: ModelId, owner: UserId) -> VersionRow {
        self.insert(self.new_version(model, owner)).await
    }

    pub(crate) async fn insert(&self, version: NewVersion) -> VersionRow {
        let mut tx = self.db.begin().await.unwrap();
        let row = tx.insert_next_version(version).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        row
    }
}
