//! Who changed what: the words of the audit log.

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::id::{KeyId, UserId};
use crate::idempotency::Claim;

/// Which door a change came through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// The HTTP API.
    Api,
    /// The command line on the machine itself.
    CommandLine,
    /// The server, by itself.
    #[default]
    System,
}

impl Via {
    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::CommandLine => "cli",
            Self::System => "system",
        }
    }
}

/// Who did something, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Through which door.
    pub via: Via,
    /// The person, or the owner of the key; nobody for a failed sign-in.
    pub user: Option<UserId>,
    /// The key, if one was used.
    pub key: Option<KeyId>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The name under which the request is logged.
    pub request_id: Option<Box<str>>,
    /// Under which claim, if the request may be sent twice.
    pub claim: Option<Claim>,
}

/// Declares the actions with their names; what stands before the point is the
/// kind of object they are about.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident $name:literal,)+) => {
        /// What was done, and to what kind of object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $action,)+
        }

        impl Action {
            /// Every action, grouped by what it is about.
            pub const ALL: &'static [Self] = &[$(Self::$action,)+];

            /// The word in the log, e.g. `key.revoked`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }
        }
    };
}

actions! {
    /// The administrator's account was claimed.
    UserSetup "user.setup",
    /// Somebody signed in.
    UserLogin "user.login",
    /// A sign-in was refused: wrong password, unknown address or account switched off.
    UserLoginFailed "user.login_failed",
    /// Somebody signed out.
    UserLogout "user.logout",
    /// A refresh token was used twice; what grew from its sign-in was ended.
    UserTokenReused "user.token_reused",
    /// Somebody opened an account.
    UserRegistered "user.registered",
    /// An account was opened for somebody.
    UserCreated "user.created",
    /// Name or address of an account changed.
    UserChanged "user.changed",
    /// A password was replaced.
    UserPasswordChanged "user.password_changed",
    /// An account was switched on.
    UserActivated "user.activated",
    /// An account was switched off.
    UserDeactivated "user.deactivated",
    /// What a person may do on the installation changed.
    UserRoleChanged "user.role_changed",
    /// An account was deleted with everything that was its own.
    UserDeleted "user.deleted",
    /// A key was made.
    KeyCreated "key.created",
    /// A key was changed.
    KeyChanged "key.changed",
    /// A key was made that takes over from another.
    KeyRotated "key.rotated",
    /// A key was ended for good.
    KeyRevoked "key.revoked",
    /// A model was made by its first upload.
    ModelCreated "model.created",
    /// Description, tags, status or capture of a model changed.
    ModelChanged "model.changed",
    /// A model was archived or deleted.
    ModelDeleted "model.deleted",
    /// An archived model answers again.
    ModelRestored "model.restored",
    /// A version was uploaded.
    VersionAdded "version.added",
    /// What is said of a version changed.
    VersionChanged "version.changed",
    /// A version was archived or deleted.
    VersionDeleted "version.deleted",
    /// A version was put into production.
    VersionPromoted "version.promoted",
    /// A version was loaded ahead of its first caller.
    VersionLoaded "version.loaded",
    /// A version was let go of.
    VersionUnloaded "version.unloaded",
    /// An endpoint was made.
    EndpointCreated "endpoint.created",
    /// An endpoint was changed or got another version.
    EndpointChanged "endpoint.changed",
    /// The split of an endpoint's traffic changed.
    EndpointTrafficChanged "endpoint.traffic_changed",
    /// An endpoint went back to what it served before.
    EndpointRolledBack "endpoint.rolled_back",
    /// An endpoint was stopped.
    EndpointDeleted "endpoint.deleted",
    /// A change of an endpoint failed, and nothing changed.
    EndpointFailed "endpoint.failed",
    /// A job was put into the queue.
    JobStarted "job.started",
    /// A job was cancelled, or asked to stop.
    JobCancelled "job.cancelled",
    /// A job was queued again.
    JobRetried "job.retried",
    /// A job was removed with everything it read and wrote.
    JobDeleted "job.deleted",
    /// The platform's mode changed.
    ModeChanged "mode.changed",
}

impl Action {
    /// The kind of object it is about, e.g. `key`.
    pub fn object(self) -> &'static str {
        let (object, _) = self
            .name()
            .split_once('.')
            .expect("invariant: every action is named object.verb");
        object
    }

    /// The action with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_name_and_has_an_object() {
        for action in Action::ALL {
            assert_eq!(Action::from_name(action.name()), Some(*action));
            assert!(!action.object().is_empty());
        }
        assert_eq!(Action::KeyRevoked.object(), "key");
        assert_eq!(Action::from_name("key"), None);
    }
}
