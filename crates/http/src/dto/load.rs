//! Loaded versions on the wire.

use plimsoll_app::serving::InMemory;
use serde::Serialize;
use utoipa::ToSchema;

/// A version that is in memory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LoadedVersion)]
pub(crate) struct LoadedDto {
    /// Name of its model.
    model: String,
    /// Its number.
    version: i64,
    /// Whether it was in memory before.
    cached: bool,
    /// How long it took, in milliseconds.
    load_ms: f64,
    /// Memory it keeps, in bytes.
    resident_bytes: u64,
    /// What was run before it answers: `sample_rows`, or one `example_row` made from its schema.
    warmed_with: &'static str,
    /// How many rows that were.
    warm_rows: usize,
}

impl From<InMemory> for LoadedDto {
    fn from(loaded: InMemory) -> Self {
        Self {
            model: loaded.model.name.clone(),
            version: loaded.version.number,
            cached: loaded.cached,
            load_ms: (loaded.took.as_secs_f64() * 1e6).round() / 1e3,
            resident_bytes: loaded.resident_bytes,
            warmed_with: match loaded.sample_rows {
                Some(_) => "sample_rows",
                None => "example_row",
            },
            warm_rows: loaded.sample_rows.unwrap_or(1),
        }
    }
}
