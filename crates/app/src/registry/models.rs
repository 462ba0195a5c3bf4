//! Look models up, change them, archive and restore them.

use plimsoll_core::audit::Action;
use plimsoll_core::id::ModelId;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::record::CapturePolicy;
use plimsoll_core::revision::IfMatch;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{ModelFilter, ModelRow, Subject, Tx, VersionRow};
use serde_json::{Value, json};

use super::capture::{CaptureChange, input_names};
use super::in_use::refuse_deployed_model;
use super::meta::{check_description, check_tags};
use super::revision::model_revision;
use super::statistics::Statistics;
use crate::auth::Caller;
use crate::error::Require as _;
use crate::usage::add_to_models;
use crate::{App, Error};

/// A model and the version that answers for it.
#[derive(Debug)]
pub struct ModelView {
    /// Its row.
    pub row: ModelRow,
    /// The version a prediction without a version goes to.
    pub serving: Option<VersionRow>,
    /// How it has been doing.
    pub statistics: Statistics,
}

impl ModelView {
    /// Since when the model is deprecated, if it is.
    pub fn deprecated_at(&self) -> Option<Timestamp> {
        (self.row.status == Status::Deprecated).then_some(self.row.status_at)
    }
}

/// What changes about a model; `None` keeps.
#[derive(Debug, Default)]
pub struct ModelChange {
    /// A new description, or none.
    pub description: Option<Option<String>>,
    /// New tags.
    pub tags: Option<Vec<String>>,
    /// Active, deprecated or archived.
    pub status: Option<Status>,
    /// What is kept of requests to it, from the next one on.
    pub capture: Option<CaptureChange>,
}

impl App {
    /// The caller's models, as far as their credential reaches.
    pub async fn models(
        &self,
        caller: &Caller,
        filter: ModelFilter,
        page: PageRequest,
    ) -> Result<Page<ModelRow>, Error> {
        caller.require(Scope::Read)?;
        self.flush_usage().await?;
        let filter = ModelFilter {
            only: caller.models().to_vec(),
            ..filter
        };
        let mut models = self.db().models_page(caller.user, &filter, page).await?;
        add_to_models(self.log(), &mut models.items).await?;
        Ok(models)
    }

    /// One model.
    pub async fn model(&self, caller: &Caller, model: &ModelRef) -> Result<ModelView, Error> {
        caller.require(Scope::Read)?;
        self.flush_usage().await?;
        let id = self.live().model(caller, model)?.id;
        self.view(id).await
    }

    /// Changes description, tags, status or what is captured. Setting an archived model to
    /// active restores it.
    pub async fn update_model(
        &self,
        caller: &Caller,
        model: &ModelRef,
        change: ModelChange,
        condition: &IfMatch,
    ) -> Result<ModelView, Error> {
        caller.require(Scope::Write)?;
        if let Some(tags) = &change.tags {
            check_tags(tags).map_err(|error| Error::Invalid(vec![error]))?;
        }
        if let Some(Some(text)) = &change.description {
            check_description(text).map_err(|error| Error::Invalid(vec![error]))?;
        }
        let id = self.live().model(caller, model)?.id;
        let mut tx = self.begin(caller).await?;
        let before = self.locked_model(&mut tx, id, condition).await?;
        let deed = deed(before.status, &change);
        let capture = match change.capture {
            Some(change) => Some(captured(&mut tx, before, change).await?),
            None => None,
        };
        let archives = change.status == Some(Status::Archived);
        let change = plimsoll_store::ModelChange {
            description: change.description.map(Option::unwrap_or_default),
            tags: change.tags,
            status: change.status,
            capture,
            ..plimsoll_store::ModelChange::default()
        };
        let row = tx.update_model(id, change, self.clock().now()).await?;
        row.ok_or(Error::NotFound { what: "model" })?;
        if archives {
            refuse_deployed_model(&mut tx, id).await?;
        }
        tx.audit(deed.0, id, deed.1);
        tx.touch_only(Subject::Model(id)).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        self.view(id).await
    }

    /// A model as it is, if that is what the caller has seen; its row stays locked
    /// until `tx` ends.
    pub(super) async fn locked_model(
        &self,
        tx: &mut Tx,
        model: ModelId,
        condition: &IfMatch,
    ) -> Result<ModelRow, Error> {
        tx.touch_model(model, self.clock().now()).await?;
        let row = tx.model_by_id(model).await?;
        let row = row.ok_or(Error::NotFound { what: "model" })?;
        condition.require(&model_revision(&row))?;
        Ok(row)
    }

    /// Archives a model: it stops answering and leaves the lists. Its files stay.
    pub async fn delete_model(
        &self,
        caller: &Caller,
        model: &ModelRef,
        condition: &IfMatch,
    ) -> Result<(), Error> {
        let change = ModelChange {
            status: Some(Status::Archived),
            ..ModelChange::default()
        };
        self.update_model(caller, model, change, condition)
            .await
            .map(drop)
    }

    async fn view(&self, id: ModelId) -> Result<ModelView, Error> {
        let row = self.db().model_by_id(id).await?;
        let mut row = row.ok_or(Error::NotFound { what: "model" })?;
        let statistics = self.statistics(id).await?;
        row.prediction_count = statistics.predictions;
        let serving = self.live().model_by_id(id).and_then(|entry| {
            entry
                .version(&VersionRef::Default)
                .ok()
                .map(|version| version.id)
        });
        let serving = match serving {
            Some(version) => self.db().version_by_id(version).await?,
            None => None,
        };
        Ok(ModelView {
            row,
            serving,
            statistics,
        })
    }
}

/// The policy after a change of a model that was `before`.
async fn captured(
    tx: &mut Tx,
    before: ModelRow,
    change: CaptureChange,
) -> Result<CapturePolicy, Error> {
    let names = input_names(&tx.input_schemas(before.id).await?);
    change.apply(before.capture, &names).map_err(Error::Invalid)
}

/// What the audit log says of a change of a model that was `before`.
fn deed(before: Status, change: &ModelChange) -> (Action, Value) {
    let action = match (before, change.status) {
        (Status::Active | Status::Deprecated, Some(Status::Archived)) => Action::ModelDeleted,
        (Status::Archived, Some(Status::Active | Status::Deprecated)) => Action::ModelRestored,
        _ => Action::ModelChanged,
    };
    let fields = [
        ("description", change.description.is_some()),
        ("tags", change.tags.is_some()),
        ("status", change.status.is_some()),
        ("capture", change.capture.is_some()),
    ];
    let fields: Vec<&str> = fields
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| *name)
        .collect();
    let after = change.status.unwrap_or(before);
    let details =
        json!({"fields": fields, "before": {"status": before}, "after": {"status": after}});
    (action, details)
}
