//! What the database says: reachable, current, administered, its files complete.

use std::collections::BTreeSet;
use std::time::Duration;

use plimsoll_app::audit::{Checked, check_audit};
use plimsoll_core::digest::Digest;
use plimsoll_core::model::Status;
use plimsoll_core::page::{MAX_PAGE_SIZE, PageRequest};
use plimsoll_core::time::{Clock, SystemClock, Timestamp};
use plimsoll_core::user::Role;
use plimsoll_store::{Db, KeyRow, LiveModel, LiveVersion, StoreError, UserRow, newest_migration};

use super::Check;
use super::machine::database_is_missing;
use crate::config::Config;
use crate::installation::{open_blobs, open_database};
use crate::output::chain;

/// Keys older than this should be replaced.
const OLD: Duration = Duration::from_hours(90 * 24);

pub(super) async fn all(config: &Config, deep: bool) -> Vec<Check> {
    const NAME: &str = "database";
    if database_is_missing(config) {
        let fix = "the first `plimsoll serve` or `plimsoll migrate` makes it";
        return vec![Check::warn(NAME, "does not exist yet", fix)];
    }
    let db = match open_database(config).await {
        Ok(db) => db,
        Err(failure) => {
            let fix = "check database.url with `plimsoll config show`, and that the server runs";
            return vec![Check::fail(NAME, failure.to_string(), fix)];
        }
    };
    let schema = schema(&db).await;
    let current = schema.status == super::Verdict::Ok;
    let mut checks = vec![Check::ok(NAME, db.kind()), schema];
    if current {
        checks.push(reported("administrator", administrator(&db).await));
        checks.push(reported("keys", keys(&db, SystemClock::new().now()).await));
        checks.push(audit(&db).await);
        checks.push(reported("artifacts", artifacts(&db, config, deep).await));
    }
    db.close().await;
    checks
}

fn reported(name: &'static str, check: Result<Check, StoreError>) -> Check {
    check.unwrap_or_else(|error| Check::fail(name, chain(&error), "see the database's own log"))
}

async fn schema(db: &Db) -> Check {
    const NAME: &str = "schema";
    let known = newest_migration();
    match db.schema_version().await {
        Ok(found) if found == known => Check::ok(NAME, format!("version {found}")),
        Ok(found) if found < known => {
            let detail = format!("version {found}, this program brings {known}");
            Check::warn(
                NAME,
                detail,
                "`plimsoll migrate`, or the next `plimsoll serve`, updates it",
            )
        }
        Ok(found) => {
            let detail = format!("version {found} is newer than this program's {known}");
            Check::fail(NAME, detail, "use the program that made it, or a newer one")
        }
        Err(error) => Check::fail(
            NAME,
            chain(&error),
            "check the rights of the database's user",
        ),
    }
}

async fn audit(db: &Db) -> Check {
    const NAME: &str = "audit log";
    match check_audit(db, None).await {
        Ok(Checked::Intact(head)) => Check::ok(NAME, format!("{} rows, none changed", head.seq)),
        Ok(Checked::Broken { seq, what }) => Check::fail(
            NAME,
            format!("row {seq}: {what}"),
            "compare with a backup: docs/OPERATIONS.md, \"The audit log\"",
        ),
        Err(error) => Check::fail(NAME, chain(&error), "see the database's own log"),
    }
}

async fn administrator(db: &Db) -> Result<Check, StoreError> {
    const NAME: &str = "administrator";
    let can_sign_in =
        |user: &UserRow| user.role == Role::Admin && user.is_active && user.password_hash.is_some();
    for number in 1.. {
        let page = PageRequest {
            number,
            size: MAX_PAGE_SIZE,
        };
        let users = db.users_page(page).await?;
        if users.items.iter().any(can_sign_in) {
            return Ok(Check::ok(NAME, "has a password"));
        }
        if users.items.len() < MAX_PAGE_SIZE as usize {
            break;
        }
    }
    let fix =
        "open the link that `plimsoll serve` prints, or `plimsoll user create --admin --email …`";
    Ok(Check::warn(NAME, "nobody can sign in as one", fix))
}

async fn keys(db: &Db, now: Timestamp) -> Result<Check, StoreError> {
    let keys = db.live_keys().await?;
    let old = old_keys(&keys, now);
    if old.is_empty() {
        return Ok(Check::ok(
            "keys",
            format!("{} in use, none older than 90 days", keys.len()),
        ));
    }
    let detail = format!("older than 90 days: {}", old.join(", "));
    Ok(Check::warn(
        "keys",
        detail,
        "replace each: plimsoll key rotate PREFIX --overlap 24h",
    ))
}

fn old_keys(keys: &[KeyRow], now: Timestamp) -> Vec<String> {
    let is_old =
        |key: &&KeyRow| key.is_active && key.revoked_at.is_none() && key.created_at.plus(OLD) < now;
    let old = keys.iter().filter(is_old);
    old.map(|key| format!("{} ({})", key.name, key.handle.display_prefix()))
        .collect()
}

async fn artifacts(db: &Db, config: &Config, deep: bool) -> Result<Check, StoreError> {
    const NAME: &str = "artifacts";
    let versions = db.live_versions().await?;
    let needed: BTreeSet<Digest> = versions
        .iter()
        .filter(|version| version.status != Status::Archived)
        .map(|version| version.sha256)
        .collect();
    if needed.is_empty() {
        return Ok(Check::ok(NAME, "none needed yet"));
    }
    let blobs = match open_blobs(config).await {
        Ok(blobs) => blobs,
        Err(failure) => {
            return Ok(Check::fail(
                NAME,
                failure.to_string(),
                "check the data directory",
            ));
        }
    };
    let (mut missing, mut damaged) = (Vec::new(), Vec::new());
    for digest in &needed {
        if !blobs.contains(digest).await.unwrap_or(false) {
            missing.push(digest);
        } else if deep && blobs.verify(digest).await.is_err() {
            damaged.push(digest);
        }
    }
    if missing.is_empty() && damaged.is_empty() {
        let how = if deep {
            "present, every hash matches"
        } else {
            "present; --deep hashes them"
        };
        return Ok(Check::ok(NAME, format!("{} {how}", needed.len())));
    }
    let versions = Named {
        versions,
        models: db.live_models().await?,
    };
    let detail = [("missing", missing), ("damaged", damaged)]
        .map(|(word, digests)| (word, versions.with(&digests)))
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word}: {}", names.join(", ")))
        .collect::<Vec<_>>()
        .join("; ");
    Ok(Check::fail(
        NAME,
        detail,
        "upload the same file again, or restore the data directory",
    ))
}

/// Versions and the models they belong to.
struct Named {
    versions: Vec<LiveVersion>,
    models: Vec<LiveModel>,
}

impl Named {
    /// One version with each of these contents, in words.
    fn with(&self, digests: &[&Digest]) -> Vec<String> {
        let of = |digest: &&Digest| {
            let version = self.versions.iter().find(|v| v.sha256 == **digest)?;
            let model = self.models.iter().find(|m| m.id == version.model_id)?;
            Some(format!("{} version {}", model.name, version.number))
        };
        digests.iter().filter_map(of).collect()
    }
}
