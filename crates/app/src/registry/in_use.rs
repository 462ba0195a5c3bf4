//! What still needs a model or a version: the one place that is asked before one
//! stops answering.

use plimsoll_core::id::ModelId;
use plimsoll_core::model::Stage;
use plimsoll_store::{Tx, VersionRow};

use crate::Error;

/// Refuses to take a version away from whom it answers. Called in the transaction
/// that would, on the row as it is there.
pub(super) async fn refuse_deployed(tx: &mut Tx, version: &VersionRow) -> Result<(), Error> {
    if version.stage == Stage::Production {
        return Err(Error::conflict(
            "version-in-use",
            "the version is in production; promote another one first",
        ));
    }
    refuse_served(
        &tx.endpoints_serving(version.model_id, Some(version.id))
            .await?,
    )
}

/// The same for a model, whose implicit endpoint goes with it.
pub(super) async fn refuse_deployed_model(tx: &mut Tx, model: ModelId) -> Result<(), Error> {
    refuse_served(&tx.endpoints_serving(model, None).await?)
}

fn refuse_served(endpoints: &[String]) -> Result<(), Error> {
    if endpoints.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "served by {}; stop the endpoint or deploy something else there first",
        endpoints.join(", ")
    );
    Err(Error::conflict("deployed", detail))
}
