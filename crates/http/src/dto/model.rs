//! Models and uploads on the wire.

use plimsoll_app::registry::{Added, ModelChange, ModelFilter, ModelSort, ModelView};
use plimsoll_core::field::FieldError;
use plimsoll_core::model::Status;
use plimsoll_core::page::PageRequest;
use plimsoll_core::schema::Task;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{ModelRow, SortOrder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Patch;
use super::analytics::StatisticsDto;
use super::capture::{CaptureDto, CaptureRequest};
use super::page::{out_of_range, page_request};
use super::version::{FieldDto, VersionDto};
use crate::problem::Problem;

/// A model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelDto {
    /// Its id.
    #[schema(example = "mdl_01JD3T9Q2G0000000000000000")]
    id: String,
    /// Unique among its owner's.
    #[schema(example = "iris")]
    name: String,
    /// For people.
    description: String,
    /// For people and filters.
    tags: Vec<String>,
    /// `active`, `deprecated` or `archived`.
    #[schema(value_type = String)]
    status: Status,
    /// `classification`, `regression`, `forecast`, `outlier`, `clustering`, `embedding` or `other`.
    #[schema(value_type = String)]
    task: Task,
    /// Number of the newest version that can answer.
    latest_version: Option<i64>,
    /// Number of the version in production.
    production_version: Option<i64>,
    /// Answered prediction requests of all versions.
    prediction_count: i64,
    /// What is kept of requests to it.
    capture: CaptureDto,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it or one of its versions was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<ModelRow> for ModelDto {
    fn from(row: ModelRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            description: row.description,
            tags: row.tags,
            status: row.status,
            task: row.task,
            latest_version: row.latest_version,
            production_version: row.production_version,
            prediction_count: row.prediction_count,
            capture: row.capture.into(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A model with what it takes and answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelDetail {
    /// The model.
    #[serde(flatten)]
    model: ModelDto,
    /// What one row of `inputs` holds, in schema order.
    #[schema(value_type = Vec<FieldDto>)]
    input_schema: Value,
    /// What one row of the answer holds.
    #[schema(value_type = Vec<FieldDto>)]
    output_schema: Value,
    /// Classes in the order of the probabilities.
    #[schema(value_type = Vec<Value>)]
    classes: Value,
    /// How it has been doing since it was made.
    statistics: StatisticsDto,
    /// The version that answers when a prediction names none.
    serving_version: Option<VersionDto>,
}

impl From<ModelView> for ModelDetail {
    fn from(view: ModelView) -> Self {
        let none = || Value::Array(Vec::new());
        let version = view.serving;
        let schema = version.as_ref().map(|version| {
            (
                version.input_schema.clone(),
                version.output_schema.clone(),
                version.classes.clone(),
            )
        });
        let (input_schema, output_schema, classes) =
            schema.unwrap_or_else(|| (none(), none(), none()));
        let serving_version = version.map(|row| VersionDto::new(row, view.row.name.clone()));
        Self {
            model: view.row.into(),
            statistics: view.statistics.into(),
            input_schema,
            output_schema,
            classes,
            serving_version,
        }
    }
}

/// What an upload made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Uploaded)]
pub(crate) struct AddedDto {
    /// The model, as it is now.
    model: ModelDto,
    /// The new version.
    version: VersionDto,
    /// Number of the version before it.
    previous_version: Option<i64>,
    /// Where to send inputs.
    #[schema(example = "/api/v1/models/iris/predict")]
    pub predict_url: String,
}

impl AddedDto {
    pub(crate) fn new(added: Added, base_path: &str) -> Self {
        let name = added.model.name.clone();
        Self {
            predict_url: format!("{base_path}/api/v1/models/{name}/predict"),
            version: VersionDto::new(added.version, name),
            model: added.model.into(),
            previous_version: added.previous_version,
        }
    }
}

/// The parts of an upload form.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the multipart form in the OpenAPI document"
)]
pub(crate) struct UploadForm {
    /// The model file. Its content decides what it is.
    #[schema(value_type = String, format = Binary)]
    file: String,
    /// Name of the model: letters, digits, dots, hyphens, underscores. Needed for a new model.
    name: Option<String>,
    /// Label of the version; `N.0.0` if left out.
    label: Option<String>,
    /// For people.
    description: Option<String>,
    /// What the file should be (`sklearn`, `onnx`, …); a mismatch is refused.
    model_type: Option<String>,
    /// A JSON list of strings, or words with commas between them.
    tags: Option<String>,
    /// JSON object with figures from training.
    metrics: Option<String>,
    /// JSON object with settings from training.
    config: Option<String>,
    /// JSON object with anything else from training.
    training_info: Option<String>,
    /// JSON rows to try the model on, in any form `inputs` takes; at most 1000.
    sample_inputs: Option<String>,
    /// What the model has to answer for them: a JSON list of predictions, or an object with
    /// `predictions` and `probabilities`.
    sample_outputs: Option<String>,
    /// Largest accepted `|got − expected| / max(1, |expected|)`; 1e-6 if left out.
    tolerance: Option<String>,
    /// SHA-256 of the file in hex; another content is refused.
    sha256: Option<String>,
}

/// What changes about a model; fields left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateModelRequest {
    /// A new description, or `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    /// New tags.
    tags: Option<Vec<String>>,
    /// `active`, `deprecated` or `archived`.
    #[schema(value_type = Option<String>)]
    status: Option<Status>,
    /// What is kept of requests from the next one on.
    capture: Option<CaptureRequest>,
}

impl From<UpdateModelRequest> for ModelChange {
    fn from(request: UpdateModelRequest) -> Self {
        let UpdateModelRequest {
            description,
            tags,
            status,
            capture,
        } = request;
        Self {
            description: description.into(),
            tags,
            status,
            capture: capture.map(Into::into),
        }
    }
}

/// Which models are listed, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ModelQuery {
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
    /// `active`, `deprecated` or `archived`; archived models appear only if asked for (also `status_filter`).
    #[serde(alias = "status_filter")]
    status: Option<String>,
    /// Text in name, description or tags, in any letter case.
    search: Option<String>,
    /// A tag, exactly.
    tag: Option<String>,
    /// What stands in front of the first dot of the name, e.g. `sales` of `sales.shops.demand`.
    catalog: Option<String>,
    /// What the model is for.
    task: Option<String>,
    /// `created_at` (default), `updated_at`, `name` or `version`.
    sort_by: Option<String>,
    /// `desc` (default) or `asc`.
    sort_order: Option<String>,
}

impl ModelQuery {
    /// The filter and the page, or everything that is wrong with them.
    pub(crate) fn into_parts(self) -> Result<(ModelFilter, PageRequest), Problem> {
        let mut errors = Vec::new();
        let page = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        let filter = ModelFilter {
            status: word(
                "status",
                self.status,
                "active, deprecated or archived",
                &mut errors,
                |text| text.parse().ok(),
            ),
            task: word(
                "task",
                self.task,
                "a task such as classification",
                &mut errors,
                |text| Task::try_from(text.to_owned()).ok(),
            ),
            sort_by: word(
                "sort_by",
                self.sort_by,
                "created_at, updated_at, name or version",
                &mut errors,
                sort_by,
            )
            .unwrap_or_default(),
            sort_order: word(
                "sort_order",
                self.sort_order,
                "asc or desc",
                &mut errors,
                sort_order,
            )
            .unwrap_or_default(),
            search: self.search.filter(|text| !text.is_empty()),
            tag: self.tag,
            catalog: self.catalog.filter(|text| !text.is_empty()),
            ..ModelFilter::default()
        };
        if errors.is_empty() {
            Ok((filter, page))
        } else {
            Err(Problem::invalid(errors))
        }
    }
}

fn word<T>(
    name: &str,
    text: Option<String>,
    expected: &str,
    errors: &mut Vec<FieldError>,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let parsed = parse(text.as_deref()?);
    if parsed.is_none() {
        errors.push(out_of_range(name, expected));
    }
    parsed
}

fn sort_by(text: &str) -> Option<ModelSort> {
    Some(match text {
        "created_at" => ModelSort::CreatedAt,
        "updated_at" => ModelSort::UpdatedAt,
        "name" => ModelSort::Name,
        "version" => ModelSort::Version,
        _ => return None,
    })
}

fn sort_order(text: &str) -> Option<SortOrder> {
    Some(match text {
        "asc" => SortOrder::Ascending,
        "desc" => SortOrder::Descending,
        _ => return None,
    })
}
