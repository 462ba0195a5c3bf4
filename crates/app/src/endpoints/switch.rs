//! From what an endpoint serves to what it is to serve, without losing a request.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::audit::Action;
use plimsoll_core::digest::Digest;
use plimsoll_core::endpoint::{DeploymentAction, EndpointState, Share, Traffic, WorkloadSize};
use plimsoll_core::id::{DeploymentId, EndpointId, UserId};
use plimsoll_core::mode::Work;
use plimsoll_core::model::Status;
use plimsoll_core::revision::{IfMatch, Revision};
use plimsoll_core::time::Timestamp;
use plimsoll_store::{DeploymentEntry, DeploymentRow, EndpointRow, Subject, Tx};
use serde_json::{Value, json};

use super::EndpointView;
use crate::auth::Caller;
use crate::error::Require as _;
use crate::live::{ModelEntry, VersionEntry};
use crate::{App, Error};

/// How long what was served before stays in memory.
const GRACE: Duration = Duration::from_mins(5);

/// An endpoint after a change.
#[derive(Debug)]
pub struct Deployed {
    /// The endpoint.
    pub endpoint: EndpointView,
    /// The entry of its ledger.
    pub deployment: DeploymentEntry,
    /// Whether it was not there before.
    pub is_new: bool,
}

/// A change, worked out and not yet made.
pub(super) struct Plan {
    /// The endpoint as it is to be; counts and times are set when it is stored.
    pub(super) row: EndpointRow,
    /// What it is now; `None` if it is not there.
    pub(super) before: Option<EndpointRow>,
    pub(super) model: Arc<ModelEntry>,
    pub(super) traffic: Traffic,
    pub(super) action: DeploymentAction,
    pub(super) reason: Option<String>,
    /// The entry that a rollback goes back to.
    pub(super) restores: Option<i64>,
    /// Which states of the endpoint may be changed.
    pub(super) condition: IfMatch,
}

/// Which state of an endpoint this is: the deployment in effect.
pub fn revision(row: &EndpointRow) -> Revision {
    Revision::new(row.revision)
}

impl App {
    /// Whose turn it is to change an endpoint, so that changes follow each other.
    pub(super) async fn endpoint_turn(
        &self,
        owner: UserId,
        name: &str,
    ) -> crate::turns::Turn<'_, (UserId, String)> {
        self.deploying().take((owner, name.to_owned())).await
    }

    /// Makes a change: checks and loads what is to be served, then stores it and
    /// lets requests see it. The caller holds the endpoint's turn.
    pub(super) async fn switch(&self, caller: &Caller, plan: Plan) -> Result<Deployed, Error> {
        // Going back has to be possible in every mode.
        if plan.action != DeploymentAction::Rollback {
            self.require_mode(Work::Deploy)?;
        }
        let versions = plan.versions()?;
        if let Err(error) = self.make_ready(&plan, &versions).await {
            if let Some(word) = failure_word(&error) {
                self.store_failure(caller, &plan, word).await?;
            }
            return Err(error);
        }
        let served_before = self.artifacts_served(plan.row.id);
        let now = self.clock().now();
        let mut tx = self.begin(caller).await?;
        let stored = plan.stored(&mut tx).await?;
        plan.hold_versions(&mut tx, now).await?;
        let entry = self
            .entry(caller, &plan, (&mut tx, stored.as_ref()))
            .await?;
        let row = EndpointRow {
            state: EndpointState::Ready,
            revision: entry.number,
            deployments: entry.number,
            updated_at: now,
            ..plan.row.clone()
        };
        tx.put_endpoint(&row).await?;
        tx.set_shares(row.id, plan.traffic.shares()).await?;
        tx.insert_deployment(&entry).await?;
        tx.audit(action(plan.action), row.id, facts(&entry));
        tx.touch_only(Subject::Endpoint(row.id)).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        self.keep_warm(served_before, GRACE);
        tracing::info!(
            endpoint = %row.id, action = plan.action.name(), version = entry.version_number,
            by = %caller.user, "endpoint switched"
        );
        let is_new = stored.is_none_or(|row| row.state != EndpointState::Ready);
        Ok(Deployed {
            deployment: DeploymentEntry {
                endpoint: row.name.clone(),
                status: "active".to_owned(),
                row: entry,
            },
            endpoint: self.show(row, EndpointState::Ready).await?,
            is_new,
        })
    }

    /// Loads everything that is to be served, from files that are whole.
    async fn make_ready(&self, plan: &Plan, versions: &[Arc<VersionEntry>]) -> Result<(), Error> {
        let size = plan.row.workload_size;
        for version in versions {
            self.refuse_unverified(version).await?;
            // One that is in memory would hide that its file is damaged until the next start.
            self.check_original(version).await?;
            let (loaded, _) = self.loaded(version).await?;
            fits(version.number, loaded.predictor.cost().resident_bytes, size)?;
        }
        Ok(())
    }

    /// The contents of what an endpoint serves.
    fn artifacts_served(&self, endpoint: EndpointId) -> Vec<Digest> {
        let live = self.live();
        let entry = live.endpoint_by_id(endpoint);
        let versions = entry.into_iter().flat_map(|entry| entry.versions());
        versions.map(|version| version.artifact).collect()
    }

    /// Writes down that a change failed. An endpoint that was not there is kept as
    /// failed, so that there is something to look at.
    async fn store_failure(&self, caller: &Caller, plan: &Plan, word: &str) -> Result<(), Error> {
        let mut tx = self.begin(caller).await?;
        let stored = plan.stored(&mut tx).await?;
        let entry = DeploymentRow {
            error: Some(word.to_owned()),
            ..self.entry(caller, plan, (&mut tx, stored.as_ref())).await?
        };
        let row = EndpointRow {
            deployments: entry.number,
            updated_at: self.clock().now(),
            ..stored.unwrap_or_else(|| EndpointRow {
                state: EndpointState::Failed,
                ..plan.row.clone()
            })
        };
        tx.put_endpoint(&row).await?;
        tx.insert_deployment(&entry).await?;
        tx.audit(Action::EndpointFailed, row.id, facts(&entry));
        Ok(tx.commit().await?)
    }

    /// The next entry of the ledger of an endpoint as it is `stored`.
    async fn entry(
        &self,
        caller: &Caller,
        plan: &Plan,
        (tx, stored): (&mut Tx, Option<&EndpointRow>),
    ) -> Result<DeploymentRow, Error> {
        let version = plan.model.by_id(plan.traffic.primary());
        let current = match stored.filter(|row| row.state == EndpointState::Ready) {
            Some(row) => tx.deployment(row.id, row.revision).await?,
            None => None,
        };
        Ok(DeploymentRow {
            id: DeploymentId::new(self.ids()),
            endpoint_id: plan.row.id,
            owner_id: plan.row.owner_id,
            number: stored.map_or(0, |row| row.deployments) + 1,
            action: plan.action,
            model_id: plan.model.id,
            model_name: plan.model.name.clone(),
            version_id: plan.traffic.primary(),
            version_number: version.map_or(0, |version| version.number),
            previous_version_number: current.map(|current| current.version_number),
            served: plan.traffic.shares().to_vec(),
            restores: plan.restores,
            error: None,
            reason: plan.reason.clone(),
            by_user_id: caller.user,
            at: self.clock().now(),
        })
    }
}

impl Plan {
    /// The versions to be served; one that was archived is refused.
    fn versions(&self) -> Result<Vec<Arc<VersionEntry>>, Error> {
        const ARCHIVED: &str = "an archived version answers nobody; restore it first";
        if self.model.status == Status::Archived {
            return Err(Error::conflict("archived", ARCHIVED));
        }
        let found = |share: &Share| {
            let version = self.model.by_id(share.version).cloned();
            let version = version.ok_or(Error::NotFound { what: "version" })?;
            match version.status {
                Status::Archived => Err(Error::conflict("archived", ARCHIVED)),
                Status::Active | Status::Deprecated => Ok(version),
            }
        };
        self.traffic.shares().iter().map(found).collect()
    }

    /// Makes sure that what is to be served is still there and stays: the model's
    /// row is locked until `tx` ends.
    async fn hold_versions(&self, tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
        tx.touch_model(self.model.id, now).await?;
        for share in self.traffic.shares() {
            let version = tx.version_by_id(share.version).await?;
            if version.is_none_or(|version| version.status == Status::Archived) {
                let detail = "a version was archived or deleted while it was loaded";
                return Err(Error::conflict("endpoint-changed", detail));
            }
        }
        Ok(())
    }

    /// The endpoint as it is stored, locked until `tx` ends. If somebody else
    /// changed it since this plan was made, on another replica, the plan is void.
    async fn stored(&self, tx: &mut Tx) -> Result<Option<EndpointRow>, Error> {
        let stored = tx.lock_endpoint(self.row.owner_id, &self.row.name).await?;
        if let Some(stored) = &stored {
            self.condition.require(&revision(stored))?;
        }
        let count = |row: Option<&EndpointRow>| row.map(|row| row.deployments);
        if count(stored.as_ref()) != count(self.before.as_ref()) {
            let detail = "the endpoint was changed at the same time; look at it and try again";
            return Err(Error::conflict("endpoint-changed", detail));
        }
        Ok(stored)
    }
}

/// The audit log's word for what was done.
pub(super) const fn action(done: DeploymentAction) -> Action {
    match done {
        DeploymentAction::Create => Action::EndpointCreated,
        DeploymentAction::Update => Action::EndpointChanged,
        DeploymentAction::Traffic => Action::EndpointTrafficChanged,
        DeploymentAction::Rollback => Action::EndpointRolledBack,
        DeploymentAction::Delete => Action::EndpointDeleted,
    }
}

/// What the audit log says of an entry of the ledger.
pub(super) fn facts(entry: &DeploymentRow) -> Value {
    json!({
        "deployment": entry.number, "model": entry.model_id, "served": entry.served,
        "before": {"version": entry.previous_version_number},
        "after": {"version": entry.version_number},
    })
}

/// Refuses a model that keeps more memory than the size allows, in bytes.
fn fits(version: i64, bytes: u64, size: WorkloadSize) -> Result<(), Error> {
    let (most, name) = (size.model_bytes(), size.name());
    if bytes <= most {
        return Ok(());
    }
    let detail = format!(
        "version {version} keeps {bytes} bytes of memory; {name} takes models of up to {most}"
    );
    let expected = match size {
        WorkloadSize::Small | WorkloadSize::Medium => "a larger size",
        WorkloadSize::Large => "a smaller model",
    };
    Err(Error::field(
        "/workload_size",
        "model-too-large",
        detail,
        expected,
    ))
}

/// What the ledger says of a change that could not be made; `None` if the request
/// itself was at fault.
fn failure_word(error: &Error) -> Option<&'static str> {
    match error {
        Error::ModelBroken { .. } => Some("model-broken"),
        Error::EngineUnavailable { .. } => Some("engine-unavailable"),
        Error::Conflict {
            code: code @ "verification-failed",
            ..
        } => Some(code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_takes_models_up_to_its_bound() {
        let small = 256 << 20;
        assert!(fits(1, small, WorkloadSize::Small).is_ok());
        assert!(fits(1, small + 1, WorkloadSize::Medium).is_ok());
        let Err(Error::Invalid(errors)) = fits(7, small + 1, WorkloadSize::Small) else {
            unreachable!("one byte too many");
        };
        assert_eq!(errors[0].pointer, "/workload_size");
        assert!(
            errors[0].detail.contains("version 7"),
            "{}",
            errors[0].detail
        );
        assert!(fits(1, (4 << 30) + 1, WorkloadSize::Large).is_err());
    }
}
