//! Artifacts by SHA-256 in a local folder.
