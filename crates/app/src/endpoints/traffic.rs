//! Spread requests over versions.

use std::sync::Arc;

use plimsoll_core::endpoint::{DeploymentAction, EndpointRef, Role, Share, Sticky, Traffic};
use plimsoll_core::field::FieldError;
use plimsoll_core::key::Scope;
use plimsoll_core::model::VersionRef;
use plimsoll_core::revision::IfMatch;

use super::deploy::check_reason;
use super::switch::Plan;
use super::{Deployed, SettingsChange};
use crate::auth::Caller;
use crate::live::ModelEntry;
use crate::{App, Error};

/// How requests are to be spread.
#[derive(Debug)]
pub struct TrafficChange {
    /// All versions that are to be served, in order.
    pub served: Vec<NewShare>,
    /// What keeps a caller with a version; `None` keeps.
    pub sticky: Option<Sticky>,
    /// Why, for the ledger.
    pub reason: Option<String>,
}

/// One version and its share.
#[derive(Debug)]
pub struct NewShare {
    /// Which version of the endpoint's model.
    pub version: VersionRef,
    /// Percent of the requests.
    pub weight: u8,
    /// What it is.
    pub role: Role,
}

impl App {
    /// Spreads an endpoint's requests over versions of its model.
    pub async fn set_traffic(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
        change: TrafficChange,
        condition: IfMatch,
    ) -> Result<Deployed, Error> {
        caller.require(Scope::Write)?;
        check_reason(change.reason.as_deref())?;
        let (_turn, before, model) = self.endpoint_to_change(caller, endpoint).await?;
        let traffic = Traffic::new(shares(&model, &change.served)?).map_err(Error::Invalid)?;
        let mut row = before.clone();
        let settings = SettingsChange {
            sticky: change.sticky,
            ..SettingsChange::default()
        };
        settings.apply(&mut row);
        let plan = Plan {
            row,
            before: Some(before),
            model,
            traffic,
            action: DeploymentAction::Traffic,
            reason: change.reason,
            restores: None,
            condition,
        };
        self.switch(caller, plan).await
    }
}

fn shares(model: &Arc<ModelEntry>, wanted: &[NewShare]) -> Result<Vec<Share>, Error> {
    let mut errors = Vec::new();
    let mut shares = Vec::with_capacity(wanted.len());
    for (index, share) in wanted.iter().enumerate() {
        match model.version(&share.version) {
            Ok(version) => shares.push(Share {
                version: version.id,
                weight: share.weight,
                role: share.role,
            }),
            Err(_) => errors.push(FieldError::new(
                format!("/served/{index}/version"),
                "unknown-version",
                "the endpoint's model has no such version",
            )),
        }
    }
    if errors.is_empty() {
        Ok(shares)
    } else {
        Err(Error::Invalid(errors))
    }
}
