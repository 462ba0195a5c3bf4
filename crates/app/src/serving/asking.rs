//! The rows of a request, in the forms they come in.

use plimsoll_core::decode::{DecodeError, Decoded, InferRequest, infer_batch, predict_body};
use plimsoll_core::schema::Schema;

/// The rows of a request.
#[derive(Clone, Copy, Debug)]
pub enum Asking<'a> {
    /// A body of JSON as it came.
    Rows(&'a [u8]),
    /// Tensors of the Open Inference Protocol.
    Tensors(&'a InferRequest<'a>),
}

/// The rows of a request that outlive it.
pub(super) enum Kept {
    Rows(Vec<u8>),
    /// A message, and how many bytes of it are JSON.
    Tensors(Vec<u8>, usize),
}

impl Asking<'_> {
    /// Reads the rows with a schema.
    pub(super) fn decode(self, schema: &Schema, max_rows: usize) -> Result<Decoded, DecodeError> {
        match self {
            Self::Rows(body) => predict_body(body, schema, max_rows),
            Self::Tensors(request) => infer_batch(request, schema, max_rows),
        }
    }

    /// A copy to read later.
    pub(super) fn keep(self) -> Kept {
        match self {
            Self::Rows(body) => Kept::Rows(body.to_vec()),
            Self::Tensors(request) => Kept::Tensors(request.message.to_vec(), request.json),
        }
    }
}

impl Kept {
    /// Reads the rows with a schema.
    pub(super) fn decode(&self, schema: &Schema, max_rows: usize) -> Result<Decoded, DecodeError> {
        match self {
            Self::Rows(body) => predict_body(body, schema, max_rows),
            Self::Tensors(message, json) => {
                infer_batch(&InferRequest::read(message, *json)?, schema, max_rows)
            }
        }
    }
}
