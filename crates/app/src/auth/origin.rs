//! Where a change came from, for the audit log.

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_core::audit::{Actor, Via};
use plimsoll_core::idempotency::Claim;

use super::{Caller, ClientAddress};

/// Where a change came from. By default from the server itself.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    via: Via,
    address: Option<IpAddr>,
    request_id: Option<Box<str>>,
    claim: Option<Claim>,
}

impl Origin {
    /// An HTTP request from this address, logged under this name.
    pub fn request(address: IpAddr, request_id: &str) -> Self {
        Self {
            via: Via::Api,
            address: Some(address),
            request_id: Some(request_id.into()),
            claim: None,
        }
    }

    /// Whoever can write the data directory.
    pub const fn command_line() -> Self {
        Self {
            via: Via::CommandLine,
            address: None,
            request_id: None,
            claim: None,
        }
    }

    /// The same, under a claim.
    #[must_use]
    pub fn claiming(self, claim: Option<Claim>) -> Self {
        Self { claim, ..self }
    }

    /// What attempts to sign in are counted by. Without a connection, one place for all.
    pub(super) fn client(&self) -> ClientAddress {
        ClientAddress(self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// Somebody who has not proved yet who they are.
    pub(crate) fn stranger(&self) -> Actor {
        Actor {
            via: self.via,
            user: None,
            key: None,
            address: self.address,
            request_id: self.request_id.clone(),
            claim: self.claim.clone(),
        }
    }
}

impl Caller {
    /// The same caller, who came this way.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The caller as the audit log names them.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            user: Some(self.user),
            key: self.key,
            ..self.origin.stranger()
        }
    }
}
