//! Predictions that were made: find them, look at one.

use axum::extract::State;
use plimsoll_app::{App, Error};
use plimsoll_core::id::PredictionId;

use crate::dto::prediction::{PredictionDto, PredictionList, PredictionQuery};
use crate::extract::{Caller, Json, Path, Query, needs};
use crate::openapi::ReadProblems;
use crate::problem::Problem;

/// List my predictions
///
/// Newest first. `next` of a page is the `cursor` of the one after it.
#[utoipa::path(
    get, path = "/api/v1/predictions", tag = "Predictions",
    security(("bearer" = []), ("api_key" = [])),
    params(PredictionQuery),
    responses((status = 200, description = "Predictions", body = PredictionList), ReadProblems)
)]
pub(crate) async fn list_predictions(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<PredictionQuery>,
) -> Result<Json<PredictionList>, Problem> {
    let (filter, cursor) = query.into_parts()?;
    let page = app.predictions(&caller, filter, cursor.as_deref()).await?;
    Ok(Json(PredictionList::new(page)))
}

/// Look at a prediction
///
/// With its whole input and output. It appears within two seconds of its answer.
#[utoipa::path(
    get, path = "/api/v1/predictions/{prediction}", tag = "Predictions",
    security(("bearer" = []), ("api_key" = [])),
    params(("prediction" = String, Path, description = "Id of the prediction")),
    responses((status = 200, description = "The prediction", body = PredictionDto), ReadProblems)
)]
pub(crate) async fn get_prediction(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(prediction): Path<String>,
) -> Result<Json<PredictionDto>, Problem> {
    let absent = |_| Error::NotFound { what: "prediction" };
    let id: PredictionId = prediction.parse().map_err(absent)?;
    Ok(Json(app.prediction(&caller, id).await?.into()))
}
