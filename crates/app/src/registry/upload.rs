//! An uploaded file becomes a version: staged, recognised, opened, stored.
//!
//! The order is what makes a crash harmless: the artifact is durable before
//! the row that names it is committed, so a version never lacks its file. What
//! a crash leaves behind is a staged file, swept at the next start, or an
//! artifact nobody refers to.

use std::sync::Arc;

use plimsoll_blob::{Stage, Staged};
use plimsoll_core::audit::{Action, Actor};
use plimsoll_core::digest::Digest;
use plimsoll_core::id::{ModelId, UserId, VersionId};
use plimsoll_core::key::Scope;
use plimsoll_core::mode::Work;
use plimsoll_core::model::{ModelName, ModelRef, Stage as VersionStage, Status};
use plimsoll_engine::Description;
use plimsoll_store::{Lineage, ModelRow, NewModel, NewVersion, OnUnique, Subject, Tx, VersionRow};
use serde::Serialize;
use serde_json::Value;

use super::meta::{CheckedMeta, UploadMeta, check_meta, display_name};
use super::samples::Samples;
use super::verification::Verification;
use crate::auth::Caller;
use crate::error::refused_upload;
use crate::serving::{LoadedModel, open};
use crate::{App, Error};

/// A version that was added.
#[derive(Debug)]
pub struct Added {
    /// Its model.
    pub model: ModelRow,
    /// The version.
    pub version: VersionRow,
    /// Number of the version before it.
    pub previous_version: Option<i64>,
}

impl App {
    /// A place to write an upload to, chunk by chunk. There is none below the floor of free
    /// space: what is left is for what cannot be refused, predictions and their log.
    pub async fn stage_upload(&self, caller: &Caller) -> Result<Stage, Error> {
        caller.require(Scope::Write)?;
        if self.blobs().free_bytes()? < self.settings().min_free_bytes {
            return Err(Error::StorageFull);
        }
        self.limits().upload(caller.user, self.clock().now())?;
        self.require_mode(Work::Save)?;
        Ok(self.blobs().stage().await?)
    }

    /// Adds a model, or a version to the caller's model of that name.
    pub async fn add_model(
        &self,
        caller: &Caller,
        meta: UploadMeta,
        stage: Stage,
    ) -> Result<Added, Error> {
        caller.require(Scope::Write)?;
        let meta = check_meta(meta)?;
        let Some(name) = meta.name.clone() else {
            return Err(Error::field(
                "/name",
                "missing-field",
                "the model needs a name",
                "model name",
            ));
        };
        let existing = self.db().model_by_name(caller.user, name.as_str()).await?;
        if let Some(model) = &existing {
            open_for_versions(caller, model)?;
        } else if !caller.models().is_empty() {
            return Err(Error::Forbidden {
                need: "all models: it is limited to some",
            });
        }
        self.add(caller, meta, stage, Target::Named(name)).await
    }

    /// Adds a version to one of the caller's models.
    pub async fn add_version(
        &self,
        caller: &Caller,
        model: &ModelRef,
        meta: UploadMeta,
        stage: Stage,
    ) -> Result<Added, Error> {
        caller.require(Scope::Write)?;
        let meta = check_meta(meta)?;
        let id = self.live().model(caller, model)?.id;
        let row = self
            .db()
            .model_by_id(id)
            .await?
            .ok_or(Error::NotFound { what: "model" })?;
        open_for_versions(caller, &row)?;
        self.add(caller, meta, stage, Target::Existing(id)).await
    }

    async fn add(
        &self,
        caller: &Caller,
        mut meta: CheckedMeta,
        stage: Stage,
        target: Target,
    ) -> Result<Added, Error> {
        let started = self.clock().monotonic();
        let staged = stage.finish().await?;
        if let Some(announced) = meta.announced
            && announced != staged.digest
        {
            return Err(Error::DigestMismatch {
                expected: announced.to_string(),
                got: staged.digest.to_string(),
            });
        }
        let (loaded, example) = self.open_staged(&staged).await?;
        check_type(meta.meta.model_type.as_deref(), &loaded.description)?;
        // From here until the rows are written, nothing names the files of this version.
        let unnamed = self.contents().read().await;
        let (samples, verification) = match meta.samples.take() {
            Some(samples) => self.try_samples(samples, &loaded).await?,
            None => self.try_example(example, &loaded).await,
        };
        let size_bytes = staged.size;
        let artifact = self.blobs().put(staged).await?.digest;
        let accepted = Accepted {
            owner: caller.user,
            by: caller.actor(),
            meta,
            loaded,
            artifact,
            size_bytes,
            samples,
            verification,
        };
        let (model, version) = self.add_rows(&accepted, target).await?;
        drop(unnamed);
        self.keep(artifact, &accepted.loaded);
        self.keep_flat(artifact, &accepted.loaded).await;
        self.refresh_live().await?;
        let took = self.clock().monotonic().since(started);
        self.meters().registered.save.observe(took.as_secs_f64());
        let previous_version = (version.number > 1).then(|| version.number - 1);
        Ok(Added {
            model,
            version,
            previous_version,
        })
    }

    /// Writes the rows of an accepted file.
    async fn add_rows(
        &self,
        accepted: &Accepted,
        target: Target,
    ) -> Result<(ModelRow, VersionRow), Error> {
        let label_taken = || {
            Error::conflict(
                "label-taken",
                "this model has a version with this label already",
            )
        };
        self.require_mode(Work::Save)?;
        let mut tx = self.begin_as(accepted.by.clone()).await?;
        let model = match target {
            Target::Existing(id) => tx.model_by_id(id).await?,
            Target::Named(name) => self.model_named(&mut tx, &name, accepted).await?,
        };
        let model = model.ok_or(Error::NotFound { what: "model" })?;
        let new = self.new_version(model.id, accepted)?;
        let version = tx
            .insert_next_version(new)
            .await
            .on_unique("versions.label", label_taken)?;
        let version = version.ok_or(Error::NotFound { what: "model" })?;
        if version.number == 1 {
            tx.audit(
                Action::ModelCreated,
                model.id,
                serde_json::json!({"name": model.name}),
            );
        }
        let facts = serde_json::json!({"model": model.id, "version": version.number, "sha256": version.sha256});
        tx.audit(Action::VersionAdded, version.id, facts);
        tx.touch_only(Subject::Model(model.id)).await?;
        tx.commit().await?;
        Ok((model, version))
    }

    /// Opens a staged file: what cannot be served is refused before it is stored.
    /// Answers the model, and the sample rows that came with it.
    async fn open_staged(
        &self,
        staged: &Staged,
    ) -> Result<(Arc<LoadedModel>, Option<String>), Error> {
        let bytes = staged.read().await?;
        let app = self.clone();
        let opened = self
            .tasks()
            .blocking(move || {
                let serving = app.serving();
                let opened = open(serving, &bytes);
                opened.map(|model| (Arc::new(model), serving.engine.example(&bytes)))
            })
            .await
            .map_err(|error| Error::Internal(error.into()))?;
        opened.map_err(refused_upload)
    }

    /// Runs the sample rows of an upload and stores them; what came of it.
    async fn try_samples(
        &self,
        samples: Samples,
        loaded: &Arc<LoadedModel>,
    ) -> Result<(Option<Digest>, Option<Verification>), Error> {
        let samples = Arc::new(samples);
        let verification = self.hold_to(samples.clone(), loaded.clone()).await?;
        Ok((Some(self.put_samples(&samples).await?), verification))
    }

    /// The same for rows that came with the model itself, which never stand in the way of an upload.
    async fn try_example(
        &self,
        example: Option<String>,
        loaded: &Arc<LoadedModel>,
    ) -> (Option<Digest>, Option<Verification>) {
        let schema = loaded.predictor.schema();
        let samples = example.and_then(|example| Samples::of_example(example, schema));
        match samples {
            Some(samples) => self.try_samples(samples, loaded).await.unwrap_or_default(),
            None => (None, None),
        }
    }

    /// The owner's model of this name, made now if there is none.
    async fn model_named(
        &self,
        tx: &mut Tx,
        name: &ModelName,
        accepted: &Accepted,
    ) -> Result<Option<ModelRow>, Error> {
        let found = tx.model_by_name(accepted.owner, name.as_str()).await?;
        if found.is_some() {
            return Ok(found);
        }
        let meta = &accepted.meta.meta;
        let new = NewModel {
            id: ModelId::new(self.ids()),
            owner_id: accepted.owner,
            name: name.as_str().to_owned(),
            description: meta.description.clone().unwrap_or_default(),
            tags: meta.tags.clone(),
            task: accepted.loaded.predictor.schema().task,
            created_at: self.clock().now(),
        };
        // Another upload may have made it meanwhile: then this one joins it.
        tx.insert_model(&new).await?;
        Ok(tx.model_by_name(accepted.owner, name.as_str()).await?)
    }

    fn new_version(&self, model_id: ModelId, accepted: &Accepted) -> Result<NewVersion, Error> {
        let (schema, meta) = (accepted.loaded.predictor.schema(), &accepted.meta.meta);
        let found = &accepted.loaded.description;
        let label = accepted.meta.label.as_ref();
        Ok(NewVersion {
            id: VersionId::new(self.ids()),
            model_id,
            label: label.map(|label| label.as_str().to_owned()),
            description: meta.description.clone().unwrap_or_default(),
            // What answers otherwise than its library must not go live by being the newest.
            stage: match &accepted.verification {
                Some(found) if !found.passed => VersionStage::Candidate,
                _ => VersionStage::None,
            },
            format: found.format.clone(),
            algorithm: found.algorithm.clone(),
            library: found.library.clone().unwrap_or_default(),
            task: schema.task,
            sha256: accepted.artifact,
            size_bytes: i64::try_from(accepted.size_bytes).unwrap_or(i64::MAX),
            file_name: display_name(meta.file_name.as_deref().unwrap_or_default()),
            input_schema: json(schema.inputs())?,
            output_schema: json(&schema.outputs)?,
            classes: json(&schema.classes)?,
            metrics: meta.metrics.clone().unwrap_or_else(empty),
            config: meta.config.clone().unwrap_or_else(empty),
            training_info: meta.training_info.clone().unwrap_or_else(empty),
            tags: meta.tags.clone(),
            verification: accepted.verification.as_ref().map(json).transpose()?,
            samples: accepted.samples,
            lineage: Lineage::default(),
            created_by: accepted.owner,
            created_at: self.clock().now(),
        })
    }
}

enum Target {
    Named(ModelName),
    Existing(ModelId),
}

/// A file that was recognised, opened and stored, with what its owner says about it.
struct Accepted {
    owner: UserId,
    by: Actor,
    meta: CheckedMeta,
    loaded: Arc<LoadedModel>,
    artifact: Digest,
    size_bytes: u64,
    samples: Option<Digest>,
    verification: Option<Verification>,
}

pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Internal(error.into()))
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

fn open_for_versions(caller: &Caller, model: &ModelRow) -> Result<(), Error> {
    if !caller.reaches(model.id) {
        return Err(Error::Forbidden {
            need: "this model in its list of models",
        });
    }
    if model.status == Status::Archived {
        return Err(Error::conflict(
            "model-archived",
            "the model is archived; restore it first by setting its status to active",
        ));
    }
    Ok(())
}

/// Refuses a file that is not what the client believes it to be.
fn check_type(declared: Option<&str>, found: &Description) -> Result<(), Error> {
    match declared {
        Some(declared) if !found.matches(declared) => Err(Error::TypeMismatch {
            detail: format!(
                "the file is a {} model ({}), not what model_type says",
                found.family(),
                found.format
            ),
        }),
        _ => Ok(()),
    }
}
