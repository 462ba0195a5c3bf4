//! The table `deployments`: the ledger of each endpoint, append-only.

use plimsoll_core::endpoint::{DeploymentAction, Share};
use plimsoll_core::id::{DeploymentId, EndpointId, ModelId, UserId, VersionId};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::column::{Column, ids_text, json_text};
use crate::pools::on;
use crate::{Db, Result, Tx};

/// One entry of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct DeploymentRow {
    /// Identity; sorts by time.
    #[sqlx(try_from = "String")]
    pub id: DeploymentId,
    /// The endpoint.
    #[sqlx(try_from = "String")]
    pub endpoint_id: EndpointId,
    /// Whose the endpoint is.
    #[sqlx(try_from = "String")]
    pub owner_id: UserId,
    /// Counted from 1 within the endpoint, without a gap.
    pub number: i64,
    /// What was done.
    #[sqlx(try_from = "String")]
    pub action: DeploymentAction,
    /// The model.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// Its name at the time.
    pub model_name: String,
    /// The version that stands for the endpoint from then on.
    #[sqlx(try_from = "String")]
    pub version_id: VersionId,
    /// Its number.
    pub version_number: i64,
    /// The number of the version before it, if there was one.
    pub previous_version_number: Option<i64>,
    /// All that was served from then on.
    #[sqlx(try_from = "Column<String>")]
    pub served: Vec<Share>,
    /// The number of the entry that a rollback went back to.
    pub restores: Option<i64>,
    /// Why it failed, if it did; then nothing changed.
    pub error: Option<String>,
    /// Why it was done, as given.
    pub reason: Option<String>,
    /// Who did it.
    #[sqlx(try_from = "String")]
    pub by_user_id: UserId,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
}

impl TryFrom<Column<String>> for Vec<Share> {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> std::result::Result<Self, serde_json::Error> {
        column.json()
    }
}

/// An entry with what became of it and the name of its endpoint.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct DeploymentEntry {
    /// The entry.
    #[sqlx(flatten)]
    pub row: DeploymentRow,
    /// `active`, `superseded`, `stopped` or `failed`.
    pub status: String,
    /// Name of the endpoint.
    pub endpoint: String,
}

/// Which entries a list shows.
#[derive(Clone, Debug, Default)]
pub struct DeploymentFilter {
    /// Only of this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Whose; everybody's if absent.
    pub owner_id: Option<UserId>,
    /// Only of these models; empty means all.
    pub models: Vec<ModelId>,
    /// Only with this status.
    pub status: Option<String>,
}

/// What a deployment's status can be.
pub const DEPLOYMENT_STATUSES: [&str; 4] = ["active", "superseded", "stopped", "failed"];

macro_rules! columns {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "id, ",
            $prefix,
            "endpoint_id, ",
            $prefix,
            "owner_id, ",
            $prefix,
            "number, ",
            $prefix,
            "action, ",
            $prefix,
            "model_id, ",
            $prefix,
            "model_name, ",
            $prefix,
            "version_id, ",
            $prefix,
            "version_number, ",
            $prefix,
            "previous_version_number, ",
            $prefix,
            "served, ",
            $prefix,
            "restores, ",
            $prefix,
            "error, ",
            $prefix,
            "reason, ",
            $prefix,
            "by_user_id, ",
            $prefix,
            "at"
        )
    };
}

macro_rules! status {
    () => {
        "case when d.error is not null then 'failed' \
         when d.number <> e.revision then 'superseded' \
         when d.action = 'delete' then 'stopped' else 'active' end"
    };
}

macro_rules! filter {
    () => {
        concat!(
            " from deployments d join endpoints e on e.id = d.endpoint_id \
             where (cast($1 as text) is null or d.endpoint_id = $1) \
             and (cast($2 as text) is null or d.owner_id = $2) \
             and (cast($3 as text) is null or $3 like '%' || d.model_id || '%') \
             and (cast($4 as text) is null or ",
            status!(),
            " = $4)"
        )
    };
}

impl Db {
    /// Entries, newest first.
    pub async fn deployments_page(
        &self,
        filter: &DeploymentFilter,
        page: PageRequest,
    ) -> Result<Page<DeploymentEntry>> {
        const ITEMS: &str = concat!(
            "select ",
            columns!("d."),
            ", ",
            status!(),
            " as status, e.name as endpoint",
            filter!(),
            // Of entries of one microsecond, an endpoint's own numbers tell the order.
            " order by d.at desc, \
             case when cast($1 as text) is null then 0 else d.number end desc, d.id desc \
             limit $5 offset $6"
        );
        const TOTAL: &str = concat!("select count(*)", filter!());
        let endpoint = filter.endpoint.map(|id| id.to_string());
        let owner = filter.owner_id.map(|id| id.to_string());
        let models = ids_text(&filter.models);
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(ITEMS)
                .bind(&endpoint)
                .bind(&owner)
                .bind(&models)
                .bind(&filter.status)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar(TOTAL)
                .bind(&endpoint)
                .bind(&owner)
                .bind(&models)
                .bind(&filter.status);
            (items, total.fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }
}

impl Tx {
    /// Adds an entry.
    pub async fn insert_deployment(&mut self, entry: &DeploymentRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into deployments (",
            columns!(""),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(entry.id.to_string())
                .bind(entry.endpoint_id.to_string())
                .bind(entry.owner_id.to_string())
                .bind(entry.number)
                .bind(entry.action.name())
                .bind(entry.model_id.to_string())
                .bind(&entry.model_name)
                .bind(entry.version_id.to_string())
                .bind(entry.version_number)
                .bind(entry.previous_version_number)
                .bind(json_text(&entry.served))
                .bind(entry.restores)
                .bind(&entry.error)
                .bind(&entry.reason)
                .bind(entry.by_user_id.to_string())
                .bind(entry.at.as_micros())
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// One entry by its number.
    pub async fn deployment(
        &mut self,
        endpoint: EndpointId,
        number: i64,
    ) -> Result<Option<DeploymentRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(""),
            " from deployments where endpoint_id = $1 and number = $2"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(endpoint.to_string())
                .bind(number)
                .fetch_optional(c)
                .await?
        }))
    }

    /// The newest entry before `number` that took effect and served something
    /// else than `served`: what a rollback goes back to.
    pub async fn deployment_to_restore(
        &mut self,
        endpoint: EndpointId,
        number: i64,
        served: &[Share],
    ) -> Result<Option<DeploymentRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(""),
            " from deployments where endpoint_id = $1 and number < $2 and served <> $3 \
             and error is null and action <> 'delete' order by number desc limit 1"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(endpoint.to_string())
                .bind(number)
                .bind(json_text(served))
                .fetch_optional(c)
                .await?
        }))
    }
}
