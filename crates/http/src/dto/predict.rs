//! Predictions in the OpenAPI document.
//!
//! Neither type is used to serve: the application decodes the raw body with the
//! model's schema and writes the answer without a tree of values in between.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Rows to predict.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"inputs": [{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}]}))]
pub(crate) struct PredictRequest {
    /// One object, a list of objects, a list of lists in schema order, a list of
    /// values for a model with one feature, or `{"columns": […], "data": [[…]]}`.
    /// Also accepted as `data`, `input` or `instances`.
    #[schema(value_type = Value)]
    inputs: Value,
    /// Whether class probabilities are answered.
    #[schema(default = true)]
    include_probabilities: Option<bool>,
    /// Whether facts about the model are answered.
    #[schema(default = false)]
    include_metadata: Option<bool>,
    /// A name of yours for this request; it is answered and logged.
    request_id: Option<String>,
    /// Number, label, `latest` or `production`; only where the path names no version.
    #[schema(value_type = Option<Value>)]
    version: Option<Value>,
}

/// One prediction per row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PredictAnswer {
    /// Its id.
    #[schema(example = "prd_01JD3T9Q2G0000000000000000")]
    prediction_id: String,
    /// Name of the model.
    model: String,
    /// Number of the version that answered.
    model_version: i64,
    /// Name of the endpoint, if one was called.
    endpoint: Option<String>,
    /// A class, a number, a list or an object per row.
    #[schema(value_type = Vec<Value>)]
    predictions: Vec<Value>,
    /// One row per row, columns in the order of `classes`.
    probabilities: Option<Vec<Vec<f64>>>,
    /// The classes, in the type the model was trained with.
    #[schema(value_type = Option<Vec<Value>>)]
    classes: Option<Vec<Value>>,
    /// The largest probability of each row.
    confidence: Option<Vec<f64>>,
    /// Time inside the server, in milliseconds.
    latency_ms: f64,
    /// Whether the model was in memory before.
    cached: bool,
    /// When it was answered.
    #[schema(format = DateTime)]
    timestamp: String,
    /// As the request gave it.
    request_id: Option<String>,
    /// `model_name`, `algorithm`, `problem_type`, `feature_count`, `training_date`, …
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}
