//! ONNX files: natively where every node is known, else by ONNX Runtime on the CPU.
//!
//! The file is looked through first ([`graph`]) and translated if it can be
//! ([`native`]). Otherwise it is handed to the runtime ([`runtime`]), and described
//! in the product's words ([`signature`]) either way. One session serves all
//! threads ([`shared`]).

mod answer;
mod attributes;
mod constant;
mod feed;
mod graph;
mod native;
mod outlet;
mod runtime;
mod screen;
mod shared;
mod signature;
mod watch;
mod wire;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::schema::Schema;

use crate::open::{Description, Opened};
use crate::{Control, Cost, EngineError, Predictor};
use answer::Classes;
use graph::Graph;
pub use runtime::find_onnxruntime;
pub(crate) use runtime::{ADVICE, load};
use shared::{SharedSession, Slot};
use signature::Signature;

/// Resident memory of a session over a tiny graph, in bytes (measured: 8 MiB).
const SESSION_BYTES: u64 = 8 << 20;

/// Whether `bytes` are an ONNX model.
pub(crate) fn sniff(bytes: &[u8]) -> bool {
    Graph::sniff(bytes)
}

/// Whether `bytes` are a TensorFlow SavedModel, whose wire format is the same.
pub(crate) fn is_saved_model(bytes: &[u8]) -> bool {
    wire::Fields::new(bytes)
        .enumerate()
        .all(|(index, field)| match field {
            Ok((1, wire::Value::Varint(1))) => index == 0,
            Ok((2, wire::Value::Bytes(_))) => index > 0,
            _ => false,
        })
        && bytes.len() > 4
}

/// Opens an ONNX model: natively, or with the library at `library`, loaded when first needed.
pub(crate) fn open(
    bytes: &[u8],
    library: Option<&Path>,
    intra_threads: usize,
) -> Result<Opened, EngineError> {
    let graph = Graph::read(bytes)?;
    if let Some(model) = native::open(&graph)? {
        return Ok(Opened {
            predictor: Box::new(model),
            description: describe(&graph, false),
        });
    }
    let runtime = load(library).map_err(|why| EngineError::Unavailable {
        what: format!("ONNX Runtime ({why})"),
        advice: ADVICE.to_owned(),
    })?;
    let session = runtime::session(runtime, bytes, intra_threads)?;
    let signature = Signature::of_session(&session, &graph)?;
    let session = SharedSession::new(
        session,
        signature.inputs.iter().map(|input| input.name.as_str()),
        signature.outputs.iter().map(|output| output.name.as_str()),
    )
    .map_err(|_| wire::malformed("the name of an input or output contains NUL"))?;
    let description = describe(&graph, signature.one_row);
    let model = OnnxModel {
        session,
        classes: Classes::of(&signature.schema.classes),
        cost: cost(&graph, bytes.len()),
        signature,
        shapes_lie: AtomicBool::new(false),
    };
    Ok(Opened {
        predictor: Box::new(model),
        description,
    })
}

fn describe(graph: &Graph<'_>, one_row: bool) -> Description {
    const TELLING: [&str; 7] = [
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
        "TreeEnsemble",
        "SVMClassifier",
        "SVMRegressor",
        "LinearClassifier",
        "LinearRegressor",
    ];
    let telling = TELLING
        .into_iter()
        .find(|operator| graph.operators.contains(operator));
    let has = |operators: &[&str]| {
        operators
            .iter()
            .any(|operator| graph.operators.contains(operator))
    };
    let algorithm = telling.unwrap_or(if has(&["Conv", "ConvTranspose"]) {
        "convolutional network"
    } else if has(&["MatMul", "Gemm", "FusedMatMul"]) {
        "neural network"
    } else {
        "computation graph"
    });
    let mut notes = Vec::new();
    if one_row {
        notes.push(
            "the graph was exported for one row at a time; several rows are run one after another"
                .to_owned(),
        );
    }
    Description {
        format: "onnx".to_owned(),
        algorithm: algorithm.to_owned(),
        library: (!graph.producer.is_empty()).then(|| graph.producer.clone()),
        notes,
    }
}

/// Memory: 14 times the file for tree ensembles, 3 times for networks (measured
/// on a forest of 96 000 nodes and on ResNet-18). Time: by the size of the weights.
fn cost(graph: &Graph<'_>, file_bytes: usize) -> Cost {
    let file_bytes = file_bytes as u64;
    let is_forest = graph
        .operators
        .iter()
        .any(|operator| operator.starts_with("TreeEnsemble"));
    let (factor, nanos_per_row) = if is_forest {
        (14, 10_000)
    } else {
        (3, 3_000 + file_bytes / 3)
    };
    Cost {
        resident_bytes: SESSION_BYTES.saturating_add(file_bytes.saturating_mul(factor)),
        nanos_per_row,
    }
}

struct OnnxModel {
    session: SharedSession,
    signature: Signature,
    classes: Classes,
    cost: Cost,
    /// An output once had another shape than the graph declares.
    shapes_lie: AtomicBool,
}

impl Predictor for OnnxModel {
    fn schema(&self) -> &Schema {
        &self.signature.schema
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn joins(&self) -> bool {
        !self.signature.one_row
    }

    fn predict(
        &self,
        batch: &Batch,
        output: &mut Output,
        control: &Control<'_>,
    ) -> Result<(), EngineError> {
        output.clear();
        let step = if self.signature.one_row {
            1
        } else {
            batch.rows.max(1)
        };
        for first in (0..batch.rows).step_by(step) {
            if let Some(stop) = control.stop() {
                return Err(EngineError::Stopped(stop));
            }
            self.run(batch, first..first + step, output, control)?;
        }
        output.rows = batch.rows;
        Ok(())
    }
}

impl OnnxModel {
    fn run(
        &self,
        batch: &Batch,
        rows: Range<usize>,
        output: &mut Output,
        control: &Control<'_>,
    ) -> Result<(), EngineError> {
        let count = rows.len();
        let inputs = feed::tensors(&self.signature, batch, &rows)?;
        let lies = self.shapes_lie.load(Ordering::Relaxed);
        let declared = (!lies).then_some(count);
        let tensors = self.signature.outputs.iter();
        let mut buffers: Vec<Values> = tensors
            .map(|tensor| answer::buffer(tensor, declared))
            .collect();
        let mut made = match self.fill(&inputs, &mut buffers, (count, control)) {
            Ok(made) => made,
            // Perhaps the graph declares other shapes than it answers.
            Err(error) if !lies && control.stop().is_none() && is_of_shape(&error) => {
                for buffer in &mut buffers {
                    buffer.resize(0);
                }
                let made = self.fill(&inputs, &mut buffers, (count, control));
                self.shapes_lie.store(made.is_ok(), Ordering::Relaxed);
                made.map_err(|error| failure(&error, control))?
            }
            Err(error) => return Err(failure(&error, control)),
        };
        for (index, buffer) in buffers.into_iter().enumerate() {
            let tensor = &self.signature.outputs[index];
            let (values, shape) = match made[index].take() {
                None => (buffer, None),
                Some(value) => answer::extract(&value, tensor, &self.classes, count)?,
            };
            let part = answer::Part {
                values,
                shape,
                rows: count,
            };
            answer::append(output, &self.signature, &self.classes, tensor, part)?;
        }
        Ok(())
    }

    /// Runs the session into `buffers`; outputs whose buffer is empty come back as values.
    fn fill(
        &self,
        inputs: &[shared::Given<'_>],
        buffers: &mut [Values],
        (rows, control): (usize, &Control<'_>),
    ) -> ort::Result<Vec<Option<ort::value::DynValue>>> {
        let outputs = self.signature.outputs.iter().zip(buffers);
        let mut slots: Vec<Slot<'_>> = outputs
            .map(|(tensor, buffer)| answer::slot(tensor, buffer, rows))
            .collect::<ort::Result<_>>()?;
        watch::watched(control, |options| {
            self.session.run(inputs, &mut slots, options)
        })?;
        let made = slots.into_iter().map(|slot| match slot {
            Slot::Into(_) => None,
            Slot::Made(value) => value,
        });
        Ok(made.collect())
    }
}

/// Whether a run failed because an output has no room in what is declared for it.
fn is_of_shape(error: &ort::Error) -> bool {
    let message = error.message();
    message.contains("shape") || message.contains("invalid dimensions for output")
}

/// A run that failed, or was told to end; an input of the wrong shape is the caller's matter.
fn failure(error: &ort::Error, control: &Control<'_>) -> EngineError {
    if let Some(stop) = control.stop() {
        return EngineError::Stopped(stop);
    }
    let detail = runtime::sentence(error);
    if error.code() == ort::ErrorCode::InvalidArgument {
        EngineError::Input { detail }
    } else {
        EngineError::Failed { detail }
    }
}
