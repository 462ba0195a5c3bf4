//! Answers of inference: JSON, and binary data behind it where it is wanted.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use plimsoll_app::serving::Answer;
use plimsoll_core::decode::{AnswerTensor, InferRequest, answer_tensors};
use plimsoll_core::field::FieldError;
use plimsoll_core::id::PredictionId;
use serde::Serialize;
use utoipa::ToSchema;

use super::JSON;
use super::message::JSON_LENGTH;
use crate::deprecation::{DEPRECATION, since};
use crate::problem::Problem;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Tensors that a model answered.
#[derive(Serialize, ToSchema)]
#[schema(as = InferAnswer)]
pub(super) struct InferAnswer<'a> {
    /// Name of the model.
    model_name: &'a str,
    /// Number of the version that answered.
    model_version: String,
    /// As the request gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    parameters: Parameters<'a>,
    /// `predictions`, and `probabilities` of classifiers that have them; several outputs of a
    /// model by their own names.
    outputs: Vec<OutputDto<'a>>,
}

/// What is known about an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = InferAnswerParameters)]
struct Parameters<'a> {
    /// Its id in the log.
    #[schema(value_type = String)]
    prediction_id: PredictionId,
    /// Name of the endpoint, if one was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
}

/// One tensor of an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = InferOutput)]
struct OutputDto<'a> {
    /// Its name.
    name: &'a str,
    /// `FP64`, `INT64`, `BYTES`, …
    datatype: &'static str,
    /// Its dimensions, rows first.
    shape: Vec<usize>,
    /// Where its data is, if it is behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<OutputParameters>,
    /// Its elements in row-major order, if they are not behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Value>>)]
    data: Option<&'a AnswerTensor<'a>>,
}

/// Where the data of a tensor is.
#[derive(Serialize, ToSchema)]
#[schema(as = InferOutputParameters)]
struct OutputParameters {
    /// How many bytes behind the JSON are its data.
    binary_data_size: usize,
}

/// Writes an answer as the request wants it.
pub(super) fn written(request: &InferRequest<'_>, answer: &Answer) -> Result<Response, Problem> {
    let tensors = answer_tensors(answer.schema(), &answer.output);
    let wanted = wanted(request, &tensors)?;
    let mut binary = Vec::new();
    let mut output = |(tensor, is_binary): &(&'_ AnswerTensor<'_>, bool)| {
        let before = binary.len();
        if *is_binary {
            tensor.append_to(&mut binary);
        }
        let binary_data_size = binary.len() - before;
        is_binary.then_some(OutputParameters { binary_data_size })
    };
    let parameters: Vec<_> = wanted.iter().map(&mut output).collect();
    let outputs = wanted.iter().zip(parameters);
    let outputs = outputs.map(|((tensor, is_binary), parameters)| OutputDto {
        name: tensor.name,
        datatype: tensor.datatype.name(),
        shape: tensor.shape.clone(),
        parameters,
        data: (!is_binary).then_some(*tensor),
    });
    let said = InferAnswer {
        model_name: &answer.model.name,
        model_version: answer.version.number.to_string(),
        id: request.id.as_deref(),
        parameters: Parameters {
            prediction_id: answer.prediction_id,
            endpoint: answer.endpoint.as_ref().map(|endpoint| &*endpoint.name),
        },
        outputs: outputs.collect(),
    };
    let json = serde_json::to_vec(&said).expect("invariant: an answer has no failing part");
    let is_binary = wanted.iter().any(|(_, is_binary)| *is_binary);
    let mut response = packed(json, is_binary.then_some(binary));
    if let Some(at) = answer.deprecated_at() {
        response.headers_mut().insert(DEPRECATION, since(at));
    }
    Ok(response)
}

/// The tensors of an answer that are wanted, and which of them as binary data.
fn wanted<'t, 'a>(
    request: &InferRequest<'_>,
    tensors: &'t [AnswerTensor<'a>],
) -> Result<Vec<(&'t AnswerTensor<'a>, bool)>, Problem> {
    if request.outputs.is_empty() {
        let all = tensors.iter().map(|tensor| (tensor, request.is_binary));
        return Ok(all.collect());
    }
    let asked = request.outputs.iter().enumerate();
    let found = asked.map(|(index, asked)| {
        let tensor = tensors.iter().find(|tensor| tensor.name == asked.name);
        let missing = || {
            let pointer = format!("/outputs/{index}/name");
            let detail = format!("the model did not answer {}", asked.name);
            Problem::invalid(vec![FieldError::new(pointer, "unknown-field", detail)])
        };
        let is_binary = asked.is_binary.unwrap_or(request.is_binary);
        tensor.map(|tensor| (tensor, is_binary)).ok_or_else(missing)
    });
    found.collect()
}

fn packed(json: Vec<u8>, binary: Option<Vec<u8>>) -> Response {
    let length = HeaderValue::from(json.len());
    let Some(binary) = binary else {
        let mut response = Response::new(Body::from(json));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        return response;
    };
    let mut whole = json;
    whole.extend_from_slice(&binary);
    let mut response = Response::new(Body::from(whole));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, OCTETS);
    headers.insert(HeaderName::from_static(JSON_LENGTH), length);
    response
}
