//! What is known about one request from its arrival on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use plimsoll_app::auth::Origin;
use plimsoll_app::limits::Standings;
use plimsoll_core::id::{KeyId, UserId};
use plimsoll_core::idempotency::Claim;
use plimsoll_core::time::Monotonic;

use crate::problem::{Kind, Problem};

/// The address a connection came from; the accept loop puts it into each request.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    /// The address as the log has it, written once for a connection.
    text: Arc<str>,
}

impl Peer {
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }
}

impl From<SocketAddr> for Peer {
    fn from(peer: SocketAddr) -> Self {
        let address = peer.ip().to_canonical();
        let text = address.to_string().into();
        Self { address, text }
    }
}

/// Who a request turned out to be from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Principal {
    /// The account.
    pub(crate) user: UserId,
    /// The API key, if one was used.
    pub key: Option<KeyId>,
}

/// What is known about one request. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    request_id: HeaderValue,
    peer: Option<Peer>,
    principal: OnceLock<Principal>,
    /// Only of callers who have limits.
    standings: OnceLock<Standings>,
    deadline: OnceLock<Monotonic>,
    /// Only of requests that may be sent twice.
    claim: OnceLock<Claim>,
}

impl Context {
    pub(crate) fn new(request_id: HeaderValue, peer: Option<Peer>) -> Self {
        Self(Arc::new(Inner {
            request_id,
            peer,
            principal: OnceLock::new(),
            standings: OnceLock::new(),
            deadline: OnceLock::new(),
            claim: OnceLock::new(),
        }))
    }

    /// The id under which this request is logged, as a header value.
    pub(crate) fn request_id_header(&self) -> &HeaderValue {
        &self.0.request_id
    }

    /// The id under which this request is logged.
    pub(crate) fn request_id(&self) -> &str {
        self.0.request_id.to_str().unwrap_or_default()
    }

    /// The client's address; unspecified when no connection is known.
    pub(crate) fn address(&self) -> IpAddr {
        let peer = self.0.peer.as_ref();
        peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address)
    }

    /// The client's address as the log has it.
    pub(crate) fn client(&self) -> &str {
        self.0.peer.as_ref().map_or("0.0.0.0", |peer| &peer.text)
    }

    /// Where the request came from, as the audit log has it.
    pub(crate) fn origin(&self) -> Origin {
        Origin::request(self.address(), self.request_id()).claiming(self.0.claim.get().cloned())
    }

    pub(crate) fn set_claim(&self, claim: Claim) {
        // A request is claimed once, before its handler runs.
        let _ = self.0.claim.set(claim);
    }

    /// Whether the client runs on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address().is_loopback()
    }

    /// Who the request is from, once a credential was checked.
    pub(crate) fn principal(&self) -> Option<Principal> {
        self.0.principal.get().copied()
    }

    /// How the caller stands with the limits that apply; `None` without any.
    pub(crate) fn standings(&self) -> Option<Standings> {
        self.0.standings.get().copied()
    }

    pub(crate) fn set_standings(&self, standings: Standings) {
        if standings.leading().is_some() {
            // A request is counted once.
            let _ = self.0.standings.set(standings);
        }
    }

    /// When the answer must be there.
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        self.0.deadline.get().copied()
    }

    pub(crate) fn set_deadline(&self, deadline: Monotonic) {
        // The edge sets it once per request.
        let _ = self.0.deadline.set(deadline);
    }

    pub(crate) fn set_principal(&self, principal: Principal) {
        // A second credential check of one request finds the same principal.
        let _ = self.0.principal.set(principal);
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::of(Kind::Internal))
    }
}
