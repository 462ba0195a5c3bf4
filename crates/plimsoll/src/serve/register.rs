//! Files on the command line become models: registered, promoted, tried.
//!
//! The same content changes nothing, so a restart is free of effects; other
//! content under the same name becomes the next version.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use plimsoll_app::auth::Caller;
use plimsoll_app::keys::{NewApiKey, RateLimit};
use plimsoll_app::registry::UploadMeta;
use plimsoll_app::serving::PredictCall;
use plimsoll_app::{App, Error};
use plimsoll_core::digest::Digest;
use plimsoll_core::example::example_row;
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelName, ModelRef, Stage, Status, VersionRef};
use plimsoll_core::schema::{Field, Schema};
use plimsoll_core::secret::Secret;
use plimsoll_store::VersionRow;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::commands::key;
use crate::output::{Exit, Failure, chain};

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
        let example = example(app, caller, &name, &version).await;
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
    let digest = hash(path).map_err(|e| unreadable(path, &e.to_string()))?;
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
    if stage == Stage::Production {
        return Ok(app.version(caller, &model, &version).await?);
    }
    app.promote(caller, &model, &version)
        .await
        .map_err(|error| refused(path, error))
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

/// A request for this model that was really answered: its first sample row, else
/// ones or zeros; `None` if it accepts none of them.
async fn example(
    app: &App,
    caller: &Caller,
    name: &ModelName,
    version: &VersionRow,
) -> Option<String> {
    let fields: Vec<Field> = serde_json::from_value(version.input_schema.clone()).ok()?;
    let row = example_row(&Schema::separate(fields.clone()).ok()?);
    let sample = app.sample_request(version).await.ok().flatten();
    let guesses = [ones(&row), row].map(|row| request(&fields, &row));
    for body in sample.into_iter().chain(guesses) {
        let call = PredictCall {
            caller,
            model: ModelRef::Name(name.as_str().to_owned()),
            version: VersionRef::Number(version.number),
            body: body.as_bytes(),
            request_id: "",
            deadline: None,
        };
        match app.rehearse(call).await {
            Ok(()) => return Some(body),
            Err(error) => {
                tracing::debug!(model = name.as_str(), error = %chain(&error), "an example was refused");
            }
        }
    }
    None
}

/// The body for one row, in the order of the schema. A row whose names say no
/// more than their position is written as a list.
fn request(fields: &[Field], row: &Value) -> String {
    let value = |field: &Field| row[&field.name].to_string();
    let mut by_position = fields.iter().enumerate();
    if by_position.all(|(index, field)| field.name == format!("x{index}")) {
        let values: Vec<String> = fields.iter().map(value).collect();
        return format!(r#"{{"inputs":[[{}]]}}"#, values.join(","));
    }
    let named = |field: &Field| format!("{}:{}", json!(field.name), value(field));
    let members: Vec<String> = fields.iter().map(named).collect();
    format!(r#"{{"inputs":{{{}}}}}"#, members.join(","))
}

/// The row with 1 for every number: 0 is a missing pixel or a division by zero more often.
fn ones(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!(1.0),
        Value::Number(_) => json!(1),
        Value::Array(items) => items.iter().map(ones).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), ones(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

fn hash(path: &Path) -> std::io::Result<Digest> {
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

#[cfg(test)]
mod tests {
    use plimsoll_core::schema::DataType;

    use super::*;

    #[test]
    fn a_request_keeps_the_order_of_the_schema() {
        let named = ["size", "age"].map(|name| Field::scalar(name, DataType::Int64));
        assert_eq!(
            request(&named, &json!({"age": 1, "size": 2})),
            r#"{"inputs":{"size":2,"age":1}}"#
        );
        let numbered = ["x0", "x1"].map(|name| Field::scalar(name, DataType::Int64));
        assert_eq!(
            request(&numbered, &json!({"x0": 1, "x1": 2})),
            r#"{"inputs":[[1,2]]}"#
        );
    }

    #[test]
    fn ones_replace_numbers_and_keep_types() {
        let row = json!({"a": 0.0, "b": 0, "c": [[0.0]], "d": "x", "e": false});
        let expected = json!({"a": 1.0, "b": 1, "c": [[1.0]], "d": "x", "e": false});
        assert_eq!(ones(&row), expected);
    }
}
