//! The audit log, for administrators.

use axum::extract::State;
use plimsoll_app::App;

use crate::dto::audit::{AuditList, AuditQuery};
use crate::extract::{AdminUser, Json, Query};
use crate::openapi::ReadProblems;
use crate::problem::Problem;

/// Who changed what
///
/// Newest first. `next` of a page is the `cursor` of the one after it.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "Administration",
    security(("bearer" = []), ("api_key" = [])),
    params(AuditQuery),
    responses((status = 200, description = "Entries", body = AuditList), ReadProblems)
)]
pub(crate) async fn list_audit(
    State(app): State<App>,
    caller: AdminUser,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditList>, Problem> {
    let filter = query.filter()?;
    let rows = app.audit_log(&caller, &filter).await?;
    Ok(Json(AuditList::new(rows, filter.limit)))
}
