//! Make an endpoint, change it, stop it.

use std::sync::Arc;

use plimsoll_core::endpoint::{
    DeploymentAction, EndpointName, EndpointRef, EndpointState, Guardrails, Sticky, Traffic,
    WorkloadSize,
};
use plimsoll_core::id::{DeploymentId, EndpointId, UserId};
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_core::revision::IfMatch;
use plimsoll_store::{DeploymentRow, EndpointRow, Subject};

use super::switch::{Plan, action, facts, revision};
use super::{Deployed, SettingsChange};
use crate::auth::Caller;
use crate::error::Require as _;
use crate::live::ModelEntry;
use crate::{App, Error};

/// Longest reason for a change, in characters.
const MAX_REASON: usize = 500;

/// A version that is to be served under a name.
#[derive(Debug)]
pub struct NewEndpoint {
    /// Which model.
    pub model: ModelRef,
    /// Which version of it.
    pub version: VersionRef,
    /// Its name; made of model and version if absent.
    pub name: Option<EndpointName>,
    /// Everything else.
    pub settings: SettingsChange,
    /// Why, for the ledger.
    pub reason: Option<String>,
}

/// What changes about an endpoint.
#[derive(Debug, Default)]
pub struct EndpointChange {
    /// All requests go to this version; without it they go where they went.
    pub version: Option<VersionRef>,
    /// Everything else.
    pub settings: SettingsChange,
    /// Why, for the ledger.
    pub reason: Option<String>,
}

impl App {
    /// Serves a version under a name: a new endpoint, or another version of the one
    /// that has the name. What is not named of that one stays.
    pub async fn deploy(&self, caller: &Caller, new: NewEndpoint) -> Result<Deployed, Error> {
        caller.require(Scope::Write)?;
        new.settings.check()?;
        check_reason(new.reason.as_deref())?;
        let model = self.live().model(caller, &new.model)?.clone();
        let version = model.version(&new.version)?.clone();
        let generated = || EndpointName::of_version(&model.name, version.number);
        let name = new.name.unwrap_or_else(generated);
        let owner = model.owner;
        let _turn = self.endpoint_turn(owner, name.as_str()).await;
        let before = self.db().endpoint_by_name(owner, name.as_str()).await?;
        if let Some(before) = &before {
            caller.require_model(before.model_id)?;
        }
        let serves = |row: &&EndpointRow| row.state == EndpointState::Ready;
        let action = match before.as_ref().filter(serves) {
            Some(_) => DeploymentAction::Update,
            None => DeploymentAction::Create,
        };
        // What was stopped begins anew, under its name and with its ledger.
        let kept = before.clone().filter(|row| serves(&row));
        let mut row = kept.unwrap_or_else(|| {
            let id = before.as_ref().map(|row| row.id);
            self.blank_endpoint(caller, id, &name, &model)
        });
        row.model_id = model.id;
        new.settings.apply(&mut row);
        let plan = Plan {
            row,
            before,
            traffic: Traffic::all_to(version.id),
            model,
            action,
            reason: new.reason,
            restores: None,
            condition: IfMatch::Always,
        };
        self.switch(caller, plan).await
    }

    /// Changes version or settings of an endpoint.
    pub async fn update_endpoint(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
        change: EndpointChange,
        condition: IfMatch,
    ) -> Result<Deployed, Error> {
        caller.require(Scope::Write)?;
        change.settings.check()?;
        check_reason(change.reason.as_deref())?;
        let (_turn, before, model) = self.endpoint_to_change(caller, endpoint).await?;
        let traffic = match &change.version {
            Some(version) => Traffic::all_to(model.version(version)?.id),
            None => self.current_traffic(&before).await?,
        };
        let mut row = before.clone();
        change.settings.apply(&mut row);
        let plan = Plan {
            row,
            before: Some(before),
            model,
            traffic,
            action: DeploymentAction::Update,
            reason: change.reason,
            restores: None,
            condition,
        };
        self.switch(caller, plan).await
    }

    /// Stops an endpoint: it answers nobody from now on. Its ledger and name stay.
    pub async fn stop_endpoint(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
        reason: Option<String>,
        condition: &IfMatch,
    ) -> Result<(), Error> {
        caller.require(Scope::Write)?;
        check_reason(reason.as_deref())?;
        let found = self.endpoint_row(caller, endpoint).await?;
        let _turn = self.endpoint_turn(found.owner_id, &found.name).await;
        let mut tx = self.begin(caller).await?;
        let row = tx.lock_endpoint(found.owner_id, &found.name).await?;
        let row = row.ok_or(Error::NotFound { what: "endpoint" })?;
        condition.require(&revision(&row))?;
        if row.state == EndpointState::Stopped {
            return Ok(());
        }
        let number = row.deployments + 1;
        let last = tx.deployment(row.id, row.revision.max(1)).await?;
        let last = last.ok_or(Error::NotFound { what: "endpoint" })?;
        let now = self.clock().now();
        let entry = DeploymentRow {
            id: DeploymentId::new(self.ids()),
            number,
            action: DeploymentAction::Delete,
            previous_version_number: Some(last.version_number),
            served: Vec::new(),
            restores: None,
            error: None,
            reason,
            by_user_id: caller.user,
            at: now,
            ..last
        };
        let row = EndpointRow {
            state: EndpointState::Stopped,
            revision: number,
            deployments: number,
            updated_at: now,
            ..row
        };
        tx.put_endpoint(&row).await?;
        tx.set_shares(row.id, &[]).await?;
        tx.insert_deployment(&entry).await?;
        tx.audit(action(entry.action), row.id, facts(&entry));
        tx.touch_only(Subject::Endpoint(row.id)).await?;
        tx.commit().await?;
        tracing::info!(endpoint = %row.id, by = %caller.user, "endpoint stopped");
        self.refresh_live().await
    }

    /// An endpoint that answers, its model, and the turn to change it.
    pub(super) async fn endpoint_to_change(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
    ) -> Result<
        (
            crate::turns::Turn<'_, (UserId, String)>,
            EndpointRow,
            Arc<ModelEntry>,
        ),
        Error,
    > {
        let found = self.endpoint_row(caller, endpoint).await?;
        let turn = self.endpoint_turn(found.owner_id, &found.name).await;
        // Somebody may have changed it while this call waited for its turn.
        let row = self.endpoint_row(caller, endpoint).await?;
        if row.state != EndpointState::Ready {
            let detail = "the endpoint answers nobody; deploy a version under its name first";
            return Err(Error::conflict("endpoint-stopped", detail));
        }
        let model = self.live().model_by_id(row.model_id).cloned();
        let model = model.ok_or(Error::NotFound { what: "model" })?;
        Ok((turn, row, model))
    }

    /// What an endpoint serves now.
    pub(super) async fn current_traffic(&self, row: &EndpointRow) -> Result<Traffic, Error> {
        let shares = self.db().endpoint_shares(row.id).await?;
        Traffic::new(shares)
            .map_err(|_| Error::Internal(anyhow::anyhow!("an endpoint without traffic")))
    }

    fn blank_endpoint(
        &self,
        caller: &Caller,
        id: Option<EndpointId>,
        name: &EndpointName,
        model: &ModelEntry,
    ) -> EndpointRow {
        let now = self.clock().now();
        EndpointRow {
            id: id.unwrap_or_else(|| EndpointId::new(self.ids())),
            owner_id: model.owner,
            name: name.as_str().to_owned(),
            model_id: model.id,
            state: EndpointState::Creating,
            sticky: Sticky::None,
            workload_size: WorkloadSize::Small,
            scale_to_zero: true,
            environment: std::collections::BTreeMap::new(),
            guardrails: Guardrails::default(),
            revision: 0,
            deployments: 0,
            created_by: caller.user,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Refuses a reason that does not fit into a line.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), Error> {
    let fits =
        |text: &str| text.chars().count() <= MAX_REASON && !text.chars().any(char::is_control);
    if reason.is_none_or(fits) {
        return Ok(());
    }
    Err(Error::field(
        "/reason",
        "invalid-reason",
        format!("expected at most {MAX_REASON} characters, none of them control characters"),
        format!("string of at most {MAX_REASON} characters"),
    ))
}
