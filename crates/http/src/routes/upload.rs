//! Receiving an upload: its file goes chunk by chunk to a staged file, its
//! other parts into [`UploadMeta`]. Until everything has arrived and was
//! checked, nothing is visible; dropping the stage removes the file.

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use plimsoll_app::auth::Caller;
use plimsoll_app::registry::{Added, UploadMeta};
use plimsoll_app::{App, Error};
use plimsoll_core::field::FieldError;
use plimsoll_core::model::ModelRef;
use serde_json::Value;

use crate::dto::model::AddedDto;
use crate::extract::{Form, Json, Part};
use crate::problem::Problem;

/// What an upload is added to.
pub(super) enum Target {
    /// The model named in the form, made if there is none.
    Named,
    /// This model.
    Existing(ModelRef),
}

/// 201 with the place of what was made.
pub(crate) struct Created(String, AddedDto);

impl Created {
    pub(super) fn new(added: Added, base_path: &str) -> Self {
        let (model, version) = (added.model.id, added.version.number);
        let location = format!("{base_path}/api/v1/models/{model}/versions/{version}");
        Self(location, AddedDto::new(added, base_path))
    }
}

impl IntoResponse for Created {
    fn into_response(self) -> Response {
        let Self(location, body) = self;
        (StatusCode::CREATED, [(LOCATION, location)], Json(body)).into_response()
    }
}

/// Receives the whole form, in whatever order its parts come, and adds the version.
pub(super) async fn receive(
    app: &App,
    caller: &Caller,
    mut form: Form,
    target: Target,
) -> Result<Added, Problem> {
    let mut meta = UploadMeta::default();
    let mut seen = Vec::new();
    let mut staged = None;
    while let Some(part) = form.next().await? {
        if seen.contains(&part.name) {
            return Err(refused(
                &part.name,
                "duplicate-part",
                "this part appears twice",
            ));
        }
        seen.push(part.name.clone());
        if part.name != "file" {
            set(&mut meta, part).await?;
            continue;
        }
        let mut file = part.into_file();
        meta.file_name = file.file_name().map(str::to_owned);
        let mut stage = app.stage_upload(caller).await?;
        while let Some(chunk) = file.chunk().await? {
            stage.write(&chunk).await.map_err(Error::from)?;
        }
        staged = Some(stage);
    }
    let stage =
        staged.ok_or_else(|| refused("file", "missing-field", "the part file is required"))?;
    let mut added = match target {
        Target::Named => app.add_model(caller, meta, stage).await?,
        Target::Existing(model) => app.add_version(caller, &model, meta, stage).await?,
    };
    // The model as the new version left it, with its latest version.
    if let Some(model) = app
        .db()
        .model_by_id(added.model.id)
        .await
        .map_err(Error::from)?
    {
        added.model = model;
    }
    Ok(added)
}

async fn set(meta: &mut UploadMeta, part: Part) -> Result<(), Problem> {
    let name = part.name.clone();
    let place = match name.as_str() {
        "name" => &mut meta.name,
        "label" => &mut meta.label,
        "description" => &mut meta.description,
        "model_type" => &mut meta.model_type,
        "sha256" => &mut meta.sha256,
        "tags" => {
            meta.tags = tags(&part.text().await?)?;
            return Ok(());
        }
        "sample_inputs" => {
            meta.sample_inputs = Some(part.long_text().await?);
            return Ok(());
        }
        "sample_outputs" => {
            meta.sample_outputs = Some(part.long_text().await?);
            return Ok(());
        }
        "tolerance" => &mut meta.tolerance,
        "metrics" | "config" | "training_info" => return set_object(meta, &name, part).await,
        _ => {
            return Err(refused(
                &name,
                "unknown-field",
                "there is no such part here",
            ));
        }
    };
    *place = Some(part.text().await?);
    Ok(())
}

async fn set_object(meta: &mut UploadMeta, name: &str, part: Part) -> Result<(), Problem> {
    let value = serde_json::from_str::<Value>(&part.text().await?)
        .ok()
        .filter(Value::is_object);
    let value = value.ok_or_else(|| refused(name, "invalid-value", "expected a JSON object"))?;
    match name {
        "metrics" => meta.metrics = Some(value),
        "config" => meta.config = Some(value),
        _ => meta.training_info = Some(value),
    }
    Ok(())
}

/// A JSON list of strings, or words with commas between them.
fn tags(text: &str) -> Result<Vec<String>, Problem> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|_| refused("tags", "invalid-value", "expected a JSON list of strings"));
    }
    Ok(text
        .split(',')
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect())
}

fn refused(part: &str, code: &'static str, detail: &str) -> Problem {
    let mut pointer = String::new();
    plimsoll_core::field::push_pointer(&mut pointer, part);
    Problem::invalid(vec![FieldError::new(pointer, code, detail)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_json_list_or_words_with_commas() {
        for (text, expected) in [
            ("a, b ,,c", Some(vec!["a", "b", "c"])),
            (r#"["a, b", "c"]"#, Some(vec!["a, b", "c"])),
            ("", Some(vec![])),
            ("[1]", None),
            ("[\"a\"", None),
        ] {
            let expected =
                expected.map(|tags| tags.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(tags(text).ok(), expected, "{text}");
        }
    }
}
