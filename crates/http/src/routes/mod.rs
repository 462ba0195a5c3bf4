//! The API as a list: every route that is served, grouped by who uses it.

mod about;
mod artifacts;
mod audit;
mod auth;
mod batch;
mod endpoints;
pub(crate) mod health;
mod jobs;
mod keys;
mod limits;
mod loads;
mod meta;
mod mode;
mod models;
pub(crate) mod predict;
mod predictions;
mod upload;
mod users;
mod versions;

use axum::Router;
use axum::routing::{MethodRouter, get};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::Wire;
use crate::{dialects, pages};

/// Every route of the OpenAPI document, grouped by who uses it.
pub(crate) fn api() -> OpenApiRouter<Wire> {
    let groups = [
        predictions(),
        dialects::routes(),
        work(),
        registry(),
        service(),
        access(),
        accounts(),
        administration(),
        server(),
    ];
    groups
        .into_iter()
        .fold(OpenApiRouter::new(), OpenApiRouter::merge)
}

/// Programs that predict.
fn predictions() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(predict::predict))
        .routes(routes!(predict::predict_version))
        .routes(routes!(predict::predict_endpoint))
        .routes(routes!(predictions::list_predictions))
        .routes(routes!(predictions::get_prediction))
}

/// Programs that have long work done.
fn work() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(batch::create_batch))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::get_job, jobs::delete_job))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(jobs::retry_job))
        .routes(routes!(jobs::list_job_events))
        .routes(routes!(jobs::get_job_result))
}

/// People and programs that manage models.
fn registry() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(models::list_models, models::create_model))
        .routes(routes!(
            models::get_model,
            models::update_model,
            models::delete_model
        ))
        .routes(routes!(about::model_info))
        .routes(routes!(about::model_snippets))
        .routes(routes!(about::model_analytics))
        .routes(routes!(about::compare_versions))
        .routes(routes!(about::list_promotions))
        .routes(routes!(versions::list_versions, versions::create_version))
        .routes(routes!(
            versions::get_version,
            versions::update_version,
            versions::delete_version
        ))
        .routes(routes!(artifacts::download_artifact))
        .routes(routes!(versions::promote_version))
        .routes(routes!(versions::verify_version))
        .routes(routes!(loads::load_version, loads::unload_version))
}

/// People and programs that put versions into service.
fn service() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(endpoints::list_endpoints, endpoints::deploy))
        .routes(routes!(
            endpoints::get_endpoint,
            endpoints::update_endpoint,
            endpoints::stop_endpoint
        ))
        .routes(routes!(endpoints::set_traffic))
        .routes(routes!(endpoints::roll_back))
        .routes(routes!(endpoints::validate))
        .routes(routes!(endpoints::history))
        .routes(routes!(endpoints::list_deployments))
        .routes(routes!(endpoints::model_deployments))
}

/// People who give programs access.
fn access() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::get_key, keys::update_key, keys::revoke_key))
        .routes(routes!(keys::rotate_key))
        .routes(routes!(keys::key_usage))
        .routes(routes!(limits::get_limits))
}

/// Everybody who signs in.
fn accounts() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::setup))
        .routes(routes!(auth::me))
        .routes(routes!(
            users::get_account,
            users::update_account,
            users::delete_account
        ))
        .routes(routes!(users::change_password))
}

/// Administrators.
fn administration() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::update_user))
        .routes(routes!(audit::list_audit))
        .routes(routes!(mode::get_mode, mode::set_mode))
        .routes(routes!(mode::list_modes))
}

/// Load balancers, scrapers, readers of documentation.
fn server() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::detailed))
        .routes(routes!(health::api_health))
        .routes(routes!(health::api_live))
        .routes(routes!(health::api_ready))
        .routes(routes!(meta::metrics))
        .routes(routes!(meta::version))
        .routes(routes!(meta::openapi_json))
        .routes(routes!(meta::api_openapi_json))
        .routes(routes!(meta::problem))
}

/// A page for browsers: where it is served, and by what.
type Page = (&'static str, fn() -> MethodRouter<Wire>);

/// Pages for browsers; they are not part of the API and not in its document.
const PAGES: [Page; 10] = [
    ("/", || get(pages::home)),
    ("/docs", || get(pages::reference)),
    ("/redoc", || get(pages::reference)),
    ("/api/v1/docs", || get(pages::reference)),
    ("/api/v1/redoc", || get(pages::reference)),
    ("/ui/setup", || get(pages::setup)),
    ("/assets/pages.css", || get(pages::style)),
    ("/assets/reference.js", || get(pages::reference_script)),
    ("/assets/setup.js", || get(pages::setup_script)),
    ("/favicon.ico", || get(pages::icon)),
];

/// Where the pages are served.
pub(crate) fn page_paths() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(path, _)| *path)
}

/// The routes of the pages.
pub(crate) fn pages() -> Router<Wire> {
    PAGES.iter().fold(Router::new(), |router, (path, page)| {
        router.route(path, page())
    })
}
