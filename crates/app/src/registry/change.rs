//! Change what is said about versions, set them aside, remove them. What a version
//! is never changes: its file, its schemas, its label, its config and how it was trained.

use plimsoll_core::audit::Action;
use plimsoll_core::field::FieldError;
use plimsoll_core::id::{ModelId, VersionId};
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_core::revision::IfMatch;
use plimsoll_store::{Subject, Tx, VersionRow};
use serde_json::{Value, json};

use super::in_use::refuse_deployed;
use super::meta::{check_description, check_tags};
use super::revision::version_revision;
use crate::auth::Caller;
use crate::error::Require as _;
use crate::{App, Error};

const ABSENT: Error = Error::NotFound { what: "version" };

/// What changes about a version; `None` keeps.
#[derive(Debug, Default)]
pub struct VersionChange {
    /// A new description, or none.
    pub description: Option<Option<String>>,
    /// New tags.
    pub tags: Option<Vec<String>>,
    /// New figures, in place of all: an evaluation may come after the upload.
    pub metrics: Option<Value>,
    /// Active, deprecated or archived.
    pub status: Option<Status>,
}

impl App {
    /// Changes what is said about a version, or its status. An archived version
    /// answers nobody until it is active again; its file stays.
    pub async fn update_version(
        &self,
        caller: &Caller,
        of: (&ModelRef, &VersionRef),
        change: VersionChange,
        condition: &IfMatch,
    ) -> Result<VersionRow, Error> {
        caller.require(Scope::Write)?;
        check(&change)?;
        let (model, version) = self.meant(caller, of)?;
        let mut tx = self.begin(caller).await?;
        let before = self.locked_version(&mut tx, model, version).await?;
        condition.require(&version_revision(&before))?;
        if change.status == Some(Status::Archived) {
            refuse_deployed(&mut tx, &before).await?;
        }
        let change = plimsoll_store::VersionChange {
            description: change.description.map(Option::unwrap_or_default),
            tags: change.tags,
            status: change.status,
            metrics: change.metrics,
            verification: None,
        };
        let details = facts(&before, change.status);
        let row = tx
            .update_version(version, change, self.clock().now())
            .await?
            .ok_or(ABSENT)?;
        tx.audit(Action::VersionChanged, version, details);
        tx.touch_only(Subject::Model(model)).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        Ok(row)
    }

    /// Removes a version that nobody is answered by, and unless `keep_artifact` says
    /// otherwise its files, as far as no other version has the same ones.
    pub async fn delete_version(
        &self,
        caller: &Caller,
        of: (&ModelRef, &VersionRef),
        keep_artifact: bool,
        condition: &IfMatch,
    ) -> Result<(), Error> {
        caller.require(Scope::Write)?;
        let (model, version) = self.meant(caller, of)?;
        let mut tx = self.begin(caller).await?;
        let row = self.locked_version(&mut tx, model, version).await?;
        condition.require(&version_revision(&row))?;
        refuse_deployed(&mut tx, &row).await?;
        let files = tx.delete_version(version).await?.ok_or(ABSENT)?;
        tx.audit(Action::VersionDeleted, version, facts(&row, None));
        tx.touch_only(Subject::Model(model)).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        if keep_artifact {
            return Ok(());
        }
        self.discard(files).await
    }

    fn meant(
        &self,
        caller: &Caller,
        (model, version): (&ModelRef, &VersionRef),
    ) -> Result<(ModelId, VersionId), Error> {
        let live = self.live();
        let model = live.model(caller, model)?;
        Ok((model.id, model.version(version)?.id))
    }

    /// A version as it is, with its model's row locked until `tx` ends: whatever
    /// promotes or deploys versions of the model waits.
    async fn locked_version(
        &self,
        tx: &mut Tx,
        model: ModelId,
        version: VersionId,
    ) -> Result<VersionRow, Error> {
        tx.touch_model(model, self.clock().now()).await?;
        tx.version_by_id(version).await?.ok_or(ABSENT)
    }
}

/// What the audit log keeps of a change of `version`.
fn facts(version: &VersionRow, status: Option<Status>) -> Value {
    let mut facts = json!({"model": version.model_id, "version": version.number});
    if let Some(status) = status {
        facts["before"] = json!(version.status);
        facts["after"] = json!(status);
    }
    facts
}

fn check(change: &VersionChange) -> Result<(), Error> {
    let mut errors = Vec::new();
    if let Some(Some(text)) = &change.description {
        errors.extend(check_description(text).err());
    }
    if let Some(tags) = &change.tags {
        errors.extend(check_tags(tags).err());
    }
    if change
        .metrics
        .as_ref()
        .is_some_and(|metrics| !metrics.is_object())
    {
        let error = FieldError::new("/metrics", "wrong-type", "expected a JSON object");
        errors.push(error.expected_got("object", "other"));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(errors))
    }
}
