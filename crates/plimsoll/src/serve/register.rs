//! Files on the command line become models: registered, promoted, tried.
//!
//! The same content changes nothing, so a restart is free of effects; other
//! content under the same name becomes the next version.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use plimsoll_app::auth::Caller;
use plimsoll_app::endpoints::{NewEndpoint, SettingsChange};
use plimsoll_app::keys::{NewApiKey, RateLimit};
use plimsoll_app::registry::UploadMeta;
use plimsoll_app::{App, Error};
use plimsoll_core::digest::Digest;
use plimsoll_core::endpoint::{EndpointName, EndpointRef, WorkloadSize};
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelName, ModelRef, Stage, Status, VersionRef};
use plimsoll_core::revision::IfMatch;
use plimsoll_core::secret::Secret;
use plimsoll_store::VersionRow;
use sha2::{Digest as _, Sha256};

use crate::commands::key;
use crate::output::{Exit, Failure};

/// Read and hashed at a time.
const BLOCK: usize = 1 << 20;
/// Name of the key that `serve FILE` makes.
const KEY_NAME: &str = "serve";

/// A model that is being served.
#[derive(Debug)]
pub(super) struct Served {
    /// Its name.
    pub(super) name: String,
    /// The version in production.
    pub(super) version: VersionRow,
    /// A request that was answered a moment ago, if one could be made up.
    pub(super) example: Option<String>,
}

/// The key that printed requests use.
#[derive(Debug)]
pub(super) enum ServeKey {
    /// Made just now: its text can be shown, once.
    New(Secret<String>),
    /// Made earlier: only its prefix is known.
    Known(String),
}

/// Registers every file under its stem.
pub(super) async fn all(
    app: &App,
    caller: &Caller,
    files: &[PathBuf],
) -> Result<Vec<Served>, Failure> {
    let mut names = HashSet::new();
    let mut served = Vec::with_capacity(files.len());
    for path in files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = ModelName::from_stem(&stem);
        if !names.insert(name.clone()) {
            let text = format!("two files would be served as {:?}", name.as_str());
            return Err(Failure::new(Exit::Usage, text).next("rename one of them"));
        }
        let version = register(app, caller, path, &name).await?;
        let example = app.example_request(caller, &version).await;
        served.push(Served {
            name: name.as_str().to_owned(),
            version,
            example,
        });
    }
    Ok(served)
}

/// The active key called `serve`, made if there is none.
pub(super) async fn serve_key(app: &App, caller: &Caller) -> Result<ServeKey, Failure> {
    let now = app.clock().now();
    let keys = key::list(app, caller, false).await?;
    let usable = keys.iter().find(|key| {
        key.name == KEY_NAME && key.is_active && key.expires_at.is_none_or(|end| end > now)
    });
    if let Some(key) = usable {
        return Ok(ServeKey::Known(key.handle.display_prefix()));
    }
    let new = NewApiKey {
        name: KEY_NAME.to_owned(),
        rate_limit: RateLimit::Unlimited,
        scopes: Some(vec![Scope::Read]),
        ..NewApiKey::default()
    };
    Ok(ServeKey::New(app.create_key(caller, new).await?.text))
}

async fn register(
    app: &App,
    caller: &Caller,
    path: &Path,
    name: &ModelName,
) -> Result<VersionRow, Failure> {
    let digest = digest_of(path).map_err(|e| unreadable(path, &e.to_string()))?;
    let model = ModelRef::Name(name.as_str().to_owned());
    let known = match app.live().model(caller, &model) {
        Ok(entry) => entry
            .versions
            .iter()
            .rev()
            .find(|version| version.artifact == digest && version.status != Status::Archived)
            .map(|version| (version.number, version.stage)),
        Err(_) => None,
    };
    let (number, stage) = match known {
        Some(known) => known,
        None => (upload(app, caller, path, name).await?, Stage::None),
    };
    let version = VersionRef::Number(number);
    let row = if stage == Stage::Production {
        app.version(caller, &model, &version).await?
    } else {
        let promoted = app
            .promote(caller, &model, &version, &IfMatch::Always)
            .await;
        promoted.map_err(|error| refused(path, error))?
    };
    let endpoint = EndpointName::nearest(name.as_str());
    let is_there = app
        .endpoint(caller, &EndpointRef::Name(endpoint.as_str().to_owned()))
        .await
        .is_ok();
    // What somebody made of the endpoint since stays as it is.
    if known.is_none() || !is_there {
        let new = NewEndpoint {
            model,
            version,
            name: Some(endpoint),
            settings: SettingsChange {
                workload_size: Some(WorkloadSize::Large),
                ..SettingsChange::default()
            },
            reason: None,
        };
        let deployed = app.deploy(caller, new).await;
        deployed.map_err(|error| refused(path, error))?;
    }
    Ok(row)
}

async fn upload(app: &App, caller: &Caller, path: &Path, name: &ModelName) -> Result<i64, Failure> {
    let mut stage = app.stage_upload(caller).await?;
    let mut file = File::open(path).map_err(|e| unreadable(path, &e.to_string()))?;
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let read = file.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        if read.map_err(|e| unreadable(path, &e.to_string()))? == 0 {
            break;
        }
        stage
            .write(&block)
            .await
            .map_err(|e| refused(path, e.into()))?;
    }
    let meta = UploadMeta {
        name: Some(name.as_str().to_owned()),
        file_name: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned()),
        ..UploadMeta::default()
    };
    let added = app.add_model(caller, meta, stage).await;
    Ok(added.map_err(|error| refused(path, error))?.version.number)
}

/// SHA-256 of a file.
pub(crate) fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let mut file = File::open(path)?;
    let (mut hash, mut block) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(Digest::from_bytes(hash.finalize().into())),
            read => hash.update(&block[..read]),
        }
    }
}

fn unreadable(path: &Path, error: &str) -> Failure {
    Failure::new(
        Exit::Data,
        format!("{} cannot be read: {error}", path.display()),
    )
}

fn refused(path: &Path, error: Error) -> Failure {
    Failure::from(error).about(&path.display().to_string())
}
