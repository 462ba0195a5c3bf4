//! Back to what was served before.

use plimsoll_core::endpoint::{DeploymentAction, EndpointRef, Traffic};
use plimsoll_core::key::Scope;
use plimsoll_core::model::VersionRef;
use plimsoll_core::revision::IfMatch;
use plimsoll_store::EndpointRow;

use super::Deployed;
use super::deploy::check_reason;
use super::switch::Plan;
use crate::auth::Caller;
use crate::{App, Error};

/// Where to go back to.
#[derive(Debug, Default)]
pub struct Rollback {
    /// All requests go to this version; without it, the endpoint serves what it
    /// served before its last change.
    pub target: Option<VersionRef>,
    /// Why, for the ledger.
    pub reason: Option<String>,
}

/// An endpoint that went back.
#[derive(Debug)]
pub struct RolledBack {
    /// The endpoint and the entry of its ledger.
    pub deployed: Deployed,
    /// The number of the version that stood for it before.
    pub previous_version: Option<i64>,
    /// The number of the version that stands for it now.
    pub target_version: i64,
}

impl App {
    /// Goes back: to a version, or to what the endpoint served before. Going back
    /// again goes one further: what a rollback left is never its target.
    pub async fn roll_back(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
        rollback: Rollback,
        condition: IfMatch,
    ) -> Result<RolledBack, Error> {
        caller.require(Scope::Write)?;
        check_reason(rollback.reason.as_deref())?;
        let (_turn, before, model) = self.endpoint_to_change(caller, endpoint).await?;
        let (traffic, restores) = match &rollback.target {
            Some(version) => (Traffic::all_to(model.version(version)?.id), None),
            None => self.served_before(&before).await?,
        };
        let plan = Plan {
            row: before.clone(),
            before: Some(before),
            model,
            traffic,
            action: DeploymentAction::Rollback,
            reason: rollback.reason,
            restores,
            condition,
        };
        let deployed = self.switch(caller, plan).await?;
        Ok(RolledBack {
            previous_version: deployed.deployment.row.previous_version_number,
            target_version: deployed.deployment.row.version_number,
            deployed,
        })
    }

    /// What an endpoint served before what it serves now, and the entry that began it.
    async fn served_before(&self, row: &EndpointRow) -> Result<(Traffic, Option<i64>), Error> {
        let mut tx = self.db().begin().await?;
        let current = tx.deployment(row.id, row.revision).await?;
        let current = current.ok_or(Error::NotFound { what: "deployment" })?;
        // What a rollback restored is as old as the entry it restored.
        let number = current.restores.unwrap_or(current.number);
        let target = tx
            .deployment_to_restore(row.id, number, &current.served)
            .await?;
        let target = target.filter(|target| target.model_id == row.model_id);
        let Some(target) = target else {
            let detail = "the endpoint served nothing else of this model before";
            return Err(Error::conflict("nothing-to-restore", detail));
        };
        let traffic = Traffic::new(target.served).map_err(Error::Invalid)?;
        Ok((traffic, Some(target.number)))
    }
}
