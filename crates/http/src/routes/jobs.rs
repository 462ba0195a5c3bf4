//! Jobs: how far they are, what came of them, and how to stop them.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use plimsoll_app::App;
use plimsoll_app::jobs::{ResultFormat, ResultStream};

use crate::dto::job::{JobDto, JobEventList, JobEventQuery, JobListQuery, ResultQuery, job_id};
use crate::dto::page::List;
use crate::extract::{Caller, Json, Path, Query, needs};
use crate::openapi::{JobChangeProblems, ReadProblems, ResultProblems};
use crate::problem::Problem;

/// List my jobs
///
/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "Jobs",
    security(("bearer" = []), ("api_key" = [])),
    params(JobListQuery),
    responses((status = 200, description = "Jobs", body = List<JobDto>), ReadProblems)
)]
pub(crate) async fn list_jobs(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<JobListQuery>,
) -> Result<Json<List<JobDto>>, Problem> {
    let (query, page) = query.into_parts()?;
    let (page, now) = (
        app.jobs_page(&caller, query, page).await?,
        app.clock().now(),
    );
    Ok(Json(List::from_page(page, |job| JobDto::new(job, now))))
}

/// Look at a job
///
/// A key sees what it asked for itself; for other jobs of its owner it needs the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/jobs/{job}", tag = "Jobs",
    security(("bearer" = []), ("api_key" = [])),
    params(("job" = String, Path, description = "Id of the job")),
    responses((status = 200, description = "The job", body = JobDto), ReadProblems)
)]
pub(crate) async fn get_job(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(job): Path<String>,
) -> Result<Json<JobDto>, Problem> {
    let job = app.job(&caller, job_id(&job)?).await?;
    Ok(Json(JobDto::new(job, app.clock().now())))
}

/// Remove a job
///
/// With everything it read and wrote. Only one that has ended.
#[utoipa::path(
    delete, path = "/api/v1/jobs/{job}", tag = "Jobs",
    security(("bearer" = []), ("api_key" = [])),
    params(("job" = String, Path, description = "Id of the job")),
    responses((status = 204, description = "The job is gone"), JobChangeProblems)
)]
pub(crate) async fn delete_job(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(job): Path<String>,
) -> Result<StatusCode, Problem> {
    app.delete_job(&caller, job_id(&job)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancel a job
///
/// One that waits ends at once; one that runs is asked to stop and ends within a moment. Cancelling
/// twice changes nothing.
#[utoipa::path(
    post, path = "/api/v1/jobs/{job}/cancel", tag = "Jobs",
    security(("bearer" = []), ("api_key" = [])),
    params(("job" = String, Path, description = "Id of the job")),
    responses((status = 200, description = "The job", body = JobDto), JobChangeProblems)
)]
pub(crate) async fn cancel_job(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(job): Path<String>,
) -> Result<Json<JobDto>, Problem> {
    let job = app.cancel_job(&caller, job_id(&job)?).await?;
    Ok(Json(JobDto::new(job, app.clock().now())))
}

/// Retry a job
///
/// One that failed or was cancelled, up to three times. It begins again from its first row.
#[utoipa::path(
    post, path = "/api/v1/jobs/{job}/retry", tag = "Jobs",
    security(("bearer" = []), ("api_key" = [])),
    params(("job" = String, Path, description = "Id of the job")),
    responses((status = 200, description = "The job", body = JobDto), JobChangeProblems)
)]
pub(crate) async fn retry_job(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(job): Path<String>,
) -> Result<Json<JobDto>, Problem> {
    let job = app.retry_job(&caller, job_id(&job)?).await?;
    Ok(Json(JobDto::new(job, app.clock().now())))
}

/// What happened to a job
///
/// In its order. `next` of a full page is the `cursor` of the one after it.
#[utoipa::path(
    get, path = "/api/v1/jobs/{job}/events", tag = "Jobs",
    security(("bearer" = []), ("api_key" = [])),
    params(("job" = String, Path, description = "Id of the job"), JobEventQuery),
    responses((status = 200, description = "Events", body = JobEventList), ReadProblems)
)]
pub(crate) async fn list_job_events(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(job): Path<String>,
    Query(query): Query<JobEventQuery>,
) -> Result<Json<JobEventList>, Problem> {
    let (after, limit) = query.after_and_limit()?;
    let events = app
        .job_events(&caller, job_id(&job)?, (after, limit))
        .await?;
    Ok(Json(JobEventList::new(events, limit)))
}

/// Download the result of a job
///
/// One JSON object a line with `row` (from 1) and `prediction`, `probabilities` and `prediction_id`,
/// or `errors`; or the same as CSV.
#[utoipa::path(
    get, path = "/api/v1/jobs/{job}/result", tag = "Jobs",
    security(("bearer" = []), ("api_key" = [])),
    params(("job" = String, Path, description = "Id of the job"), ResultQuery),
    responses(
        (status = 200, description = "The result", content(
            (String = "application/x-ndjson"), (String = "text/csv")
        )),
        ResultProblems
    )
)]
pub(crate) async fn get_job_result(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(job): Path<String>,
    Query(query): Query<ResultQuery>,
) -> Result<Response, Problem> {
    let (id, format) = (job_id(&job)?, query.format()?);
    let result = app.job_result(&caller, id, format).await?;
    let (media_type, ending) = match format {
        ResultFormat::Jsonl => ("application/x-ndjson", "jsonl"),
        ResultFormat::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    Ok(download(result, media_type, &format!("{id}.{ending}")))
}

/// A result as an attachment with this name.
fn download(result: ResultStream, media_type: &'static str, name: &str) -> Response {
    let mut response = Response::new(Body::from_stream(result.content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(size) = result.size {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}
