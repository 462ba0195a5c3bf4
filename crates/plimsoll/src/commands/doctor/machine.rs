//! What the machine gives this installation: folder, space, secret, address, files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use plimsoll_store::DatabaseUrl;
use rustix::fs::{Access, access, statvfs};

use super::Check;
use crate::config::Config;
use crate::process::open_file_limit;
use crate::secret::{check_strength, is_exposed, path as secret_path};

/// Below this, uploads and the database are in danger.
const LEAST_FREE: u64 = 256 << 20;
/// A server with fewer files open at once refuses connections early.
const LEAST_FILES: u64 = 4096;

pub(super) fn data_dir(config: &Config) -> Check {
    const NAME: &str = "data directory";
    let shown = config.data_dir.display();
    let metadata = match fs::metadata(&config.data_dir) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let detail = format!("{shown} does not exist yet");
            return Check::warn(
                NAME,
                detail,
                "the first `plimsoll serve` makes it; or give --data-dir",
            );
        }
        Err(e) => {
            return Check::fail(
                NAME,
                format!("{shown}: {e}"),
                "check the path and its rights",
            );
        }
    };
    if !metadata.is_dir() {
        return Check::fail(
            NAME,
            format!("{shown} is not a folder"),
            "choose another one with --data-dir",
        );
    }
    if access(&config.data_dir, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let fix = format!("chown it to the user that runs the server: chown -R USER {shown}");
        return Check::fail(NAME, format!("{shown} cannot be written to"), fix);
    }
    if metadata.permissions().mode() & 0o007 != 0 {
        let detail = format!("{shown} is open to every user of this machine");
        return Check::warn(NAME, detail, format!("chmod 700 {shown}"));
    }
    Check::ok(NAME, shown.to_string())
}

pub(super) fn free_space(config: &Config) -> Check {
    const NAME: &str = "free space";
    let existing = config.data_dir.ancestors().find(|path| path.exists());
    let place = existing.unwrap_or_else(|| std::path::Path::new("."));
    let disk = match statvfs(place) {
        Ok(disk) => disk,
        Err(e) => {
            return Check::fail(
                NAME,
                format!("cannot be asked for: {e}"),
                "check the file system",
            );
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let shown = format!("{}.{} GiB", free >> 30, ((free % (1 << 30)) * 10) >> 30);
    if free < LEAST_FREE {
        return Check::fail(
            NAME,
            format!("{shown} left"),
            "make room, or move the data directory",
        );
    }
    Check::ok(NAME, shown)
}

pub(super) fn secret(config: &Config) -> Check {
    const NAME: &str = "secret";
    if config.auth.secret.is_some() {
        return Check::ok(NAME, "configured");
    }
    let path = secret_path(&config.data_dir);
    let shown = path.display();
    let Ok(text) = fs::read_to_string(&path) else {
        if path.exists() {
            return Check::fail(NAME, format!("{shown} cannot be read"), "check its owner");
        }
        return Check::warn(NAME, "not made yet", "the first `plimsoll serve` makes it");
    };
    if let Err(weakness) = check_strength(text.trim()) {
        let fix =
            "remove the file; the next start makes a strong one, and everybody signs in again";
        return Check::fail(NAME, format!("{shown} {weakness}"), fix);
    }
    if fs::metadata(&path).is_ok_and(|m| is_exposed(&m.permissions())) {
        let detail = format!("{shown} can be read by others");
        return Check::fail(NAME, detail, format!("chmod 600 {shown}"));
    }
    Check::ok(NAME, format!("{shown}, readable by its owner only"))
}

pub(super) fn listen_address(config: &Config) -> Check {
    const NAME: &str = "listen address";
    let (address, server) = (config.server.listen, &config.server);
    let behind_tls = server
        .base_url
        .as_deref()
        .is_some_and(|url| url.starts_with("https://"));
    if address.ip().is_loopback() || behind_tls {
        return Check::ok(NAME, address.to_string());
    }
    Check::warn(
        NAME,
        format!("{address} is reachable from outside without TLS"),
        "put a TLS proxy before it and set server.base_url = https://…, or listen on 127.0.0.1",
    )
}

pub(super) fn open_files() -> Check {
    const NAME: &str = "open files";
    match open_file_limit() {
        None => Check::ok(NAME, "no limit"),
        Some(limit) if limit >= LEAST_FILES => Check::ok(NAME, format!("{limit} at once")),
        Some(limit) => {
            let detail = format!("at most {limit} at once");
            Check::warn(
                NAME,
                detail,
                "raise the hard limit: `ulimit -Hn 65536`, or LimitNOFILE in systemd",
            )
        }
    }
}

/// Whether looking at the database would make one.
pub(super) fn database_is_missing(config: &Config) -> bool {
    match &config.database.url {
        DatabaseUrl::Sqlite { path } => !path.exists(),
        DatabaseUrl::Postgres { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::config::{Assignment, Sources, load};

    fn config(pairs: &[(&str, &str)]) -> Config {
        let flags = pairs
            .iter()
            .map(|(key, text)| Assignment {
                flag: "--set".into(),
                key: (*key).into(),
                text: (*text).into(),
            })
            .collect();
        let sources = Sources {
            flags,
            ..Sources::default()
        };
        load(&sources).unwrap().0
    }

    #[test]
    fn an_open_interface_without_tls_is_a_warning() {
        for (pairs, expected) in [
            (&[("server.listen", "127.0.0.1:1")][..], Verdict::Ok),
            (&[("server.listen", "[::1]:1")], Verdict::Ok),
            (&[("server.listen", "0.0.0.0:1")], Verdict::Warn),
            (
                &[
                    ("server.listen", "0.0.0.0:1"),
                    ("server.base_url", "https://m.example.org"),
                ],
                Verdict::Ok,
            ),
            (
                &[
                    ("server.listen", "0.0.0.0:1"),
                    ("server.base_url", "http://m.example.org"),
                ],
                Verdict::Warn,
            ),
        ] {
            assert_eq!(listen_address(&config(pairs)).status, expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_secret_that_others_can_read_fails() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&[("data_dir", dir.path().to_str().unwrap())]);
        assert_eq!(secret(&config).status, Verdict::Warn);
        let path = secret_path(dir.path());
        fs::write(&path, crate::secret::generate().expose()).unwrap();
        for (mode, expected) in [
            (0o644, Verdict::Fail),
            (0o640, Verdict::Fail),
            (0o600, Verdict::Ok),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(secret(&config).status, expected, "{mode:o}");
        }
        fs::write(&path, "changeme").unwrap();
        assert_eq!(secret(&config).status, Verdict::Fail);
    }

    #[test]
    fn a_data_directory_must_be_a_private_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &std::path::Path| {
            data_dir(&config(&[("data_dir", path.to_str().unwrap())])).status
        };
        assert_eq!(at(&dir.path().join("none")), Verdict::Warn);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(at(&dir.path().join("file")), Verdict::Fail);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(at(dir.path()), Verdict::Warn);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(at(dir.path()), Verdict::Ok);
    }
}
