//! Batch predictions: a file of rows becomes a job.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use plimsoll_app::App;
use plimsoll_app::jobs::{BatchOptions, BatchRows, RowsFormat};
use plimsoll_core::model::{ModelRef, VersionRef};

use crate::dto::job::{BatchForm, BatchQuery, JobAcceptedDto, unknown_format};
use crate::extract::{Caller, Json, Path, Query, RowsBody, needs};
use crate::openapi::BatchProblems;
use crate::problem::Problem;
use crate::wire::Wire;

/// Predict the rows of a file
///
/// CSV with the features' names in its first line, or one JSON value a line; as the part `file` of
/// a form or as the body. The rows are answered behind requests for predictions; one that does not
/// fit is named in the result and harms no other.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/batch", tag = "Predictions",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model"), BatchQuery),
    request_body(content(
        (BatchForm = "multipart/form-data"), (String = "text/csv"), (String = "application/x-ndjson")
    )),
    responses((status = 202, description = "The job", body = JobAcceptedDto), BatchProblems)
)]
pub(crate) async fn create_batch(
    State(wire): State<Wire>,
    caller: Caller<needs::Predict>,
    Path(model): Path<String>,
    Query(query): Query<BatchQuery>,
    body: RowsBody,
) -> Result<Response, Problem> {
    let (app, (format, include_probabilities)) = (wire.app(), query.options()?);
    let version = query
        .version
        .as_deref()
        .map_or(VersionRef::Default, VersionRef::from);
    let target = app.batch_target(&caller, &ModelRef::from(&*model), &version)?;
    let (rows, format) = receive(app, body, format).await?;
    let options = BatchOptions {
        format,
        include_probabilities,
    };
    let (job, ends) = app.start_batch(&caller, target, rows, options).await?;
    let accepted = JobAcceptedDto::new(&job, ends, &wire.config().base_path);
    let location = [(LOCATION, accepted.url.clone())];
    Ok((StatusCode::ACCEPTED, location, Json(accepted)).into_response())
}

/// Receives the file; what the query says of its format wins.
async fn receive(
    app: &App,
    body: RowsBody,
    format: Option<RowsFormat>,
) -> Result<(BatchRows, RowsFormat), Problem> {
    let mut file = body.file().await?;
    let unknown = || Problem::invalid(vec![unknown_format()]);
    let format = format.or(file.format).ok_or_else(unknown)?;
    let mut rows = app.stage_rows().await?;
    while let Some(piece) = file.piece().await? {
        rows.write(&piece).await?;
    }
    file.end().await?;
    Ok((rows, format))
}
