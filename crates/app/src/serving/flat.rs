//! Cold loads that translate nothing: the flat form beside the original.
//!
//! Any flat form can be made again. One that is missing, damaged or from
//! another program is replaced behind the first load that misses it.

use std::sync::Arc;

use anyhow::Context;
use plimsoll_blob::BlobError;
use plimsoll_core::digest::Digest;
use plimsoll_engine::FLAT_VERSION;
use plimsoll_store::{FlatForm, Subject};

use super::load::{LoadedModel, ready};
use crate::live::VersionEntry;
use crate::{App, Error};

/// Bytes of an original that is hashed before its model answers: within a
/// millisecond. A larger one is hashed behind the first answers.
const CHECKED_FIRST: i64 = 1 << 20;

impl App {
    /// A model from its flat form; `None` if that cannot be used. What is run is
    /// checked against its own hash, and a damaged original is refused as well
    /// (docs/adr/0007-large-originals-are-hashed-behind-the-load.md).
    pub(super) async fn load_flat(
        &self,
        version: &VersionEntry,
    ) -> Result<Option<LoadedModel>, Error> {
        let Some(flat) = &version.flat else {
            return Ok(None);
        };
        let first = version.size_bytes <= CHECKED_FIRST || self.is_suspect(&version.artifact);
        let check = async {
            if first {
                self.check_original(version).await?;
            }
            Ok::<_, Error>(())
        };
        let (checked, opened) = tokio::join!(check, self.open_flat(flat));
        checked?;
        match &opened {
            Ok(_) if !first => self.check_behind(version),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(version = %version.id, error = format!("{error:#}"), "a flat form is made again");
            }
        }
        Ok(opened.ok())
    }

    async fn open_flat(&self, flat: &Digest) -> Result<LoadedModel, anyhow::Error> {
        let (flat, app) = (*flat, self.clone());
        let opened = self.tasks().blocking(move || {
            let bytes = app.blobs().read_blocking(&flat).inspect_err(|error| {
                if let BlobError::Corrupt { .. } = error {
                    app.meters().integrity_failures.inc();
                }
            })?;
            let engine = &app.serving().engine;
            let model = ready(|| engine.open_flat(&bytes), app.clock().as_ref());
            model.map_err(anyhow::Error::from)
        });
        opened.await?
    }

    /// Stores the flat form of an uploaded model, unless there is one this program reads.
    pub(crate) async fn keep_flat(&self, original: Digest, model: &Arc<LoadedModel>) {
        let is_current = |flat: &FlatForm| flat.version == FLAT_VERSION;
        match self.db().flat_form(&original).await {
            Ok(known) if known.as_ref().is_some_and(is_current) => {}
            _ => self.make_flat(original, model.clone()).await,
        }
    }

    /// Stores the flat form of a model in place of what is there. A model
    /// without one is loaded more slowly and is otherwise the same.
    pub(super) async fn make_flat(&self, original: Digest, model: Arc<LoadedModel>) {
        if let Err(error) = self.store_flat(original, model).await {
            let error = format!("{error:#}");
            tracing::warn!(artifact = %original, error, "a flat form was not stored");
        }
    }

    async fn store_flat(
        &self,
        original: Digest,
        model: Arc<LoadedModel>,
    ) -> Result<(), anyhow::Error> {
        let flat = self
            .tasks()
            .blocking(move || model.predictor.flat(&model.description));
        let Some(bytes) = flat.await? else {
            return Ok(());
        };
        let mut stage = self.blobs().stage().await?;
        stage.write(&bytes).await?;
        let unnamed = self.contents().read().await;
        let flat = FlatForm {
            version: FLAT_VERSION.to_owned(),
            digest: self.blobs().put(stage.finish().await?).await?.digest,
        };
        let mut tx = self.db().begin().await?;
        let before = tx.put_flat_form(&original, &flat).await?;
        // An upload announces its version itself.
        for model in tx.models_with_content(&original).await? {
            tx.touch_only(Subject::Model(model)).await?;
        }
        tx.commit().await?;
        drop(unnamed);
        let unused = before.map(|before| before.digest);
        self.discard(unused.into_iter().collect()).await?;
        self.refresh_live().await.context("reading what changed")
    }
}
