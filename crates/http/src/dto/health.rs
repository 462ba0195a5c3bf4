//! Detailed health on the wire.

use plimsoll_app::health::{DetailedHealth, ModelHealth, RequiredFile};
use serde::Serialize;
use utoipa::ToSchema;

use super::mode::ModeDto;
use crate::routes::health::HealthView;

/// How the server is, for administrators.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DetailedHealth)]
pub(crate) struct DetailedHealthDto {
    /// What everybody is told; `degraded` at best if a file is missing.
    #[serde(flatten)]
    health: HealthView,
    /// The mode with its reason.
    mode_details: ModeDto,
    /// Space for files.
    disk: DiskDto,
    /// Models that answer, the newest first.
    models: Vec<ModelHealthDto>,
}

/// Space for files.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disk)]
pub(crate) struct DiskDto {
    /// Bytes that can still be written, if that can be found out.
    free_bytes: Option<u64>,
    /// Below so many bytes nothing is uploaded.
    min_free_bytes: u64,
    /// Whether uploads have room.
    is_enough: bool,
}

/// One model that answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelHealth)]
pub(crate) struct ModelHealthDto {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Whose it is.
    owner_id: String,
    /// Number of the version that answers for it.
    current: Option<i64>,
    /// Number of the version that was promoted.
    production: Option<i64>,
    /// Numbers of its versions in memory.
    loaded: Vec<i64>,
    /// The files that its current and its production version need.
    required_files: Vec<RequiredFileDto>,
}

/// A file without which a version does not answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequiredFile)]
pub(crate) struct RequiredFileDto {
    /// The version that needs it.
    version: i64,
    /// Its SHA-256.
    sha256: String,
    /// Whether it is there.
    is_present: bool,
}

impl From<DetailedHealth> for DetailedHealthDto {
    fn from(detailed: DetailedHealth) -> Self {
        let floor = detailed.min_free_bytes;
        Self {
            health: detailed.health.into(),
            mode_details: detailed.mode.into(),
            disk: DiskDto {
                free_bytes: detailed.free_bytes,
                min_free_bytes: floor,
                is_enough: detailed.free_bytes.is_some_and(|free| free >= floor),
            },
            models: detailed.models.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ModelHealth> for ModelHealthDto {
    fn from(model: ModelHealth) -> Self {
        let file = |file: RequiredFile| RequiredFileDto {
            version: file.version,
            sha256: file.sha256.to_string(),
            is_present: file.is_present,
        };
        Self {
            id: model.id.to_string(),
            name: model.name,
            owner_id: model.owner.to_string(),
            current: model.current,
            production: model.production,
            loaded: model.loaded,
            required_files: model.files.into_iter().map(file).collect(),
        }
    }
}
