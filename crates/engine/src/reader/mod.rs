//! Bounded parsers of foreign bytes.
//!
//! Nothing here executes what it reads. Every length is checked against the
//! bytes that are left before anything is allocated for it, products of
//! dimensions are checked, and no parser recurses on the depth of its input.

pub(crate) mod array;
pub(crate) mod compressed;
pub(crate) mod document;
pub(crate) mod element;
pub(crate) mod npy;
pub(crate) mod numpy;
pub(crate) mod pickle;
pub(crate) mod skops;
pub(crate) mod tar;
pub(crate) mod ubjson;
pub(crate) mod zip;

use crate::EngineError;

/// The file contradicts its format, and how.
pub(crate) fn malformed(detail: impl Into<String>) -> EngineError {
    EngineError::Malformed {
        detail: detail.into(),
    }
}

/// The file passes a limit, and which.
pub(crate) fn too_large(detail: impl Into<String>) -> EngineError {
    EngineError::TooLarge {
        detail: detail.into(),
    }
}

/// The name of a class with its indefinite article.
pub(crate) fn with_article(name: &str) -> String {
    let article = if name.starts_with(['A', 'E', 'I', 'O', 'U', 'a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

/// A name from the file, fit for a message: printable ASCII, at most 120 characters.
pub(crate) fn printable(name: &str) -> String {
    let mut text = String::new();
    for (count, character) in name.chars().enumerate() {
        if count == 120 {
            text.push('…');
            break;
        }
        if character == ' ' || character.is_ascii_graphic() {
            text.push(character);
        } else {
            text.extend(character.escape_unicode());
        }
    }
    text
}
