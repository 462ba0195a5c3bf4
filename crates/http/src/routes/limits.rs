//! How the caller stands with the limits that apply.

use crate::dto::limit::LimitsView;
use crate::extract::{Caller, Json, needs};
use crate::openapi::AccessProblems;

/// Look at my limits
///
/// Counts for none of them.
#[utoipa::path(
    get, path = "/api/v1/limits", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The limits of this credential", body = LimitsView), AccessProblems)
)]
pub(crate) async fn get_limits(caller: Caller<needs::Standing>) -> Json<LimitsView> {
    Json(LimitsView::from(&caller.standings))
}
