//! Tensors to a [`Batch`](crate::column::Batch): the bodies of the Open Inference Protocol, version 2.
//!
//! A request names its tensors in JSON. The elements stand there too, nested or
//! flat, or behind the JSON as raw bytes (the binary tensor data extension).
//! They go through the same coercion table as JSON rows.

mod answer;
mod content;
mod datatype;
mod place;
mod request;
#[cfg(test)]
mod tests;

pub use answer::{AnswerTensor, TensorSpec, answer_tensors, input_specs, output_specs};
pub use datatype::Datatype;
pub use place::infer_batch;
pub use request::{InferRequest, RequestedOutput, Tensor};
