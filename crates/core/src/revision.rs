//! Which state of a thing somebody has seen, so that a change does not undo one
//! they have not (RFC 9110, sections 8.8.3 and 13.1.1).

use std::fmt;

/// One state of a thing; another state has another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(String);

impl Revision {
    /// The state with this number or time.
    pub fn new(number: i64) -> Self {
        Self(number.to_string())
    }

    /// The state in which these parts are.
    pub fn of(parts: &[u8]) -> Self {
        let mut text = crate::digest::Digest::of(parts).to_string();
        text.truncate(16);
        Self(text)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a change is conditional on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing: the last change wins.
    #[default]
    Always,
    /// The thing exists.
    Any,
    /// It is in one of these states.
    Among(Vec<String>),
}

impl IfMatch {
    /// Whether a thing in this state may be changed.
    pub fn allows(&self, current: &Revision) -> bool {
        match self {
            Self::Always | Self::Any => true,
            Self::Among(seen) => seen.contains(&current.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_allowed_if_the_state_was_seen() {
        let current = Revision::new(7);
        for (condition, allowed) in [
            (IfMatch::Always, true),
            (IfMatch::Any, true),
            (IfMatch::Among(vec!["6".into(), "7".into()]), true),
            (IfMatch::Among(vec!["6".into()]), false),
            (IfMatch::Among(vec![]), false),
        ] {
            assert_eq!(condition.allows(&current), allowed, "{condition:?}");
        }
        assert_ne!(Revision::of(b"a"), Revision::of(b"b"));
    }
}
