//! What is known about a model, on the wire: in short, as programs, compared, promoted.

use plimsoll_app::registry::{Better, MetricChange, SchemaChange, Verdict, VersionComparison};
use plimsoll_core::schema::Task;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{PromotionRow, VersionRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::page::out_of_range;
use crate::problem::Problem;

/// What somebody with a key needs to know to use a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelInfo {
    /// Its name.
    model: String,
    /// Its id.
    model_id: String,
    /// What it is for, in its owner's words.
    description: String,
    /// Number of the version that answers.
    version: i64,
    /// Its label.
    label: String,
    /// `classification`, `regression`, …
    #[schema(value_type = String)]
    problem_type: Task,
    /// What computes.
    algorithm: String,
    /// Inputs in schema order.
    feature_names: Vec<String>,
    /// Classes in the order of the probabilities.
    #[schema(value_type = Vec<Value>)]
    classes: Value,
    /// Figures from training.
    #[schema(value_type = Object)]
    performance: Value,
    /// When the version was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Where to send inputs.
    predict_url: String,
}

impl ModelInfo {
    /// About `version` of the model `name`.
    pub(crate) fn new(
        (name, description): (String, String),
        version: VersionRow,
        base: &str,
    ) -> Self {
        let fields = version.input_schema.as_array().into_iter().flatten();
        let names = fields.filter_map(|field| field["name"].as_str());
        Self {
            predict_url: format!("{base}/api/v1/models/{name}/predict"),
            model: name,
            model_id: version.model_id.to_string(),
            description,
            version: version.number,
            label: version.label,
            problem_type: version.task,
            algorithm: version.algorithm,
            feature_names: names.map(str::to_owned).collect(),
            classes: version.classes,
            performance: version.metrics,
            created_at: version.created_at,
        }
    }
}

/// Programs that ask a model, ready to run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Snippets {
    /// Where they send inputs.
    pub(crate) url: String,
    /// What they send: a row that was answered just now.
    #[schema(value_type = Object)]
    pub(crate) body: Value,
    /// For a POSIX shell.
    pub(crate) curl: String,
    /// For Python 3, without packages.
    pub(crate) python: String,
    /// A module for Node.js, without packages.
    pub(crate) javascript: String,
}

/// Which versions are compared.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct CompareQuery {
    /// Number, label, id, `latest` or `production`.
    #[param(value_type = String)]
    from: Option<String>,
    /// Number, label, id, `latest` or `production`.
    #[param(value_type = String)]
    to: Option<String>,
}

impl CompareQuery {
    /// Both names, or which are missing.
    pub(crate) fn both(&self) -> Result<(&str, &str), Problem> {
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            return Ok((from, to));
        }
        let sent = [("from", &self.from), ("to", &self.to)];
        let missing = sent.iter().filter(|(_, text)| text.is_none());
        Err(Problem::invalid(
            missing
                .map(|(name, _)| out_of_range(name, "a version"))
                .collect(),
        ))
    }
}

/// Two versions of a model beside each other.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VersionComparison)]
pub(crate) struct VersionComparisonDto {
    /// The first version.
    from: ComparedVersion,
    /// The second version.
    to: ComparedVersion,
    /// Every figure that one of them has, by name.
    metrics: Vec<MetricDto>,
    /// Names of the figures that got worse.
    regressions: Vec<String>,
    /// Bytes by which the second file is longer.
    size_difference_bytes: i64,
    /// How the inputs differ.
    input_changes: SchemaChangeDto,
    /// How the outputs differ.
    output_changes: SchemaChangeDto,
}

/// One of two compared versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComparedVersion {
    /// Its id.
    id: String,
    /// Its number.
    version: i64,
    /// Its label.
    label: String,
    /// What computes.
    algorithm: String,
    /// Length of its file.
    size_bytes: i64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<VersionRow> for ComparedVersion {
    fn from(row: VersionRow) -> Self {
        Self {
            id: row.id.to_string(),
            version: row.number,
            label: row.label,
            algorithm: row.algorithm,
            size_bytes: row.size_bytes,
            created_at: row.created_at,
        }
    }
}

/// One figure of two versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricChange)]
pub(crate) struct MetricDto {
    /// Its name; members of members are joined by dots.
    name: String,
    /// In the first version.
    from: Option<f64>,
    /// In the second version.
    to: Option<f64>,
    /// The second minus the first.
    difference: Option<f64>,
    /// `higher` or `lower`, as far as the name says which is better.
    better: Option<&'static str>,
    /// `improved`, `worse`, `equal` or `unknown`.
    #[schema(value_type = String)]
    verdict: &'static str,
}

impl From<MetricChange> for MetricDto {
    fn from(change: MetricChange) -> Self {
        Self {
            difference: change.difference(),
            verdict: match change.verdict() {
                Verdict::Improved => "improved",
                Verdict::Worse => "worse",
                Verdict::Equal => "equal",
                Verdict::Unknown => "unknown",
            },
            better: change.better.map(|better| match better {
                Better::Higher => "higher",
                Better::Lower => "lower",
            }),
            name: change.name,
            from: change.from,
            to: change.to,
        }
    }
}

/// How the fields of two schemas differ, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchemaChange)]
pub(crate) struct SchemaChangeDto {
    /// Only in the second version.
    added: Vec<String>,
    /// Only in the first version.
    removed: Vec<String>,
    /// In both, but of another type or otherwise described.
    changed: Vec<String>,
}

impl From<SchemaChange> for SchemaChangeDto {
    fn from(change: SchemaChange) -> Self {
        Self {
            added: change.added,
            removed: change.removed,
            changed: change.changed,
        }
    }
}

impl From<VersionComparison> for VersionComparisonDto {
    fn from(comparison: VersionComparison) -> Self {
        let metrics = comparison.metrics;
        let worse = metrics.iter().filter(|m| m.verdict() == Verdict::Worse);
        Self {
            regressions: worse.map(|metric| metric.name.clone()).collect(),
            size_difference_bytes: comparison.to.size_bytes - comparison.from.size_bytes,
            input_changes: comparison.inputs.into(),
            output_changes: comparison.outputs.into(),
            metrics: metrics.into_iter().map(Into::into).collect(),
            from: comparison.from.into(),
            to: comparison.to.into(),
        }
    }
}

/// One entry of the ledger of promotions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Promotion)]
pub(crate) struct PromotionDto {
    /// Its id.
    id: String,
    /// Id of the version that was promoted.
    version_id: String,
    /// Id of the version that was in production before.
    previous_version_id: Option<String>,
    /// What was done: `promote`.
    action: String,
    /// Id of who did it.
    by_user_id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<PromotionRow> for PromotionDto {
    fn from(row: PromotionRow) -> Self {
        Self {
            id: row.id.to_string(),
            version_id: row.version_id.to_string(),
            previous_version_id: row.previous_version_id.map(|id| id.to_string()),
            action: row.action,
            by_user_id: row.by_user_id.to_string(),
            at: row.at,
        }
    }
}
