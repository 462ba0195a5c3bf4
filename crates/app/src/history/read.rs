//! The prediction history, for its owner only.

use plimsoll_core::id::PredictionId;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_core::time::Timestamp;
use plimsoll_store::{PredictionFilter, PredictionPage, PredictionRow, PredictionStatus};

use crate::auth::Caller;
use crate::{App, Error};

/// Most items of one page.
pub const MAX_PAGE: u32 = 200;

/// One prediction with the name of its model.
#[derive(Debug)]
pub struct PredictionView {
    /// Its row.
    pub row: PredictionRow,
    /// Name of its model; its id if the model is gone.
    pub model: String,
}

/// Which predictions are wanted.
#[derive(Debug, Default)]
pub struct HistoryFilter {
    /// Of this model.
    pub model: Option<String>,
    /// Of this version of it.
    pub version: Option<String>,
    /// Through this endpoint.
    pub endpoint: Option<String>,
    /// With this key.
    pub key: Option<plimsoll_core::id::KeyId>,
    /// With this outcome.
    pub status: Option<PredictionStatus>,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// With this text in input, output or request id.
    pub search: Option<String>,
    /// Most items.
    pub limit: u32,
}

impl App {
    /// One page of the caller's predictions, newest first, and the cursor of the next.
    pub async fn predictions(
        &self,
        caller: &Caller,
        filter: HistoryFilter,
        cursor: Option<&str>,
    ) -> Result<(Vec<PredictionView>, Option<String>), Error> {
        caller.require(Scope::Read)?;
        let history = self.history().ok_or(Error::NotReady {
            what: "the prediction log",
        })?;
        let filter = self.resolve_filter(caller, filter)?;
        let after = match cursor {
            Some(text) => Some(filter.position(text).map_err(|_| Error::UnknownCursor)?),
            None => None,
        };
        let PredictionPage { items, next } = history.log.predictions(&filter, after).await?;
        Ok((items.into_iter().map(|row| self.name(row)).collect(), next))
    }

    /// One of the caller's predictions, with its whole input and output.
    pub async fn prediction(
        &self,
        caller: &Caller,
        id: PredictionId,
    ) -> Result<PredictionView, Error> {
        const ABSENT: Error = Error::NotFound { what: "prediction" };
        caller.require(Scope::Read)?;
        let history = self.history().ok_or(Error::NotReady {
            what: "the prediction log",
        })?;
        let row = history
            .log
            .prediction(caller.user, id)
            .await?
            .ok_or(ABSENT)?;
        if !caller.reaches(row.model_id) {
            return Err(Error::Forbidden {
                need: "this model in its list of models",
            });
        }
        Ok(self.name(row))
    }

    fn resolve_filter(
        &self,
        caller: &Caller,
        wanted: HistoryFilter,
    ) -> Result<PredictionFilter, Error> {
        let live = self.live();
        let mut filter = PredictionFilter::of(caller.user);
        if let Some(model) = &wanted.model {
            let model = live.model(caller, &ModelRef::from(model.as_str()))?;
            filter.model = Some(model.id);
            if let Some(version) = &wanted.version {
                filter.version = Some(model.version(&VersionRef::from(version.as_str()))?.id);
            }
        } else if wanted.version.is_some() {
            return Err(Error::field(
                "/version",
                "missing-field",
                "a version is looked up within a model; name the model too",
                "with model",
            ));
        }
        Ok(PredictionFilter {
            models: caller.models().to_vec(),
            endpoint: wanted.endpoint,
            key: wanted.key,
            status: wanted.status,
            from: wanted.from,
            to: wanted.to,
            search: wanted.search,
            limit: wanted.limit,
            ..filter
        })
    }

    fn name(&self, row: PredictionRow) -> PredictionView {
        let live = self.live();
        let model = live.model_by_id(row.model_id);
        let model = model.map_or_else(|| row.model_id.to_string(), |model| model.name.clone());
        PredictionView { row, model }
    }
}
