//! Who is calling, and how they proved it.

mod accounts;
mod administration;
mod authenticate;
mod limits;
mod origin;
mod password;
mod session;
mod setup;
mod token;

pub use accounts::{AccountChange, NewAccount};
pub use administration::UserAdministration;
pub use authenticate::Credential;
pub use limits::ClientAddress;
pub(crate) use limits::{SignInAction, SignInLimits};
pub use origin::Origin;
pub(crate) use password::Passwords;
pub use session::SignedIn;
pub(crate) use token::{Tokens, derive as derive_key};

use plimsoll_core::id::{KeyId, ModelId, UserId};
use plimsoll_core::key::{Scope, Scopes};
use plimsoll_core::user::Role;

use crate::Error;
use crate::limits::Standings;
use crate::usage::KeyUse;

/// Somebody whose credential was accepted.
#[derive(Debug)]
pub struct Caller {
    /// The person, or the owner of the key.
    pub user: UserId,
    /// What that person may do on the installation.
    pub role: Role,
    /// What the credential allows.
    pub scopes: Scopes,
    /// The key, if one was used.
    pub key: Option<KeyId>,
    /// How the caller stands with the limits that apply.
    pub standings: Standings,
    /// Models the key is limited to; empty means all of its owner's.
    models: Vec<ModelId>,
    /// Where the request came from; predictions do not say.
    origin: Origin,
    /// What counts the request, if a key was used.
    usage: Option<KeyUse>,
}

impl Caller {
    /// A person who signed in: everything that is theirs.
    pub fn person(user: UserId, role: Role) -> Self {
        Self {
            user,
            role,
            scopes: Scopes::ALL,
            key: None,
            standings: Standings::default(),
            models: Vec::new(),
            origin: Origin::default(),
            usage: None,
        }
    }

    /// The journal has this request: whoever reads the journal counts it.
    pub(crate) fn recorded(&self) {
        if let Some(usage) = &self.usage {
            usage.recorded();
        }
    }

    /// Refuses a credential without `scope`.
    pub fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        Err(Error::Forbidden {
            need: match scope {
                Scope::Predict => "the scope predict",
                Scope::Feedback => "the scope feedback",
                Scope::Read => "the scope read",
                Scope::Write => "the scope write",
                Scope::Admin => "the scope admin",
            },
        })
    }

    /// Refuses everybody but administrators whose credential has the admin scope.
    pub fn require_admin_role(&self) -> Result<(), Error> {
        if self.role != Role::Admin {
            return Err(Error::Forbidden {
                need: "the admin role",
            });
        }
        self.require(Scope::Admin)
    }

    /// Whether this is an administrator who reaches other people's things by id.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin && self.scopes.allow(Scope::Admin)
    }

    /// Whether the credential is open for this model.
    pub fn reaches(&self, model: ModelId) -> bool {
        self.models.is_empty() || self.models.contains(&model)
    }

    /// Refuses a credential that is not open for this model.
    pub fn require_model(&self, model: ModelId) -> Result<(), Error> {
        if self.reaches(model) {
            return Ok(());
        }
        Err(Error::Forbidden {
            need: "this model in its list of models",
        })
    }

    /// Models the credential is limited to; empty means all.
    pub fn models(&self) -> &[ModelId] {
        &self.models
    }
}
