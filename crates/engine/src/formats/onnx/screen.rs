//! What must not reach ONNX Runtime: it would follow `external_data` to files beside
//! the process, and the bindings would panic on rare types of outputs.

use super::graph::text_field;
use super::wire::{Fields, Value};
use crate::EngineError;

/// Deepest nesting of subgraphs.
const MAX_DEPTH: usize = 16;

/// Refuses external data in a graph, its nodes and its subgraphs.
pub(super) fn check_graph(graph: &[u8], depth: usize) -> Result<(), EngineError> {
    if depth > MAX_DEPTH {
        return Err(EngineError::TooLarge {
            detail: format!("subgraphs nest more than {MAX_DEPTH} levels deep"),
        });
    }
    for field in Fields::new(graph) {
        match field? {
            (1, value) => check_node(value.bytes()?, depth)?,
            (5, value) => check_tensor(value.bytes()?)?,
            (15, value) => check_sparse(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn check_function(function: &[u8]) -> Result<(), EngineError> {
    for field in Fields::new(function) {
        match field? {
            (7, value) => check_node(value.bytes()?, 0)?,
            (11, value) => check_attribute(value.bytes()?, 0)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_node(node: &[u8], depth: usize) -> Result<(), EngineError> {
    for field in Fields::new(node) {
        if let (5, value) = field? {
            check_attribute(value.bytes()?, depth)?;
        }
    }
    Ok(())
}

fn check_attribute(attribute: &[u8], depth: usize) -> Result<(), EngineError> {
    for field in Fields::new(attribute) {
        match field? {
            (5 | 10, value) => check_tensor(value.bytes()?)?,
            (6 | 11, value) => check_graph(value.bytes()?, depth + 1)?,
            (22 | 23, value) => check_sparse(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(())
}

/// A sparse tensor: values and indices, each a tensor.
fn check_sparse(sparse: &[u8]) -> Result<(), EngineError> {
    for field in Fields::new(sparse) {
        if let (1 | 2, value) = field? {
            check_tensor(value.bytes()?)?;
        }
    }
    Ok(())
}

fn check_tensor(tensor: &[u8]) -> Result<(), EngineError> {
    for field in Fields::new(tensor) {
        if let (13, _) | (14, Value::Varint(1..)) = field? {
            return Err(EngineError::Unsupported {
                what: "an ONNX file that keeps weights in other files (external data)".to_owned(),
                advice: "save it in one file: onnx.save_model(onnx.load(\"model.onnx\"), \"single.onnx\", \
                         save_as_external_data=False)"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses inputs and outputs other than tensors, and maps of classes.
pub(super) fn check_type(info: &[u8], role: &str) -> Result<(), EngineError> {
    const TENSOR: u64 = 1;
    const SEQUENCE: u64 = 4;
    const MAP: u64 = 5;
    let (name, kind) = (text_field(info, 1)?, kind_of(info, 2)?);
    let fits = match kind.map(|(kind, _)| kind) {
        Some(TENSOR) => true,
        Some(SEQUENCE) if role == "output" => {
            let element = kind.map_or(&[][..], |(_, message)| message);
            kind_of(element, 1)?.is_some_and(|(kind, _)| matches!(kind, TENSOR | MAP))
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(EngineError::Unsupported {
        what: format!("{role} {name:?}, which is no tensor,"),
        advice: format!("export the model so that each {role} is a dense tensor"),
    })
}

/// The variant of the type in field `number`, and that variant's message.
///
/// A type that is given twice would be merged by the runtime, so it is refused.
fn kind_of(message: &[u8], number: u64) -> Result<Option<(u64, &[u8])>, EngineError> {
    let mut types = Vec::new();
    for field in Fields::new(message) {
        let (found, value) = field?;
        if found == number {
            types.push(value.bytes()?);
        }
    }
    let [only] = types[..] else {
        return Ok(None);
    };
    let mut variants = Vec::new();
    for field in Fields::new(only) {
        if let (kind, Value::Bytes(content)) = field? {
            // 6 is the denotation, a text beside the variant.
            if kind != 6 {
                variants.push((kind, content));
            }
        }
    }
    Ok(match variants[..] {
        [variant] => Some(variant),
        _ => None,
    })
}
