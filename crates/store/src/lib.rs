//! Everything that lives in the metadata database, on SQLite and on PostgreSQL.
//!
//! One SQL text for both. Single reads are functions of [`Db`]; writes, and
//! reads that must see them, are functions of [`Tx`]. One file per family of
//! tables. Rows carry the typed words of `plimsoll-core`; nothing above this
//! crate knows which database it talks to.

mod admins;
mod audit;
mod audited;
mod changes;
mod column;
mod db;
mod deployments;
mod endpoints;
mod error;
mod flat;
mod idempotency;
mod jobs;
mod keys;
mod log;
mod migrate;
mod models;
mod modes;
mod pools;
mod promotions;
mod refresh;
mod serving;
mod settings;
mod url;
mod users;
mod versions;

pub use audit::{AuditCursor, AuditFilter, AuditHead, AuditRow};
pub use audited::AuditedTx;
pub use changes::Subject;
pub use column::Change;
pub use db::{Db, DbOptions, Tx};
pub use deployments::{DEPLOYMENT_STATUSES, DeploymentEntry, DeploymentFilter, DeploymentRow};
pub use endpoints::{EndpointFilter, EndpointRow};
pub use error::{OnUnique, StoreError};
pub use flat::FlatForm;
pub use idempotency::{ClaimTimes, RequestRow, StoredAnswer};
pub use jobs::{
    Claim, JobEvent, JobFile, JobFileRole, JobFilter, JobOutcome, JobProgress, JobRow, NewJob,
};
pub use keys::{Burst, KeyChange, KeyRow, KeyUsage};
pub use log::{
    DayOfPredictions, FailedPrediction, InvalidCursor, JournalCursor, KeyModel, Latencies, LogDb,
    LogOptions, LogTx, MIN_KEPT_ROWS, ModelCounts, Payload, Position, PredictionFilter,
    PredictionPage, PredictionRow, PredictionStatus, StoredPredictions,
};
pub use migrate::{log_migration_names, migration_names, newest_migration, schema_fingerprint};
pub use models::{ModelChange, ModelFilter, ModelRow, ModelSort, NewModel, SortOrder};
pub use modes::ModeRow;
pub use promotions::PromotionRow;
pub use refresh::RefreshRow;
pub use serving::{LiveModel, LiveVersion, VersionCounts};
pub use settings::SettingRow;
pub use url::{DatabaseUrl, InvalidDatabaseUrl};
pub use users::{LiveUser, UserChange, UserRow};
pub use versions::{Lineage, NewVersion, VersionChange, VersionRow};

/// What every function of this crate answers.
pub type Result<T> = std::result::Result<T, StoreError>;
