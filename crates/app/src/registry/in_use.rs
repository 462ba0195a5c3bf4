//! What still needs a version: the one place that is asked before one stops answering.

use plimsoll_core::model::Stage;
use plimsoll_store::VersionRow;

use crate::Error;

/// Refuses to take a version away from whom it answers. Called in the transaction
/// that would, on the row as it is there.
pub(super) fn refuse_deployed(version: &VersionRow) -> Result<(), Error> {
    if version.stage == Stage::Production {
        return Err(Error::conflict(
            "version-in-use",
            "the version is in production; promote another one first",
        ));
    }
    Ok(())
}
