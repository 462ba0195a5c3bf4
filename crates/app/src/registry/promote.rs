//! Make a version the one in production.

use plimsoll_core::audit::Action;
use plimsoll_core::id::PromotionId;
use plimsoll_core::key::Scope;
use plimsoll_core::mode::Work;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_core::revision::IfMatch;
use plimsoll_store::{PromotionRow, Subject, VersionRow};
use serde_json::json;

use super::verification::Verification;
use crate::auth::Caller;
use crate::live::VersionEntry;
use crate::{App, Error};

impl App {
    /// Makes a version the only one in production, after it was loaded from
    /// its verified file, and records who did it and when. `condition` is about the
    /// model.
    pub async fn promote(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
        condition: &IfMatch,
    ) -> Result<VersionRow, Error> {
        caller.require(Scope::Admin)?;
        self.require_mode(Work::Deploy)?;
        let model = self.live().model(caller, model)?.clone();
        let version = model.version(version)?.clone();
        if model.status == Status::Archived || version.status == Status::Archived {
            return Err(archived());
        }
        self.refuse_unverified(&version).await?;
        // A version that cannot be loaded must never become what everybody gets. One that is
        // in memory would hide that its file is damaged until the next start.
        self.check_original(&version).await?;
        self.loaded(&version).await?;
        let now = self.clock().now();
        let mut tx = self.begin(caller).await?;
        self.locked_model(&mut tx, model.id, condition).await?;
        let previous_version_id = tx.promote_version(model.id, version.id, now).await?;
        let promotion = PromotionRow {
            id: PromotionId::new(self.ids()),
            model_id: model.id,
            version_id: version.id,
            previous_version_id,
            action: "promote".to_owned(),
            by_user_id: caller.user,
            at: now,
        };
        tx.insert_promotion(&promotion).await?;
        let row = tx
            .version_by_id(version.id)
            .await?
            .ok_or(Error::NotFound { what: "version" })?;
        let facts =
            json!({"model": model.id, "version": version.number, "previous": previous_version_id});
        tx.audit(Action::VersionPromoted, version.id, facts);
        // Archived while it was checked: what was in production stays there.
        if row.status == Status::Archived {
            return Err(archived());
        }
        tx.touch_only(Subject::Model(model.id)).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        tracing::info!(model = %model.id, version = version.number, by = %caller.user, "version promoted");
        Ok(row)
    }

    /// Refuses a version that answered its sample rows otherwise than expected.
    pub(crate) async fn refuse_unverified(&self, version: &VersionEntry) -> Result<(), Error> {
        let row = self.db().version_by_id(version.id).await?;
        let found = row.and_then(|row| row.verification);
        let found = found
            .map(serde_json::from_value::<Verification>)
            .transpose();
        let found = found.map_err(|error| Error::Internal(error.into()))?;
        match found.and_then(|found| found.refusal()) {
            Some(detail) => Err(Error::conflict("verification-failed", detail)),
            None => Ok(()),
        }
    }
}

fn archived() -> Error {
    Error::conflict(
        "archived",
        "an archived version cannot be promoted; restore it first",
    )
}
