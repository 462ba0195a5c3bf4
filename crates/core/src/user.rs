//! People: their role, their e-mail address, their password's shape.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// What a person may do on the installation as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Works with what they own.
    User,
    /// Runs the installation.
    Admin,
}

impl Role {
    /// The name used in tokens and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of user, admin")]
pub struct UnknownRole;

impl TryFrom<String> for Role {
    type Error = UnknownRole;

    fn try_from(text: String) -> Result<Self, UnknownRole> {
        [Self::User, Self::Admin]
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or(UnknownRole)
    }
}

/// Why a value is not an e-mail address we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an e-mail address like ann@example.org, at most 254 characters")]
pub struct InvalidEmail;

/// An e-mail address, lower-cased, so that letter case never makes two accounts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Checks the shape RFC 5321 allows in practice: one `@`, a dotted domain
    /// of letters, digits and hyphens, ASCII only (a look-alike letter from
    /// another script must not pass for someone else's address).
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let local_ok = !local.is_empty()
            && local.len() <= 64
            && local
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let domain_ok =
            domain.contains('.') && domain.split('.').all(label_ok) || domain == "localhost";
        if local_ok && domain_ok && text.len() <= 254 {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidEmail)
        }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shortest password accepted, in characters.
pub const MIN_PASSWORD: usize = 8;
/// Longest password accepted, in characters.
pub const MAX_PASSWORD: usize = 128;
/// Longest password looked at, in bytes, before anything is computed from it.
const MAX_PASSWORD_BYTES: usize = 1024;

/// Why a password is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Too few or too many characters.
    #[error("expected {MIN_PASSWORD} to {MAX_PASSWORD} characters")]
    Length,
    /// Only spaces, or with control characters.
    #[error("expected more than spaces, and no control characters")]
    Characters,
}

/// Brings a password into the form that is hashed (NFKC, as NIST SP 800-63B-4
/// section 3.1.1.2 asks) and checks its length, counted after normalisation.
pub fn normalise_password(text: &str) -> Result<String, InvalidPassword> {
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(InvalidPassword::Length);
    }
    let password: String = text.nfkc().collect();
    if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&password.chars().count()) {
        return Err(InvalidPassword::Length);
    }
    if password.trim().is_empty() || password.chars().any(char::is_control) {
        return Err(InvalidPassword::Characters);
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lower_cased_and_checked() {
        assert_eq!(
            Email::parse(" Ann@Example.ORG ").unwrap().as_str(),
            "ann@example.org"
        );
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in [
            "",
            "ann",
            "@x.org",
            "a@b",
            "a@b..c",
            "a b@c.de",
            "a@c.de\r\nx",
            "аnn@example.org",
            &long,
        ] {
            assert_eq!(Email::parse(bad), Err(InvalidEmail), "{bad:?}");
        }
    }

    #[test]
    fn passwords_are_normalised_before_they_are_counted() {
        // U+FB01 is one character before NFKC and two after.
        assert!(normalise_password("\u{fb01}\u{fb01}\u{fb01}\u{fb01}").is_ok());
        assert_eq!(normalise_password("short"), Err(InvalidPassword::Length));
        assert_eq!(
            normalise_password(&"x".repeat(129)),
            Err(InvalidPassword::Length)
        );
        assert_eq!(
            normalise_password(&"x".repeat(1_000_000)),
            Err(InvalidPassword::Length)
        );
        assert_eq!(
            normalise_password("         "),
            Err(InvalidPassword::Characters)
        );
        assert_eq!(
            normalise_password("abcdefgh\0"),
            Err(InvalidPassword::Characters)
        );
    }
}
