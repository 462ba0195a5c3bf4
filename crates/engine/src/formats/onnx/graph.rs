//! What an ONNX file says about itself, read before the runtime sees it.
//!
//! The runtime would follow `external_data` to files beside the process and
//! the bindings would panic on rare types of outputs, so both are looked for
//! here. Classes of a classifier are found by following its label output
//! back to the node that chose it. Field numbers: `onnx.proto`, IR version 13.

use std::collections::{BTreeSet, HashMap};

use plimsoll_core::schema::ClassLabel;

use super::wire::{Fields, Value, malformed, push_ints};
use crate::EngineError;

/// Deepest nesting of subgraphs.
const MAX_DEPTH: usize = 16;
/// Steps from an output back to the node that knows the classes.
const MAX_STEPS: usize = 64;
/// Most classes a classifier may have.
const MAX_CLASSES: usize = 100_000;

/// What is known about a file without running it.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    /// The library that wrote the file, and its version.
    pub(super) producer: String,
    /// `feature_names` in the metadata, a JSON list of strings.
    pub(super) feature_names: Option<&'a str>,
    /// Operator types of the main graph.
    pub(super) operators: BTreeSet<&'a str>,
    /// Whether some operator expects missing values.
    pub(super) accepts_missing: bool,
    nodes: Vec<Node<'a>>,
    /// Index of the node that makes a value.
    made_by: HashMap<&'a str, usize>,
    initializers: HashMap<&'a str, &'a [u8]>,
}

#[derive(Debug, Default)]
struct Node<'a> {
    operator: &'a str,
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    classes: Vec<ClassLabel>,
}

impl<'a> Graph<'a> {
    /// Whether `bytes` are an ONNX model: known fields only, a version, a graph.
    pub(super) fn sniff(bytes: &[u8]) -> bool {
        let (mut has_version, mut has_graph) = (false, false);
        for field in Fields::new(bytes) {
            match field {
                Ok((1, Value::Varint(1..=100))) => has_version = true,
                Ok((7, Value::Bytes(graph))) if !graph.is_empty() => has_graph = true,
                Ok(
                    (5, Value::Varint(_)) | (2..=4 | 6 | 8 | 14 | 20 | 25 | 26, Value::Bytes(_)),
                ) => {}
                _ => return false,
            }
        }
        has_version && has_graph
    }

    /// Reads the file and refuses what must not reach the runtime.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, EngineError> {
        let mut graph = Self::default();
        let mut body = None;
        let (mut name, mut version) = ("", "");
        for field in Fields::new(bytes) {
            match field? {
                (2, value) => name = value.text()?,
                (3, value) => version = value.text()?,
                (7, value) if body.replace(value.bytes()?).is_some() => {
                    return Err(malformed("the file has two graphs"));
                }
                (14, value) => graph.metadata(value.bytes()?)?,
                (25, value) => check_function(value.bytes()?)?,
                _ => {}
            }
        }
        format!("{name} {version}")
            .trim()
            .clone_into(&mut graph.producer);
        graph.body(body.ok_or_else(|| malformed("the file has no graph"))?)?;
        Ok(graph)
    }

    /// Classes in the order of the probability columns, if the graph tells.
    ///
    /// Follows the probabilities (a `ZipMap` names them) and the label back
    /// through whatever only reshapes or converts.
    pub(super) fn classes(&self, label: &str, probabilities: Option<&str>) -> Vec<ClassLabel> {
        let zipped = probabilities.map(|name| self.trace(name, true));
        match zipped {
            Some(classes) if !classes.is_empty() => classes,
            _ => self.trace(label, false),
        }
    }

    fn trace(&self, output: &str, only_zip_map: bool) -> Vec<ClassLabel> {
        let mut value = output;
        for _ in 0..MAX_STEPS {
            let Some(node) = self.made_by.get(value).map(|index| &self.nodes[*index]) else {
                break;
            };
            if !node.classes.is_empty() && (node.operator == "ZipMap" || !only_zip_map) {
                return node.classes.clone();
            }
            let Some(first) = node.inputs.first() else {
                break;
            };
            if node.operator == "ArrayFeatureExtractor" {
                // skl2onnx: the label is picked from a constant list of classes.
                let list = self.initializers.get(first);
                return list.map_or_else(Vec::new, |tensor| labels_of(tensor).unwrap_or_default());
            }
            value = first;
        }
        Vec::new()
    }

    fn metadata(&mut self, entry: &'a [u8]) -> Result<(), EngineError> {
        let (mut key, mut content) = ("", "");
        for field in Fields::new(entry) {
            match field? {
                (1, value) => key = value.text()?,
                (2, value) => content = value.text()?,
                _ => {}
            }
        }
        if key == "feature_names" {
            self.feature_names = Some(content);
        }
        Ok(())
    }

    fn body(&mut self, graph: &'a [u8]) -> Result<(), EngineError> {
        check_graph(graph, 0)?;
        for field in Fields::new(graph) {
            match field? {
                (1, value) => self.node(value.bytes()?)?,
                (5, value) => {
                    let tensor = value.bytes()?;
                    self.initializers.insert(text_field(tensor, 8)?, tensor);
                }
                (11, value) => check_type(value.bytes()?, "input")?,
                (12, value) => check_type(value.bytes()?, "output")?,
                _ => {}
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            self.made_by
                .extend(node.outputs.iter().map(|name| (*name, index)));
        }
        Ok(())
    }

    fn node(&mut self, bytes: &'a [u8]) -> Result<(), EngineError> {
        let mut node = Node::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, value) => node.inputs.push(value.text()?),
                (2, value) => node.outputs.push(value.text()?),
                (4, value) => node.operator = value.text()?,
                (5, value) => self.attribute(value.bytes()?, &mut node)?,
                _ => {}
            }
        }
        self.operators.insert(node.operator);
        self.accepts_missing |= matches!(node.operator, "Imputer" | "IsNaN");
        self.nodes.push(node);
        Ok(())
    }

    fn attribute(&mut self, bytes: &'a [u8], node: &mut Node<'a>) -> Result<(), EngineError> {
        let name = text_field(bytes, 1)?;
        let is_classes = matches!(
            name,
            "classlabels_int64s" | "classlabels_ints" | "classlabels_strings"
        );
        let is_missing = name == "nodes_missing_value_tracks_true";
        if !is_classes && !is_missing {
            return Ok(());
        }
        let mut ints = Vec::new();
        for field in Fields::new(bytes) {
            match field? {
                (8, value) => push_ints(value, &mut ints)?,
                (9, value) if is_classes => {
                    node.classes
                        .push(ClassLabel::Text(value.text()?.to_owned()));
                }
                _ => {}
            }
        }
        if is_missing {
            self.accepts_missing |= ints.iter().any(|flag| *flag != 0);
            return Ok(());
        }
        if ints.len() + node.classes.len() > MAX_CLASSES {
            return Err(EngineError::TooLarge {
                detail: format!("more than {MAX_CLASSES} classes"),
            });
        }
        node.classes.extend(ints.into_iter().map(ClassLabel::Int));
        Ok(())
    }
}

/// The last text of field `number` in a message, or empty.
fn text_field(message: &[u8], number: u64) -> Result<&str, EngineError> {
    let mut text = "";
    for field in Fields::new(message) {
        let (found, value) = field?;
        if found == number {
            text = value.text()?;
        }
    }
    Ok(text)
}

/// A constant one-dimensional tensor of integers or strings as classes.
fn labels_of(tensor: &[u8]) -> Result<Vec<ClassLabel>, EngineError> {
    const INT32: i64 = 6;
    let (mut ints, mut labels, mut raw, mut data_type) = (Vec::new(), Vec::new(), &[][..], 0);
    for field in Fields::new(tensor) {
        match field? {
            (2, value) => data_type = value.int()?,
            (5 | 7, value) => push_ints(value, &mut ints)?,
            (6, value) => labels.push(ClassLabel::Text(value.text()?.to_owned())),
            (9, value) => raw = value.bytes()?,
            _ => {}
        }
    }
    if data_type == INT32 {
        let words = raw.chunks_exact(4).filter_map(|word| word.try_into().ok());
        ints.extend(words.map(|word| i64::from(i32::from_le_bytes(word))));
    } else {
        let words = raw.chunks_exact(8).filter_map(|word| word.try_into().ok());
        ints.extend(words.map(i64::from_le_bytes));
    }
    labels.extend(ints.into_iter().map(ClassLabel::Int));
    Ok(labels)
}

/// Refuses external data in a graph, its nodes and its subgraphs.
fn check_graph(graph: &[u8], depth: usize) -> Result<(), EngineError> {
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

fn check_function(function: &[u8]) -> Result<(), EngineError> {
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
fn check_type(info: &[u8], role: &str) -> Result<(), EngineError> {
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
