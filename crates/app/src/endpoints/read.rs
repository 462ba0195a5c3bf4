//! Looking at endpoints and their ledgers.

use plimsoll_core::endpoint::{EndpointRef, EndpointState, Role, Share};
use plimsoll_core::key::Scope;
use plimsoll_core::model::ModelRef;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_store::{DeploymentEntry, DeploymentFilter, EndpointFilter, EndpointRow};

use crate::auth::Caller;
use crate::{App, Error};

/// An endpoint as people see it.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// Its row.
    pub row: EndpointRow,
    /// What it is doing, what is under way included.
    pub state: EndpointState,
    /// Name of its model.
    pub model: String,
    /// What it serves, in order; nothing if it answers nobody.
    pub served: Vec<ServedVersion>,
}

/// One version of an endpoint.
#[derive(Clone, Debug)]
pub struct ServedVersion {
    /// Its number.
    pub version: i64,
    /// Its label.
    pub label: String,
    /// Percent of the requests.
    pub weight: u8,
    /// What it is.
    pub role: Role,
}

impl App {
    /// The caller's endpoints, as far as their credential reaches.
    pub async fn endpoints(
        &self,
        caller: &Caller,
        filter: EndpointFilter,
        page: PageRequest,
    ) -> Result<Page<EndpointView>, Error> {
        caller.require(Scope::Read)?;
        let filter = EndpointFilter {
            owner_id: Some(caller.user),
            models: caller.models().to_vec(),
            ..filter
        };
        let Page {
            items,
            total,
            page,
            page_size,
        } = self.db().endpoints_page(&filter, page).await?;
        let mut views = Vec::with_capacity(items.len());
        for row in items {
            views.push(self.endpoint_view(row).await?);
        }
        Ok(Page {
            items: views,
            total,
            page,
            page_size,
        })
    }

    /// One endpoint, stopped and failed ones included.
    pub async fn endpoint(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
    ) -> Result<EndpointView, Error> {
        caller.require(Scope::Read)?;
        let row = self.endpoint_row(caller, endpoint).await?;
        self.endpoint_view(row).await
    }

    /// The ledger of one endpoint, newest first.
    pub async fn endpoint_history(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
        limit: u32,
    ) -> Result<Vec<DeploymentEntry>, Error> {
        caller.require(Scope::Read)?;
        let row = self.endpoint_row(caller, endpoint).await?;
        let filter = DeploymentFilter {
            endpoint: Some(row.id),
            ..DeploymentFilter::default()
        };
        let page = PageRequest {
            number: 1,
            size: limit,
        };
        Ok(self.db().deployments_page(&filter, page).await?.items)
    }

    /// The ledgers of all the caller's endpoints, newest first; of one model, if asked.
    pub async fn deployments(
        &self,
        caller: &Caller,
        model: Option<&ModelRef>,
        status: Option<String>,
        page: PageRequest,
    ) -> Result<Page<DeploymentEntry>, Error> {
        caller.require(Scope::Read)?;
        let (owner, models) = match model {
            Some(model) => {
                let model = self.live().model(caller, model)?.clone();
                (model.owner, vec![model.id])
            }
            None => (caller.user, caller.models().to_vec()),
        };
        let filter = DeploymentFilter {
            owner_id: Some(owner),
            models,
            status,
            ..DeploymentFilter::default()
        };
        Ok(self.db().deployments_page(&filter, page).await?)
    }

    /// The row of an endpoint that the caller may see.
    pub(super) async fn endpoint_row(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
    ) -> Result<EndpointRow, Error> {
        let row = match endpoint {
            EndpointRef::Id(id) => self.db().endpoint_by_id(*id).await?,
            EndpointRef::Name(name) => self.db().endpoint_by_name(caller.user, name).await?,
        };
        let row = row
            .filter(|row| row.owner_id == caller.user || caller.is_admin())
            .ok_or(Error::NotFound { what: "endpoint" })?;
        caller.require_model(row.model_id)?;
        Ok(row)
    }

    async fn endpoint_view(&self, row: EndpointRow) -> Result<EndpointView, Error> {
        let is_changing = self.deploying().is_taken(&(row.owner_id, row.name.clone()));
        let state = match (row.state, is_changing) {
            (EndpointState::Ready, true) => EndpointState::Updating,
            (_, true) => EndpointState::Creating,
            (state, false) => state,
        };
        self.show(row, state).await
    }

    /// An endpoint that is in this state.
    pub(super) async fn show(
        &self,
        row: EndpointRow,
        state: EndpointState,
    ) -> Result<EndpointView, Error> {
        let shares = self.db().endpoint_shares(row.id).await?;
        let model = self.live().model_by_id(row.model_id).cloned();
        let served = |share: &Share| {
            let version = model.as_ref()?.by_id(share.version)?;
            Some(ServedVersion {
                version: version.number,
                label: version.label.clone(),
                weight: share.weight,
                role: share.role,
            })
        };
        Ok(EndpointView {
            state,
            served: shares.iter().filter_map(served).collect(),
            model: model
                .as_ref()
                .map_or_else(String::new, |model| model.name.clone()),
            row,
        })
    }
}
