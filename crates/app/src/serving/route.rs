//! Which version of which model a request goes to.

use std::fmt;
use std::sync::Arc;

use plimsoll_core::endpoint::{EndpointRef, Sticky, Ticket};
use plimsoll_core::id::KeyId;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};

use super::guard;
use super::predict::PredictCall;
use crate::auth::Caller;
use crate::live::{EndpointEntry, ModelEntry, VersionEntry};
use crate::{App, Error};

/// What is asked for a prediction.
#[derive(Debug)]
pub enum Target<'a> {
    /// A model, by its implicit endpoint or with one of its versions.
    Model {
        /// Which model.
        model: ModelRef,
        /// Which version of it, as far as the path says.
        version: VersionRef,
    },
    /// An endpoint.
    Endpoint {
        /// Which one.
        endpoint: EndpointRef,
        /// The request's headers, one of which may keep a caller with a version.
        headers: Headers<'a>,
    },
    /// A model, or an endpoint where no model has the name.
    Named {
        /// What it is called.
        name: &'a str,
        /// The request's headers, for an endpoint.
        headers: Headers<'a>,
    },
}

/// Looks up the value of a request header by its lower-case name.
#[derive(Clone, Copy)]
pub struct Headers<'a>(pub &'a (dyn Fn(&str) -> Option<&'a [u8]> + Sync));

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers")
    }
}

/// Where a request goes.
pub(super) struct Route {
    pub(super) model: Arc<ModelEntry>,
    pub(super) version: Arc<VersionEntry>,
    /// Whether a body may not name another version.
    pub(super) is_settled: bool,
    /// The endpoint called, if one was.
    pub(super) endpoint: Option<Arc<EndpointEntry>>,
    /// The place of the request in the endpoint's traffic.
    pub(super) ticket: Ticket,
}

impl Route {
    /// The name of the endpoint called.
    pub(super) fn endpoint_name(&self) -> Option<&str> {
        self.endpoint
            .as_ref()
            .map(|endpoint| endpoint.name.as_str())
    }
}

impl App {
    /// The model and the version a call means, as far as its path says.
    pub(super) fn resolve(&self, call: &PredictCall<'_>) -> Result<Route, Error> {
        call.caller.require(Scope::Predict)?;
        match &call.target {
            Target::Model { model, version } => self.model_route(call.caller, model, version),
            Target::Endpoint { endpoint, headers } => {
                self.endpoint_route(call.caller, endpoint, *headers)
            }
            Target::Named { name, headers } => self.named_route(call.caller, name, *headers),
        }
    }

    fn model_route(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<Route, Error> {
        let live = self.live();
        live.require_serving()?;
        let model = live.model(caller, model)?.clone();
        if model.status == Status::Archived {
            return Err(Error::NotFound { what: "model" });
        }
        Ok(Route {
            version: model.version(version)?.clone(),
            is_settled: *version != VersionRef::Default,
            endpoint: None,
            ticket: Ticket(0),
            model,
        })
    }

    fn named_route(
        &self,
        caller: &Caller,
        name: &str,
        headers: Headers<'_>,
    ) -> Result<Route, Error> {
        let model = self.model_route(caller, &ModelRef::from(name), &VersionRef::Default);
        let Err(Error::NotFound { what: "model" }) = model else {
            return model;
        };
        match self.endpoint_route(caller, &EndpointRef::from(name), headers) {
            Err(Error::NotFound { .. }) => model,
            endpoint => endpoint,
        }
    }

    fn endpoint_route(
        &self,
        caller: &Caller,
        wanted: &EndpointRef,
        headers: Headers<'_>,
    ) -> Result<Route, Error> {
        let live = self.live();
        live.require_serving()?;
        let endpoint = live.endpoint(caller, wanted)?.clone();
        guard::take_quota(&endpoint, self.meters(), self.clock().now())?;
        let ticket = self.ticket(&endpoint, caller, headers);
        Ok(Route {
            model: endpoint.model.clone(),
            version: endpoint.answering(ticket).clone(),
            is_settled: true,
            endpoint: Some(endpoint),
            ticket,
        })
    }

    /// The place of a request in an endpoint's traffic.
    fn ticket(&self, endpoint: &EndpointEntry, caller: &Caller, headers: Headers<'_>) -> Ticket {
        let kept = match &endpoint.sticky {
            Sticky::None => None,
            Sticky::Key => {
                let user = caller.user.as_u128();
                let caller = caller.key.map_or(user, KeyId::as_u128).to_be_bytes();
                Some(Ticket::of_caller(endpoint.id, &caller))
            }
            Sticky::Header(name) => {
                headers.0(name).map(|value| Ticket::of_caller(endpoint.id, value))
            }
        };
        kept.unwrap_or_else(|| self.serving().draw())
    }
}
