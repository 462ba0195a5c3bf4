//! What a caller may ask, and what it takes and answers.

use std::sync::Arc;

use plimsoll_core::endpoint::EndpointRef;
use plimsoll_core::example::example_batch;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_core::schema::Schema;

use super::LoadedModel;
use crate::auth::Caller;
use crate::live::{ModelEntry, VersionEntry};
use crate::{App, Error};

/// A version that answers under some name.
#[derive(Debug)]
pub struct Offer {
    /// Its model.
    pub model: Arc<ModelEntry>,
    /// The version.
    pub version: Arc<VersionEntry>,
}

/// What a version takes and answers.
pub struct Signature {
    loaded: Arc<LoadedModel>,
    /// Whether it answers class probabilities.
    pub has_probabilities: bool,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature")
    }
}

impl Signature {
    /// The format of its file, e.g. `sklearn-joblib`.
    pub fn format(&self) -> &str {
        &self.loaded.description.format
    }

    /// Its inputs, outputs and classes.
    pub fn schema(&self) -> &Schema {
        self.loaded.predictor.schema()
    }
}

impl App {
    /// What answers under a name: a model, or an endpoint where no model has it.
    ///
    /// Of an endpoint it is the first version that gets requests. Nothing is
    /// loaded and nothing counted.
    pub fn offer(&self, caller: &Caller, name: &str, version: &VersionRef) -> Result<Offer, Error> {
        caller.require(Scope::Predict)?;
        let live = self.live();
        live.require_serving()?;
        let (model, version) = match live.model(caller, &ModelRef::from(name)) {
            Ok(model) => (model, model.version(version)?),
            Err(Error::NotFound { what }) if *version == VersionRef::Default => {
                let endpoint = live.endpoint(caller, &EndpointRef::from(name));
                let endpoint = endpoint.map_err(|error| match error {
                    Error::NotFound { .. } => Error::NotFound { what },
                    other => other,
                })?;
                let first = endpoint.versions().first();
                (&endpoint.model, first.ok_or(Error::NotFound { what })?)
            }
            Err(error) => return Err(error),
        };
        if model.status == Status::Archived || version.status == Status::Archived {
            return Err(Error::NotFound { what: "model" });
        }
        Ok(Offer {
            model: model.clone(),
            version: version.clone(),
        })
    }

    /// All models a caller may read and ask, by name.
    pub fn offered(&self, caller: &Caller) -> Result<Vec<Arc<ModelEntry>>, Error> {
        caller.require(Scope::Read)?;
        let live = self.live();
        let is_theirs = |model: &&Arc<ModelEntry>| {
            model.owner == caller.user
                && caller.reaches(model.id)
                && model.status != Status::Archived
        };
        let mut models: Vec<_> = live.models().filter(is_theirs).cloned().collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// What a version takes and answers; it is loaded if it is not in memory, and
    /// an example row tells whether it answers probabilities.
    pub async fn signature(&self, offer: &Offer) -> Result<Signature, Error> {
        let (loaded, _) = self.loaded(&offer.version).await?;
        let example = Arc::new(example_batch(loaded.predictor.schema()));
        let deadline = self
            .clock()
            .monotonic()
            .plus(self.settings().predict.timeout);
        let ran = self.run(&loaded, &example, deadline).await;
        let has_probabilities = ran.is_ok_and(|run| !run.output.probabilities.is_empty());
        Ok(Signature {
            loaded,
            has_probabilities,
        })
    }
}
