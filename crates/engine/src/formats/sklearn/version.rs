//! The scikit-learn version a file was written by.

use crate::EngineError;

/// Major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

/// The oldest and newest version whose files are understood.
const SERVED: (Version, Version) = (Version(1, 2), Version(1, 9));

impl Version {
    /// Reads `1.5.2`, `1.6.dev0` and the like, and refuses what is not served.
    pub(super) fn served(text: &str) -> Result<Self, EngineError> {
        let mut parts = text.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
            return Err(refusal(text));
        };
        let version = Self(major, minor);
        if version < SERVED.0 || version > SERVED.1 {
            return Err(refusal(text));
        }
        Ok(version)
    }
}

fn refusal(text: &str) -> EngineError {
    let (Version(major, oldest), Version(_, newest)) = SERVED;
    EngineError::Unsupported {
        what: format!("a model of scikit-learn {}", crate::reader::printable(text)),
        advice: format!(
            "fit and save it with scikit-learn {major}.{oldest} to {major}.{newest}, or {}",
            super::globals::onnx_advice()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_served_from_1_2_to_1_9() {
        for (text, minor) in [
            ("1.2.0", 2),
            ("1.5.2", 5),
            ("1.9.dev0", 9),
            ("1.6.1.post1", 6),
        ] {
            assert_eq!(Version::served(text).unwrap(), Version(1, minor), "{text}");
        }
        for text in [
            "0.24.2", "1.1.3", "1.10.0", "2.0.0", "1", "", "one.two", "1.-2",
        ] {
            assert!(Version::served(text).is_err(), "{text}");
        }
    }
}
