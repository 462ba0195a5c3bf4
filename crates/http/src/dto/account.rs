//! Accounts and sign-in on the wire.

use plimsoll_app::auth::{AccountChange, Caller, NewAccount, SignedIn, UserAdministration};
use plimsoll_core::key::Scope;
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;
use plimsoll_store::UserRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Patch;
use super::secret::{RevealedOnce, SecretText};

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterRequest {
    /// E-mail address; letter case does not matter.
    #[schema(example = "ann@example.org")]
    email: String,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretText,
    /// Name to show, at most 255 characters.
    full_name: Option<String>,
}

impl From<RegisterRequest> for NewAccount {
    fn from(request: RegisterRequest) -> Self {
        let RegisterRequest {
            email,
            password,
            full_name,
        } = request;
        Self {
            email,
            password: password.0,
            full_name,
        }
    }
}

/// E-mail address and password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    /// E-mail address; letter case does not matter.
    #[schema(example = "ann@example.org")]
    pub email: String,
    /// The password.
    #[schema(value_type = String, format = Password)]
    pub password: SecretText,
}

/// A refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    /// As `/auth/login` or the last `/auth/refresh` gave it.
    #[schema(value_type = String, format = Password)]
    pub refresh_token: SecretText,
}

/// The administrator's account, claimed with the printed setup token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupRequest {
    /// The token that the server printed when it started; valid for one hour.
    #[schema(value_type = String, format = Password)]
    token: SecretText,
    /// E-mail address; letter case does not matter.
    #[schema(example = "admin@example.org")]
    email: String,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretText,
    /// Name to show, at most 255 characters.
    full_name: Option<String>,
}

impl SetupRequest {
    pub(crate) fn into_parts(self) -> (SecretText, NewAccount) {
        let Self {
            token,
            email,
            password,
            full_name,
        } = self;
        (
            token,
            NewAccount {
                email,
                password: password.0,
                full_name,
            },
        )
    }
}

/// What changes about one's own account; fields left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAccountRequest {
    /// A new e-mail address.
    email: Option<String>,
    /// A new name, or `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    full_name: Patch<String>,
}

impl From<UpdateAccountRequest> for AccountChange {
    fn from(request: UpdateAccountRequest) -> Self {
        Self {
            email: request.email,
            full_name: request.full_name.into(),
        }
    }
}

/// The current and the new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePasswordRequest {
    /// The password that is valid now.
    #[schema(value_type = String, format = Password)]
    pub current_password: SecretText,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    pub new_password: SecretText,
}

/// The password, to make sure.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteAccountRequest {
    /// The password of the account that is deleted.
    #[schema(value_type = String, format = Password)]
    pub password: SecretText,
}

/// An account made by an administrator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateUserRequest {
    /// E-mail address; letter case does not matter.
    #[schema(example = "ann@example.org")]
    email: String,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretText,
    /// Name to show, at most 255 characters.
    full_name: Option<String>,
    /// Whether the account is an administrator's.
    #[serde(default)]
    is_admin: bool,
}

impl CreateUserRequest {
    pub(crate) fn into_parts(self) -> (NewAccount, Role) {
        let Self {
            email,
            password,
            full_name,
            is_admin,
        } = self;
        let role = if is_admin { Role::Admin } else { Role::User };
        (
            NewAccount {
                email,
                password: password.0,
                full_name,
            },
            role,
        )
    }
}

/// What an administrator changes about an account; fields left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateUserRequest {
    /// `false`: no credential of the account works.
    is_active: Option<bool>,
    /// Whether the account is an administrator's.
    is_admin: Option<bool>,
}

impl From<UpdateUserRequest> for UserAdministration {
    fn from(request: UpdateUserRequest) -> Self {
        let role = request
            .is_admin
            .map(|admin| if admin { Role::Admin } else { Role::User });
        Self {
            is_active: request.is_active,
            role,
        }
    }
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    /// Its id.
    #[schema(example = "usr_01JD3T9Q2G0000000000000000")]
    pub id: String,
    /// Lower-cased e-mail address.
    pub email: String,
    /// Name to show.
    pub full_name: Option<String>,
    /// `false`: no credential of the account works.
    pub is_active: bool,
    /// Whether it is an administrator's.
    pub is_admin: bool,
    /// `user` or `admin`.
    #[schema(value_type = String)]
    pub role: Role,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Last sign-in with a password.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_login_at: Option<Timestamp>,
}

impl From<UserRow> for UserView {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id.to_string(),
            email: row.email,
            full_name: row.full_name,
            is_active: row.is_active,
            is_admin: row.role == Role::Admin,
            role: row.role,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_login_at: row.last_login_at,
        }
    }
}

/// Tokens and the account they are for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub(crate) struct SignedInView {
    /// Send it as `Authorization: Bearer …`.
    #[schema(value_type = String)]
    access_token: RevealedOnce,
    /// Exchange it at `/auth/refresh`; it works once.
    #[schema(value_type = String)]
    refresh_token: RevealedOnce,
    /// Always `bearer`.
    #[schema(value_type = String)]
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: u64,
    /// The account.
    user: UserView,
}

impl From<SignedIn> for SignedInView {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: RevealedOnce(signed_in.access_token),
            refresh_token: RevealedOnce(signed_in.refresh_token),
            token_type: "bearer",
            expires_in: signed_in.expires_in,
            user: signed_in.user.into(),
        }
    }
}

/// Who the credential belongs to and what it allows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct MeView {
    /// The account.
    #[serde(flatten)]
    user: UserView,
    /// `user` for an access token, `api_key` for a key.
    #[schema(value_type = String)]
    principal: &'static str,
    /// Everything the credential allows.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// The key that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<String>,
    /// The only models the key reaches; empty means all.
    model_ids: Vec<String>,
}

impl MeView {
    pub(crate) fn new(caller: &Caller, user: UserRow) -> Self {
        Self {
            user: user.into(),
            principal: if caller.key.is_some() {
                "api_key"
            } else {
                "user"
            },
            scopes: Scope::ALL
                .into_iter()
                .filter(|scope| caller.scopes.allow(*scope))
                .collect(),
            api_key_id: caller.key.map(|key| key.to_string()),
            model_ids: caller.models().iter().map(ToString::to_string).collect(),
        }
    }
}
