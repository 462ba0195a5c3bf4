//! Authentication as a type: a handler that takes `Caller<needs::Write>` is
//! only ever called for somebody who may write.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use plimsoll_app::auth::{self, ClientAddress, Credential, Origin};
use plimsoll_app::limits::Spend;
use plimsoll_core::key::Scope;

use crate::context::{Context, Principal};
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a handler needs of its caller, as a type.
pub(crate) trait Needs: Send + Sync + 'static {
    /// The scope the credential has to include.
    const SCOPE: Option<Scope>;
    /// Whether the account has to be an administrator's.
    const ADMIN: bool = false;
    /// Whether the caller may change something, so that the audit log asks where they come from.
    const CHANGES: bool = true;
    /// Whether the request counts for the caller's limits.
    const SPEND: Spend = Spend::One;
}

/// The things a handler can need.
pub(crate) mod needs {
    use plimsoll_app::limits::Spend;
    use plimsoll_core::key::Scope;

    use super::Needs;

    /// Any valid credential.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Anything;
    /// Any valid credential, only to see how it stands.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Standing;
    /// The scope `predict`.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Predict;
    /// The scope `read`.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Read;
    /// The scope `write`.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Write;
    /// The scope `admin`, on what the caller owns.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Admin;
    /// An administrator of the installation, with the scope `admin`.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct AdminRole;

    impl Needs for Anything {
        const SCOPE: Option<Scope> = None;
    }
    impl Needs for Standing {
        const SCOPE: Option<Scope> = None;
        const CHANGES: bool = false;
        const SPEND: Spend = Spend::Nothing;
    }
    impl Needs for Predict {
        const SCOPE: Option<Scope> = Some(Scope::Predict);
        // The path of a prediction does not pay for it.
        const CHANGES: bool = false;
    }
    impl Needs for Read {
        const SCOPE: Option<Scope> = Some(Scope::Read);
        const CHANGES: bool = false;
    }
    impl Needs for Write {
        const SCOPE: Option<Scope> = Some(Scope::Write);
    }
    impl Needs for Admin {
        const SCOPE: Option<Scope> = Some(Scope::Admin);
    }
    impl Needs for AdminRole {
        const SCOPE: Option<Scope> = Some(Scope::Admin);
        const ADMIN: bool = true;
    }
}

/// An authenticated caller who may do what `N` says.
pub(crate) struct Caller<N: Needs>(auth::Caller, PhantomData<N>);

/// A caller with any valid credential.
pub(crate) type Authenticated = Caller<needs::Anything>;
/// A caller who runs the installation.
pub(crate) type AdminUser = Caller<needs::AdminRole>;

impl<N: Needs> fmt::Debug for Caller<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.0.user).finish()
    }
}

impl<N: Needs> Deref for Caller<N> {
    type Target = auth::Caller;

    fn deref(&self) -> &auth::Caller {
        &self.0
    }
}

impl<N: Needs> Caller<N> {
    /// Who the credential in the headers belongs to, if they may do what `N` says.
    pub(crate) fn of(
        headers: &HeaderMap,
        context: Option<&Context>,
        wire: &Wire,
    ) -> Result<Self, Problem> {
        let from = address(context);
        let mut caller = wire
            .app()
            .authenticate(credential(headers)?, from, N::SPEND)?;
        if let Some(context) = context {
            if N::CHANGES {
                caller = caller.with_origin(context.origin());
            }
            context.set_standings(caller.standings);
            context.set_principal(Principal {
                user: caller.user,
                key: caller.key,
            });
        }
        if let Some(scope) = N::SCOPE {
            caller.require(scope)?;
        }
        if N::ADMIN {
            caller.require_admin_role()?;
        }
        Ok(Self(caller, PhantomData))
    }
}

impl<N: Needs> FromRequestParts<Wire> for Caller<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, wire: &Wire) -> Result<Self, Problem> {
        Self::of(&parts.headers, parts.extensions.get::<Context>(), wire)
    }
}

/// Somebody who needs no credential, counted by their address.
#[derive(Debug)]
pub(crate) struct Visitor(pub(crate) Origin);

impl FromRequestParts<Wire> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, wire: &Wire) -> Result<Self, Problem> {
        let context = Context::from_request_parts(parts, wire).await?;
        let standings = wire.app().visit(ClientAddress(context.address()))?;
        context.set_standings(standings);
        Ok(Self(context.origin()))
    }
}

/// Where a request came from; all that came over no connection are one.
fn address(context: Option<&Context>) -> ClientAddress {
    ClientAddress(context.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Context::address))
}

/// The credential in the headers. `X-API-Key` and `Authorization: Bearer` may
/// both be there if they are equal.
pub(crate) fn credential(headers: &HeaderMap) -> Result<Credential<'_>, Problem> {
    let mut keys = headers.get_all(X_API_KEY).iter();
    let mut bearers = headers.get_all(AUTHORIZATION).iter();
    let (key, bearer) = (keys.next(), bearers.next());
    if keys.next().is_some() || bearers.next().is_some() {
        return Err(ambiguous());
    }
    // A credential that is not ASCII is none of ours: it is refused as unknown.
    let key = key.map(|value| value.to_str().unwrap_or_default().trim());
    let bearer = bearer.map(|value| bearer_token(value.to_str().unwrap_or_default()));
    match (key, bearer) {
        (Some(key), Some(bearer)) if key != bearer => Err(ambiguous()),
        (Some(key), _) => Ok(Credential::ApiKey(key)),
        (None, Some(bearer)) => Ok(Credential::Bearer(bearer)),
        (None, None) => Ok(Credential::None),
    }
}

/// What follows `Bearer`; nothing for any other scheme, which no credential matches.
fn bearer_token(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}

fn ambiguous() -> Problem {
    Problem::new(
        Kind::MalformedRequest,
        "the request carries more than one credential; send one",
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_credential_is_taken_from_either_header() {
        let with = |fields: &[(HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(name, HeaderValue::from_static(value));
            }
            match credential(&headers) {
                Ok(Credential::ApiKey(key)) => format!("key {key}"),
                Ok(Credential::Bearer(token)) => format!("bearer {token}"),
                Ok(Credential::None) => "none".to_owned(),
                Err(problem) => problem.kind().row().slug.to_owned(),
            }
        };
        for (fields, expected) in [
            (vec![], "none"),
            (vec![(X_API_KEY, "k")], "key k"),
            (vec![(AUTHORIZATION, "bearer t")], "bearer t"),
            (vec![(AUTHORIZATION, "Basic YTpi")], "bearer "),
            (vec![(X_API_KEY, "k"), (AUTHORIZATION, "Bearer k")], "key k"),
            (
                vec![(X_API_KEY, "k"), (AUTHORIZATION, "Bearer t")],
                "malformed-request",
            ),
            (
                vec![(X_API_KEY, "k"), (X_API_KEY, "k")],
                "malformed-request",
            ),
            (
                vec![(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a")],
                "malformed-request",
            ),
        ] {
            assert_eq!(with(&fields), expected);
        }
    }
}
