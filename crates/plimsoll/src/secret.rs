//! The signing secret: configured, or a file of its own in the data directory.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use plimsoll_core::entropy::{Entropy, SystemEntropy};
use plimsoll_core::secret::Secret;

use crate::config::Config;

/// Shortest secret accepted, in characters.
const LEAST_CHARACTERS: usize = 32;
/// A secret with fewer different characters was typed, not drawn.
const LEAST_DIFFERENT: usize = 10;

/// Fragments of secrets that are published in examples and tutorials.
const KNOWN: &[&str] = &[
    "change-me",
    "changeme",
    "change_me",
    "change-this",
    "change_this",
    "your-secret",
    "your_secret",
    "yoursecret",
    "super-secret",
    "supersecret",
    "super_secret",
    "secret-key",
    "secret_key",
    "secretkey",
    "my-secret",
    "mysecret",
    "dev-secret",
    "default",
    "example",
    "password",
    "insecure",
    "placeholder",
    "replace-me",
    "replaceme",
    "12345678",
    "abcdefgh",
];

/// Why a secret is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Weakness {
    /// Too short to withstand guessing.
    #[error(
        "is shorter than {LEAST_CHARACTERS} characters; make one with `plimsoll secret generate`"
    )]
    Short,
    /// Printed in somebody's documentation.
    #[error("is a well-known example; make one with `plimsoll secret generate`")]
    Known,
    /// The same few characters again and again.
    #[error("repeats the same few characters; make one with `plimsoll secret generate`")]
    Repetitive,
}

/// Why the file of the secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretFileError {
    /// Reading or writing failed.
    #[error("the signing secret {path} cannot be read or made")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Somebody put a bad secret there.
    #[error("the signing secret in {path} {weakness}")]
    Weak {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        weakness: Weakness,
    },
}

/// 256 random bits as 64 hexadecimal digits.
pub(crate) fn generate() -> Secret<String> {
    let mut bytes = [0; 32];
    SystemEntropy.fill(&mut bytes);
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    Secret::new(digits.collect())
}

/// Refuses secrets that are short, published or repetitive.
pub(crate) fn check_strength(text: &str) -> Result<(), Weakness> {
    if text.chars().count() < LEAST_CHARACTERS {
        return Err(Weakness::Short);
    }
    let lower = text.to_ascii_lowercase();
    if KNOWN.iter().any(|known| lower.contains(known)) {
        return Err(Weakness::Known);
    }
    if text.chars().collect::<BTreeSet<_>>().len() < LEAST_DIFFERENT {
        return Err(Weakness::Repetitive);
    }
    Ok(())
}

/// The configured secret, else the one in the data directory, made if it is missing.
pub(crate) fn load_or_make(config: &Config) -> Result<Secret<String>, SecretFileError> {
    if let Some(secret) = &config.auth.secret {
        return Ok(secret.clone());
    }
    let path = path(&config.data_dir);
    let io_error = |source| SecretFileError::Io {
        path: path.clone(),
        source,
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => accept(&path, text.trim()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make_private_dir(&config.data_dir).map_err(io_error)?;
            write_new(&path).map_err(io_error)?;
            // Two processes may have started together: what lies there now counts.
            let text = std::fs::read_to_string(&path).map_err(io_error)?;
            accept(&path, text.trim())
        }
        Err(e) => Err(io_error(e)),
    }
}

/// Where the secret lies in a data directory.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("secret")
}

/// Makes a directory only its owner can enter; an existing one is left as it is.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether others than the owner may read a file.
pub(crate) fn is_exposed(permissions: &Permissions) -> bool {
    permissions.mode() & 0o077 != 0
}

fn accept(path: &Path, text: &str) -> Result<Secret<String>, SecretFileError> {
    match check_strength(text) {
        Ok(()) => Ok(Secret::new(text.to_owned())),
        Err(weakness) => Err(SecretFileError::Weak {
            path: path.to_owned(),
            weakness,
        }),
    }
}

/// Writes beside, then links into place: a crash leaves no half-written secret,
/// and of two processes starting together only one wins.
fn write_new(path: &Path) -> io::Result<()> {
    let mut tag = [0; 4];
    SystemEntropy.fill(&mut tag);
    let beside = path.with_extension(format!("new-{:08x}", u32::from_le_bytes(tag)));
    let mut options = OpenOptions::new();
    let mut file: File = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    writeln!(file, "{}", generate().expose())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    match linked {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn config_in(data_dir: &Path) -> Config {
        let mut config = load(&Sources::default()).unwrap().0;
        config.data_dir = data_dir.to_owned();
        config
    }

    #[test]
    fn generated_secrets_are_strong_and_differ() {
        let (a, b) = (generate(), generate());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose().len(), 64);
        assert_eq!(check_strength(a.expose()), Ok(()));
    }

    #[test]
    fn weak_secrets_are_refused_with_their_reason() {
        for (text, weakness) in [
            ("", Weakness::Short),
            ("short", Weakness::Short),
            ("your-secret-key-change-in-production", Weakness::Known),
            ("SUPER-SECRET-jwt-signing-key-0123456", Weakness::Known),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Weakness::Repetitive),
        ] {
            assert_eq!(check_strength(text), Err(weakness), "{text}");
        }
    }

    #[test]
    fn a_missing_secret_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("new/data");
        let config = config_in(&data_dir);
        let first = load_or_make(&config).unwrap();
        assert_eq!(load_or_make(&config).unwrap(), first);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path(&data_dir)), 0o600);
        assert_eq!(mode(&data_dir), 0o700);
        assert_eq!(std::fs::read_dir(&data_dir).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_together_agree_on_one_secret() {
        let dir = tempfile::tempdir().unwrap();
        let config = config_in(dir.path());
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| load_or_make(&config).unwrap()))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
        write_new(&path(dir.path())).unwrap();
        assert_eq!(load_or_make(&config).unwrap(), secrets[0]);
    }

    #[test]
    fn a_weak_secret_in_the_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path(dir.path()), "changeme\n").unwrap();
        let error = load_or_make(&config_in(dir.path())).unwrap_err();
        assert!(error.to_string().contains("shorter than 32"), "{error}");
    }
}
