//! What an ONNX file says about itself, read before the runtime sees it.
//!
//! Classes of a classifier are found by following its label output back to the
//! node that chose it. Field numbers: `onnx.proto`, IR version 13.

use std::collections::{BTreeSet, HashMap};

use plimsoll_core::schema::ClassLabel;

use super::attributes::Attributes;
use super::constant::{Constant, Values};
use super::screen::{check_function, check_graph, check_type};
use super::wire::{Fields, Value, malformed, push_ints};
use crate::EngineError;

/// Steps from an output back to the node that knows the classes.
const MAX_STEPS: usize = 64;
/// Metadata that says which engine runs the file: `onnxruntime`, or the one that fits.
const RUNTIME_KEY: &str = "plimsoll_engine";
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
    /// The nodes of the main graph, in file order.
    pub(super) nodes: Vec<Node<'a>>,
    /// Constant tensors by name, undecoded.
    pub(super) initializers: HashMap<&'a str, &'a [u8]>,
    /// Names and types of the inputs, undecoded; constants may be among them.
    pub(super) inputs: Vec<&'a [u8]>,
    /// Names and types of the outputs, undecoded.
    pub(super) outputs: Vec<&'a [u8]>,
    /// Version of the file format.
    pub(super) ir_version: i64,
    /// Versions of the operator sets by domain.
    pub(super) operator_sets: Vec<(&'a str, i64)>,
    /// Whether the file has operators or constants of its own kind, or asks for the runtime.
    pub(super) needs_runtime: bool,
    /// Index of the node that makes a value.
    made_by: HashMap<&'a str, usize>,
}

/// One operation of the graph.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) operator: &'a str,
    /// The operator set it is of; empty for the standard one.
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Attributes<'a>,
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
                (1, value) => graph.ir_version = value.int()?,
                (2, value) => name = value.text()?,
                (3, value) => version = value.text()?,
                (8, value) => graph.operator_set(value.bytes()?)?,
                (7, value) if body.replace(value.bytes()?).is_some() => {
                    return Err(malformed("the file has two graphs"));
                }
                (14, value) => graph.metadata(value.bytes()?)?,
                (25, value) => {
                    graph.needs_runtime = true;
                    check_function(value.bytes()?)?;
                }
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
                return list.map_or_else(Vec::new, |tensor| labels_of(tensor));
            }
            value = first;
        }
        Vec::new()
    }

    /// A name of an input, as long-lived as the file.
    pub(super) fn name_of(&self, input: &str) -> Option<&'a str> {
        let names = self.inputs.iter().map(|info| text_field(info, 1));
        names.flatten().find(|name| *name == input)
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
        match key {
            "feature_names" => self.feature_names = Some(content),
            RUNTIME_KEY => self.needs_runtime |= content == "onnxruntime",
            _ => {}
        }
        Ok(())
    }

    fn operator_set(&mut self, entry: &'a [u8]) -> Result<(), EngineError> {
        let (mut domain, mut version) = ("", 1);
        for field in Fields::new(entry) {
            match field? {
                (1, value) => domain = value.text()?,
                (2, value) => version = value.int()?,
                _ => {}
            }
        }
        self.operator_sets.push((domain, version));
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
                (11, value) => {
                    check_type(value.bytes()?, "input")?;
                    self.inputs.push(value.bytes()?);
                }
                (12, value) => {
                    check_type(value.bytes()?, "output")?;
                    self.outputs.push(value.bytes()?);
                }
                (15, _) => self.needs_runtime = true,
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
                (7, value) => node.domain = value.text()?,
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
        node.attributes.push(name, bytes);
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
pub(super) fn text_field(message: &[u8], number: u64) -> Result<&str, EngineError> {
    let mut text = "";
    for field in Fields::new(message) {
        let (found, value) = field?;
        if found == number {
            text = value.text()?;
        }
    }
    Ok(text)
}

/// A constant tensor of integers or strings as classes.
fn labels_of(tensor: &[u8]) -> Vec<ClassLabel> {
    match Constant::read(tensor).map(|constant| constant.values) {
        Ok(Values::Whole(values)) => values.into_iter().map(ClassLabel::Int).collect(),
        Ok(Values::Texts(values)) => values.into_iter().map(ClassLabel::Text).collect(),
        _ => Vec::new(),
    }
}
