//! Versions on the wire.

use plimsoll_app::registry::{Verification, Verified, VersionChange};
use plimsoll_core::model::{Stage, Status};
use plimsoll_core::page::PageRequest;
use plimsoll_core::schema::Task;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{Lineage, VersionRow};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::Patch;
use super::page::{flag, out_of_range, page_request};
use crate::problem::Problem;

/// One immutable version of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
pub(crate) struct VersionDto {
    /// Its id.
    #[schema(example = "ver_01JD3T9Q2G0000000000000000")]
    id: String,
    /// Name of its model.
    model: String,
    /// Id of its model.
    model_id: String,
    /// Counted from 1 within the model.
    version: i64,
    /// Unique within the model.
    #[schema(example = "1.0.0")]
    label: String,
    /// `active`, `deprecated` or `archived`.
    #[schema(value_type = String)]
    status: Status,
    /// `none`, `candidate` or `production`.
    #[schema(value_type = String)]
    stage: Stage,
    /// File format.
    #[schema(example = "onnx")]
    format: String,
    /// What runs it: `built-in`, or `python`, a confined process that runs the code in the file,
    /// which an operator allowed.
    #[schema(value_type = String, example = "built-in")]
    engine: &'static str,
    /// What computes.
    #[schema(example = "RandomForestClassifier")]
    algorithm: String,
    /// What made the file, if it says so.
    library: String,
    /// What it is for.
    #[schema(value_type = String)]
    task: Task,
    /// SHA-256 of the file, in hex.
    sha256: String,
    /// Length of the file.
    size_bytes: i64,
    /// What the uploader called the file.
    file_name: String,
    /// What one row of `inputs` holds, in schema order.
    #[schema(value_type = Vec<FieldDto>)]
    input_schema: Value,
    /// What one row of the answer holds.
    #[schema(value_type = Vec<FieldDto>)]
    output_schema: Value,
    /// Classes in the order of the probabilities.
    #[schema(value_type = Vec<Value>)]
    classes: Value,
    /// Named figures from training.
    #[schema(value_type = Object)]
    metrics: Value,
    /// How it was configured.
    #[schema(value_type = Object)]
    config: Value,
    /// How it was trained.
    #[schema(value_type = Object)]
    training_info: Value,
    /// For people and filters.
    tags: Vec<String>,
    /// For people.
    description: String,
    /// Where it comes from; members that are not known are left out.
    lineage: LineageDto,
    /// Outcome of the comparison with sample outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ComparisonDto>)]
    verification: Option<Value>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl VersionDto {
    /// A version's row together with the name of its model.
    pub(crate) fn new(row: VersionRow, model: String) -> Self {
        Self {
            id: row.id.to_string(),
            model,
            model_id: row.model_id.to_string(),
            version: row.number,
            label: row.label,
            status: row.status,
            stage: row.stage,
            engine: engine_of(&row.format),
            format: row.format,
            algorithm: row.algorithm,
            library: row.library,
            task: row.task,
            sha256: row.sha256.to_string(),
            size_bytes: row.size_bytes,
            file_name: row.file_name,
            input_schema: row.input_schema,
            output_schema: row.output_schema,
            classes: row.classes,
            metrics: row.metrics,
            config: row.config,
            training_info: row.training_info,
            tags: row.tags,
            description: row.description,
            lineage: row.lineage.into(),
            verification: row.verification,
            created_at: row.created_at,
        }
    }
}

/// What runs files of this format.
fn engine_of(format: &str) -> &'static str {
    if format.starts_with("python-") {
        "python"
    } else {
        "built-in"
    }
}

/// Where a version comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lineage)]
pub(crate) struct LineageDto {
    /// Number of the version it grew from.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_version: Option<i64>,
    /// Id of the job that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    /// Id of the dataset it was trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_id: Option<String>,
}

impl From<Lineage> for LineageDto {
    fn from(lineage: Lineage) -> Self {
        Self {
            parent_version: lineage.parent_version,
            job_id: lineage.job_id,
            dataset_id: lineage.dataset_id,
        }
    }
}

/// What changes about a version; fields left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateVersionRequest {
    /// A new description, or `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    /// New tags.
    tags: Option<Vec<String>>,
    /// New figures, in place of all.
    #[schema(value_type = Option<Object>)]
    metrics: Option<Map<String, Value>>,
    /// `active`, `deprecated` or `archived`.
    #[schema(value_type = Option<String>)]
    status: Option<Status>,
}

impl From<UpdateVersionRequest> for VersionChange {
    fn from(request: UpdateVersionRequest) -> Self {
        Self {
            description: request.description.into(),
            tags: request.tags,
            metrics: request.metrics.map(Value::Object),
            status: request.status,
        }
    }
}

/// How a version is deleted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteVersionQuery {
    /// `true`: the file stays, although nothing names it.
    #[param(value_type = Option<bool>, default = false)]
    keep_artifact: Option<String>,
}

impl DeleteVersionQuery {
    pub(crate) fn keep_artifact(&self) -> Result<bool, Problem> {
        flag("keep_artifact", self.keep_artifact.as_deref())
    }
}

/// One named value of a row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Field)]
pub(crate) struct FieldDto {
    /// The name a caller uses.
    name: String,
    /// `float32`, `float64`, `int64`, `bool` or `string`.
    r#type: String,
    /// Whether `null` (missing) is accepted.
    nullable: bool,
    /// Dimensions of one value; `null` where each request chooses. Left out for single values.
    shape: Option<Vec<Option<u64>>>,
    /// The known values of a categorical field.
    categories: Option<Vec<String>>,
}

/// What re-hashing a stored file found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerifiedDto {
    /// SHA-256 recorded at upload.
    sha256: String,
    /// Whether the stored bytes still have it.
    matches: bool,
    /// How the version answered its sample rows just now; left out if nothing is expected of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<ComparisonDto>,
}

impl From<Verified> for VerifiedDto {
    fn from(verified: Verified) -> Self {
        Self {
            sha256: verified.sha256.to_string(),
            matches: verified.matches,
            verification: verified.verification.map(Into::into),
        }
    }
}

/// How closely a version answers its sample rows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Comparison)]
pub(crate) struct ComparisonDto {
    /// Rows that were compared.
    rows: usize,
    /// Largest `|got − expected| / max(1, |expected|)`; `null` if no numbers were compared.
    max_difference: Option<f64>,
    /// Largest difference that is accepted.
    tolerance: f64,
    /// Whether all labels are equal and all numbers near enough. Promotion is refused otherwise.
    passed: bool,
    /// Where the answer is farthest from the expected one, if it is too far.
    #[serde(skip_serializing_if = "Option::is_none")]
    worst: Option<WorstDto>,
}

/// One answer that is not the expected one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worst)]
pub(crate) struct WorstDto {
    /// Index of the sample row, from 0.
    row: usize,
    /// Which part of the row's answer.
    #[schema(example = "probabilities/2")]
    field: String,
    /// What is expected.
    expected: Value,
    /// What the version answers.
    got: Value,
    /// The difference of two numbers; `null` between other things.
    difference: Option<f64>,
}

impl From<Verification> for ComparisonDto {
    fn from(found: Verification) -> Self {
        Self {
            rows: found.rows,
            max_difference: found.max_difference,
            tolerance: found.tolerance,
            passed: found.passed,
            worst: found.worst.map(|worst| WorstDto {
                row: worst.row,
                field: worst.field,
                expected: worst.expected,
                got: worst.got,
                difference: worst.difference,
            }),
        }
    }
}

/// Which versions are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionQuery {
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
    /// `active`, `deprecated` or `archived`; all of them if left out.
    status: Option<String>,
    /// A tag, exactly.
    tag: Option<String>,
}

/// The status and the tag versions are narrowed down to.
type Narrowed<'q> = (Option<Status>, Option<&'q str>);

impl VersionQuery {
    /// The filter and the page, or everything that is wrong with them.
    pub(crate) fn parts(&self) -> Result<(Narrowed<'_>, PageRequest), Problem> {
        let mut errors = Vec::new();
        let page = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        let status = self.status.as_deref().and_then(|text| {
            let status = text.parse().ok();
            if status.is_none() {
                errors.push(out_of_range("status", "active, deprecated or archived"));
            }
            status
        });
        if errors.is_empty() {
            Ok(((status, self.tag.as_deref()), page))
        } else {
            Err(Problem::invalid(errors))
        }
    }
}
