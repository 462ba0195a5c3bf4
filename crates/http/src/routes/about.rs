//! What is known about a model: in short, as programs, compared, promoted, lately.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use plimsoll_app::{App, Error};
use plimsoll_core::model::{ModelRef, VersionRef};
use serde_json::Value;

use crate::dto::about::{CompareQuery, ModelInfo, PromotionDto, Snippets, VersionComparisonDto};
use crate::dto::analytics::{AnalyticsDto, AnalyticsQuery};
use crate::dto::page::{List, PageQuery};
use crate::extract::{Caller, Json, Path, Query, needs};
use crate::openapi::{ReadProblems, SnippetProblems};
use crate::problem::Problem;
use crate::snippets;
use crate::wire::Wire;

const NOTHING_ANSWERS: Error = Error::NotFound {
    what: "a version that answers",
};

/// What a model takes and answers, in short
///
/// About the version that answers when a prediction names none.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/info", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model")),
    responses((status = 200, description = "The model in short", body = ModelInfo), ReadProblems)
)]
pub(crate) async fn model_info(
    State(wire): State<Wire>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
) -> Result<Json<ModelInfo>, Problem> {
    let view = wire.app().model(&caller, &ModelRef::from(&*model)).await?;
    let version = view.serving.ok_or(NOTHING_ANSWERS)?;
    let named = (view.row.name, view.row.description);
    Ok(Json(ModelInfo::new(
        named,
        version,
        &wire.config().base_path,
    )))
}

/// Programs that ask a model
///
/// With a row it has answered just now and the address this request was sent to. They take the key
/// from the environment variable `PLIMSOLL_API_KEY`.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/snippets", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model")),
    responses((status = 200, description = "Programs, ready to run", body = Snippets), SnippetProblems)
)]
pub(crate) async fn model_snippets(
    State(wire): State<Wire>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Snippets>, Problem> {
    let app = wire.app();
    let view = app.model(&caller, &ModelRef::from(&*model)).await?;
    let version = view.serving.ok_or(NOTHING_ANSWERS)?;
    let request = app.example_request(&caller, &version).await;
    let text = request.ok_or(NOTHING_ANSWERS)?;
    let (origin, base) = (origin(&headers), &wire.config().base_path);
    let url = format!("{origin}{base}/api/v1/models/{}/predict", view.row.name);
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(Json(Snippets {
        curl: snippets::curl(&url, &text),
        python: snippets::python(&url, &body),
        javascript: snippets::javascript(&url, &body),
        url,
        body,
    }))
}

/// Compare two versions of a model
///
/// Figures with their difference and which way is better by their name, the difference in size, and
/// what changed about inputs and outputs.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/compare", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model"), CompareQuery),
    responses((status = 200, description = "Both versions", body = VersionComparisonDto), ReadProblems)
)]
pub(crate) async fn compare_versions(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
    Query(query): Query<CompareQuery>,
) -> Result<Json<VersionComparisonDto>, Problem> {
    let (from, to) = query.both()?;
    let (model, from, to) = (ModelRef::from(&*model), from.into(), VersionRef::from(to));
    let compared = app.compare_versions(&caller, &model, &from, &to).await?;
    Ok(Json(compared.into()))
}

/// List the promotions of a model
#[utoipa::path(
    get, path = "/api/v1/models/{model}/promotions", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model"), PageQuery),
    responses((status = 200, description = "Who promoted which version when, newest first", body = List<PromotionDto>), ReadProblems)
)]
pub(crate) async fn list_promotions(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<PromotionDto>>, Problem> {
    let page = query.request()?;
    let model = ModelRef::from(model.as_str());
    let page = app.promotions(&caller, &model, page).await?;
    Ok(Json(List::from_page(page, PromotionDto::from)))
}

/// How a model has been doing lately
///
/// Totals, latencies, days and the last failures, from the prediction log.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/analytics", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model"), AnalyticsQuery),
    responses((status = 200, description = "What the log knows", body = AnalyticsDto), ReadProblems)
)]
pub(crate) async fn model_analytics(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
    Query(query): Query<AnalyticsQuery>,
) -> Result<Json<AnalyticsDto>, Problem> {
    let days = query.days()?;
    let model = ModelRef::from(model.as_str());
    Ok(Json(app.analytics(&caller, &model, days).await?.into()))
}

/// Where the caller reached this server, as far as its request says. Nothing but an
/// address gets into a program that somebody runs.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let plain = |host: &&str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        !host.is_empty() && host.chars().all(fits)
    };
    let host = text(HOST.as_str()).filter(plain).unwrap_or("localhost");
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}")
}
