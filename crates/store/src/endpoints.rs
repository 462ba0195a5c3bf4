//! The tables `endpoints` and `endpoint_versions`: what is served, under which
//! name and to what share of the requests.

use std::collections::{BTreeMap, HashMap};

use plimsoll_core::endpoint::{EndpointState, Guardrails, Role, Share, Sticky, WorkloadSize};
use plimsoll_core::id::{EndpointId, ModelId, UserId, VersionId};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;
use sqlx::error::BoxDynError;

use crate::column::{Column, ids_text, json_text};
use crate::pools::on;
use crate::{Db, Result, Tx};

/// An endpoint.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct EndpointRow {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: EndpointId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub owner_id: UserId,
    /// Unique per owner, for good.
    pub name: String,
    /// The model of all its versions.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// Ready, failed or stopped; what is under way is not stored.
    #[sqlx(try_from = "String")]
    pub state: EndpointState,
    /// What keeps a caller with a version.
    #[sqlx(try_from = "String")]
    pub sticky: Sticky,
    /// Its share of the machine.
    #[sqlx(try_from = "String")]
    pub workload_size: WorkloadSize,
    /// Whether its models leave memory when nobody asks.
    pub scale_to_zero: bool,
    /// Variables for the process of a model that runs in one.
    #[sqlx(try_from = "Column<String>")]
    pub environment: BTreeMap<String, String>,
    /// What is refused.
    #[sqlx(try_from = "Column<String>")]
    pub guardrails: Guardrails,
    /// The number of the deployment in effect.
    pub revision: i64,
    /// Deployments so far, failed ones included.
    pub deployments: i64,
    /// Who made it.
    #[sqlx(try_from = "String")]
    pub created_by: UserId,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Timestamp,
}

impl TryFrom<Column<String>> for BTreeMap<String, String> {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> std::result::Result<Self, serde_json::Error> {
        column.json()
    }
}

impl TryFrom<Column<String>> for Guardrails {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> std::result::Result<Self, serde_json::Error> {
        column.json()
    }
}

/// Which endpoints a list shows.
#[derive(Clone, Debug, Default)]
pub struct EndpointFilter {
    /// Whose; everybody's if absent.
    pub owner_id: Option<UserId>,
    /// Only of these models; empty means all.
    pub models: Vec<ModelId>,
    /// Only in this state; without it, all but stopped ones.
    pub state: Option<EndpointState>,
}

#[derive(FromRow)]
struct ShareRow {
    #[sqlx(try_from = "String")]
    endpoint_id: EndpointId,
    #[sqlx(try_from = "String")]
    version_id: VersionId,
    weight: i64,
    #[sqlx(try_from = "String")]
    role: StoredRole,
}

struct StoredRole(Role);

impl TryFrom<String> for StoredRole {
    type Error = BoxDynError;

    fn try_from(text: String) -> std::result::Result<Self, BoxDynError> {
        [Role::Primary, Role::Canary, Role::Shadow]
            .into_iter()
            .find(|role| role.name() == text)
            .map(Self)
            .ok_or_else(|| "expected one of primary, canary, shadow".into())
    }
}

impl From<ShareRow> for Share {
    fn from(row: ShareRow) -> Self {
        Self {
            version: row.version_id,
            weight: u8::try_from(row.weight).unwrap_or(0),
            role: row.role.0,
        }
    }
}

macro_rules! columns {
    () => {
        "id, owner_id, name, model_id, state, sticky, workload_size, scale_to_zero, environment, \
         guardrails, revision, deployments, created_by, created_at, updated_at"
    };
}

macro_rules! filter {
    () => {
        " from endpoints where (cast($1 as text) is null or owner_id = $1) \
         and (cast($2 as text) is null or $2 like '%' || model_id || '%') \
         and case when cast($3 as text) is null then state <> 'stopped' else state = $3 end"
    };
}

impl Db {
    /// The endpoint with this id.
    pub async fn endpoint_by_id(&self, id: EndpointId) -> Result<Option<EndpointRow>> {
        const SQL: &str = concat!("select ", columns!(), " from endpoints where id = $1");
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// A person's endpoint with this name.
    pub async fn endpoint_by_name(&self, owner: UserId, name: &str) -> Result<Option<EndpointRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from endpoints where owner_id = $1 and name = $2"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(owner.to_string())
                .bind(name)
                .fetch_optional(c)
                .await?
        }))
    }

    /// Endpoints, newest first.
    pub async fn endpoints_page(
        &self,
        filter: &EndpointFilter,
        page: PageRequest,
    ) -> Result<Page<EndpointRow>> {
        const ITEMS: &str = concat!(
            "select ",
            columns!(),
            filter!(),
            " order by id desc limit $4 offset $5"
        );
        const TOTAL: &str = concat!("select count(*)", filter!());
        let owner = filter.owner_id.map(|id| id.to_string());
        let models = ids_text(&filter.models);
        let state = filter.state.map(EndpointState::name);
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(ITEMS)
                .bind(&owner)
                .bind(&models)
                .bind(state)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar(TOTAL)
                .bind(&owner)
                .bind(&models)
                .bind(state);
            (items, total.fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }

    /// Every endpoint that answers, with its shares.
    pub async fn live_endpoints(&self) -> Result<Vec<(EndpointRow, Vec<Share>)>> {
        const ENDPOINTS: &str = concat!(
            "select ",
            columns!(),
            " from endpoints where state = 'ready' order by id"
        );
        const SHARES: &str = "select endpoint_id, version_id, weight, role from endpoint_versions \
                              order by endpoint_id, position";
        let (endpoints, shares): (Vec<EndpointRow>, Vec<ShareRow>) = on!(self, |c| {
            let endpoints = sqlx::query_as(ENDPOINTS).fetch_all(c).await?;
            (endpoints, sqlx::query_as(SHARES).fetch_all(c).await?)
        });
        let mut by_endpoint: HashMap<EndpointId, Vec<Share>> = HashMap::new();
        for share in shares {
            let list = by_endpoint.entry(share.endpoint_id).or_default();
            list.push(share.into());
        }
        let with_shares = endpoints.into_iter().map(|row| {
            let shares = by_endpoint.remove(&row.id).unwrap_or_default();
            (row, shares)
        });
        Ok(with_shares.collect())
    }

    /// The shares of one endpoint, in order; none if it answers nobody.
    pub async fn endpoint_shares(&self, id: EndpointId) -> Result<Vec<Share>> {
        let shares: Vec<ShareRow> = on!(self, |c| {
            sqlx::query_as(SHARES_OF)
                .bind(id.to_string())
                .fetch_all(c)
                .await?
        });
        Ok(shares.into_iter().map(Share::from).collect())
    }
}

const SHARES_OF: &str = "select endpoint_id, version_id, weight, role from endpoint_versions \
                         where endpoint_id = $1 order by position";

impl Tx {
    /// Finds an endpoint by its name, and locks it until the commit.
    pub async fn lock_endpoint(
        &mut self,
        owner: UserId,
        name: &str,
    ) -> Result<Option<EndpointRow>> {
        // An update that changes nothing: both databases hold the row from here on.
        const SQL: &str = concat!(
            "update endpoints set name = name where owner_id = $1 and name = $2 returning ",
            columns!()
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(owner.to_string())
                .bind(name)
                .fetch_optional(c)
                .await?
        }))
    }

    /// Stores an endpoint as it is to be, whether or not it is there already.
    pub async fn put_endpoint(&mut self, row: &EndpointRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into endpoints (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             on conflict (id) do update set model_id = excluded.model_id, \
             state = excluded.state, sticky = excluded.sticky, \
             workload_size = excluded.workload_size, scale_to_zero = excluded.scale_to_zero, \
             environment = excluded.environment, guardrails = excluded.guardrails, \
             revision = excluded.revision, deployments = excluded.deployments, \
             updated_at = excluded.updated_at"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(row.id.to_string())
                .bind(row.owner_id.to_string())
                .bind(&row.name)
                .bind(row.model_id.to_string())
                .bind(row.state.name())
                .bind(row.sticky.to_string())
                .bind(row.workload_size.name())
                .bind(row.scale_to_zero)
                .bind(json_text(&row.environment))
                .bind(json_text(&row.guardrails))
                .bind(row.revision)
                .bind(row.deployments)
                .bind(row.created_by.to_string())
                .bind(row.created_at.as_micros())
                .bind(row.updated_at.as_micros())
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// Replaces what an endpoint serves.
    pub async fn set_shares(&mut self, id: EndpointId, shares: &[Share]) -> Result<()> {
        let id = id.to_string();
        on!(self, |c| {
            sqlx::query("delete from endpoint_versions where endpoint_id = $1")
                .bind(&id)
                .execute(&mut *c)
                .await?;
            for (position, share) in (0_i64..).zip(shares) {
                sqlx::query(
                    "insert into endpoint_versions \
                     (endpoint_id, position, version_id, weight, role) values ($1, $2, $3, $4, $5)",
                )
                .bind(&id)
                .bind(position)
                .bind(share.version.to_string())
                .bind(i64::from(share.weight))
                .bind(share.role.name())
                .execute(&mut *c)
                .await?;
            }
        });
        Ok(())
    }

    /// The names of the endpoints that serve a version, or any version of a model.
    pub async fn endpoints_serving(
        &mut self,
        model: ModelId,
        version: Option<VersionId>,
    ) -> Result<Vec<String>> {
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "select distinct e.name from endpoints e \
                 join endpoint_versions s on s.endpoint_id = e.id \
                 where e.model_id = $1 and (cast($2 as text) is null or s.version_id = $2) \
                 order by e.name",
            )
            .bind(model.to_string())
            .bind(version.map(|id| id.to_string()))
            .fetch_all(c)
            .await?
        }))
    }

    /// Removes a person's endpoints with their ledgers.
    pub async fn delete_endpoints_of_user(&mut self, owner: UserId) -> Result<()> {
        let owner = owner.to_string();
        on!(self, |c| {
            for sql in [
                "delete from endpoint_versions where endpoint_id in \
                 (select id from endpoints where owner_id = $1)",
                "delete from deployments where endpoint_id in \
                 (select id from endpoints where owner_id = $1)",
                "delete from endpoints where owner_id = $1",
            ] {
                sqlx::query(sql).bind(&owner).execute(&mut *c).await?;
            }
        });
        Ok(())
    }
}
