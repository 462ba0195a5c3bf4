//! Which state of a model or a version somebody has seen.

use plimsoll_core::revision::Revision;
use plimsoll_store::{ModelRow, VersionRow};
use serde_json::json;

/// Which state of a model this is: what people set of it, and which versions stand
/// for it. Not when it was touched: deploying one of its versions leaves it as it is.
pub fn model_revision(model: &ModelRow) -> Revision {
    let set = (
        &model.description,
        &model.tags,
        model.status,
        &model.capture,
    );
    let versions = (
        model.last_version,
        model.latest_version,
        model.production_version,
    );
    Revision::of(json!([set, versions]).to_string().as_bytes())
}

/// Which state of a version this is: everything about it that people change.
pub fn version_revision(version: &VersionRow) -> Revision {
    let state = (
        &version.description,
        &version.tags,
        &version.metrics,
        version.status,
        version.stage,
    );
    Revision::of(json!(state).to_string().as_bytes())
}
