//! Whether an endpoint would answer, without asking anybody's question.

use plimsoll_core::endpoint::{EndpointRef, EndpointState, Share};
use plimsoll_core::key::Scope;

use crate::auth::Caller;
use crate::live::VersionEntry;
use crate::{App, Error};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// All is well.
    Pass,
    /// It works, but somebody should look.
    Warning,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// A stable word.
    pub name: &'static str,
    /// How it went.
    pub status: CheckStatus,
    /// A sentence for people.
    pub message: String,
}

/// Everything that was looked at.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Whether nothing failed.
    pub is_valid: bool,
    /// Each check, in the order they were made.
    pub checks: Vec<Check>,
}

impl Validation {
    fn new(checks: Vec<Check>) -> Self {
        let is_valid = checks.iter().all(|check| check.status != CheckStatus::Fail);
        Self { is_valid, checks }
    }
}

impl App {
    /// Checks each version of an endpoint: its file is there and whole, it can be
    /// loaded, it answers an example, and it does not expect to be replaced.
    pub async fn validate_endpoint(
        &self,
        caller: &Caller,
        endpoint: &EndpointRef,
    ) -> Result<Validation, Error> {
        caller.require(Scope::Read)?;
        let row = self.endpoint_row(caller, endpoint).await?;
        let mut checks = vec![ready(row.state)];
        let model = self.live().model_by_id(row.model_id).cloned();
        let model = model.ok_or(Error::NotFound { what: "model" })?;
        let shares: Vec<Share> = self.db().endpoint_shares(row.id).await?;
        for version in shares.iter().filter_map(|share| model.by_id(share.version)) {
            self.check_version(version, &mut checks).await;
        }
        Ok(Validation::new(checks))
    }

    async fn check_version(&self, version: &VersionEntry, checks: &mut Vec<Check>) {
        let number = version.number;
        let mut add = |name, status, message: &str| {
            let message = format!("version {number}: {message}");
            checks.push(Check {
                name,
                status,
                message,
            });
        };
        if self.check_original(version).await.is_err() {
            return add(
                "artifact",
                CheckStatus::Fail,
                "the stored file is missing or damaged",
            );
        }
        add(
            "artifact",
            CheckStatus::Pass,
            "the stored file has its SHA-256",
        );
        let Ok((loaded, _)) = self.loaded(version).await else {
            return add("loads", CheckStatus::Fail, "the model cannot be loaded");
        };
        add("loads", CheckStatus::Pass, "the model is loaded");
        match self.try_out(version, &loaded).await {
            Ok(()) => add(
                "predicts",
                CheckStatus::Pass,
                "it answers its sample rows or an example",
            ),
            // The example is made up of the schema, so that it fails says little.
            Err(_) if version.samples.is_none() => add(
                "predicts",
                CheckStatus::Warning,
                "it does not answer a row made of its schema; give it sample rows",
            ),
            Err(_) => add(
                "predicts",
                CheckStatus::Fail,
                "it does not answer its sample rows",
            ),
        }
        if version.status == plimsoll_core::model::Status::Deprecated {
            add("current", CheckStatus::Warning, "it is deprecated");
        }
    }
}

fn ready(state: EndpointState) -> Check {
    let (status, message) = match state {
        EndpointState::Ready => (CheckStatus::Pass, "the endpoint answers"),
        EndpointState::Creating | EndpointState::Updating => {
            (CheckStatus::Warning, "the endpoint is being changed")
        }
        EndpointState::Failed => (CheckStatus::Fail, "its first version could not be loaded"),
        EndpointState::Stopped => (CheckStatus::Fail, "the endpoint was stopped"),
    };
    Check {
        name: "ready",
        status,
        message: message.to_owned(),
    }
}
