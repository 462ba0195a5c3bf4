//! Inputs and outputs of a graph, as a session tells them or as the file declares them.

use ort::value::{TensorElementType as Element, ValueType};

use super::graph::{Graph, text_field};
use super::wire::{Fields, Value};
use crate::EngineError;

/// What a graph says of one of its inputs or outputs.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    pub(super) name: String,
    pub(super) kind: OutletKind,
}

/// What an input or output is.
#[derive(Clone, Debug)]
pub(super) enum OutletKind {
    /// A tensor.
    Tensor(Tensor),
    /// A map of probabilities for each row, with keys of this type.
    Maps(Element),
    /// Something that is not served.
    Other,
}

/// The type of a tensor.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) element: Element,
    /// `None` as a whole: the graph does not tell the rank.
    pub(super) dims: Option<Vec<Option<usize>>>,
}

impl Outlet {
    /// What a session says.
    pub(super) fn of_session(outlet: &ort::value::Outlet) -> Self {
        Self {
            name: outlet.name().to_owned(),
            kind: kind_of(outlet.dtype()),
        }
    }

    /// The type of the tensor it is, if it is one.
    pub(super) fn tensor(&self) -> Option<&Tensor> {
        match &self.kind {
            OutletKind::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }
}

fn kind_of(value: &ValueType) -> OutletKind {
    match value {
        ValueType::Tensor { ty, shape, .. } => {
            let dims = shape.iter().map(|dim| usize::try_from(*dim).ok());
            OutletKind::Tensor(Tensor {
                element: *ty,
                // The bindings show an unknown rank and a scalar alike.
                dims: (!shape.is_empty()).then(|| dims.collect()),
            })
        }
        ValueType::Sequence(inner) => match **inner {
            ValueType::Map { key, .. } => OutletKind::Maps(key),
            _ => OutletKind::Other,
        },
        _ => OutletKind::Other,
    }
}

/// Inputs that are no constants, and outputs.
pub(super) fn declared(graph: &Graph<'_>) -> Result<(Vec<Outlet>, Vec<Outlet>), EngineError> {
    let outlets = |infos: &[&[u8]]| -> Result<Vec<Outlet>, EngineError> {
        infos.iter().map(|info| outlet(info)).collect()
    };
    let mut inputs = outlets(&graph.inputs)?;
    inputs.retain(|input| !graph.initializers.contains_key(input.name.as_str()));
    let outputs = outlets(&graph.outputs)?;
    Ok((inputs, outputs))
}

/// A `ValueInfoProto`.
fn outlet(info: &[u8]) -> Result<Outlet, EngineError> {
    let mut kind = OutletKind::Other;
    for field in Fields::new(info) {
        if let (2, value) = field? {
            kind = kind_in(value.bytes()?)?;
        }
    }
    Ok(Outlet {
        name: text_field(info, 1)?.to_owned(),
        kind,
    })
}

/// A `TypeProto`.
fn kind_in(message: &[u8]) -> Result<OutletKind, EngineError> {
    let mut kind = OutletKind::Other;
    for field in Fields::new(message) {
        match field? {
            (1, value) => kind = tensor(value.bytes()?)?,
            (4, value) => kind = maps(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(kind)
}

/// `TypeProto.Tensor`: a type and perhaps a shape.
fn tensor(message: &[u8]) -> Result<OutletKind, EngineError> {
    let (mut element_type, mut dims) = (None, None);
    for field in Fields::new(message) {
        match field? {
            (1, value) => element_type = element(value.int()?),
            (2, value) => dims = Some(shape(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(element_type.map_or(OutletKind::Other, |element| {
        OutletKind::Tensor(Tensor {
            element,
            // The bindings show an unknown rank and a scalar alike.
            dims: dims.filter(|dims: &Vec<_>| !dims.is_empty()),
        })
    }))
}

fn shape(message: &[u8]) -> Result<Vec<Option<usize>>, EngineError> {
    let mut dims = Vec::new();
    for field in Fields::new(message) {
        let (1, value) = field? else { continue };
        let mut dim = None;
        for field in Fields::new(value.bytes()?) {
            if let (1, Value::Varint(size)) = field? {
                dim = i64::try_from(size)
                    .ok()
                    .and_then(|size| usize::try_from(size).ok());
            }
        }
        dims.push(dim);
    }
    Ok(dims)
}

/// `TypeProto.Sequence` of maps with `float32` values.
fn maps(message: &[u8]) -> Result<OutletKind, EngineError> {
    const MAP: u64 = 5;
    for field in Fields::new(message) {
        let (1, value) = field? else { continue };
        for variant in Fields::new(value.bytes()?) {
            let (MAP, map) = variant? else { continue };
            for field in Fields::new(map.bytes()?) {
                if let (1, key) = field? {
                    return Ok(element(key.int()?).map_or(OutletKind::Other, OutletKind::Maps));
                }
            }
        }
    }
    Ok(OutletKind::Other)
}

/// The element types that are translated.
fn element(number: i64) -> Option<Element> {
    match number {
        1 => Some(Element::Float32),
        7 => Some(Element::Int64),
        8 => Some(Element::String),
        _ => None,
    }
}
