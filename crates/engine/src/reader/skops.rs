//! Files of skops: a zip of a JSON tree and the arrays it names, read into the same graph as a pickle.
//!
//! Every node of the tree names its class and the loader that would build it
//! (`skops/io/_general.py`, `_numpy.py`, `_sklearn.py` of 0.9 to 0.16). Nothing
//! is built: classes are judged by the same list as those of a pickle.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::zip::Archive;
use super::{malformed, npy, printable, too_large};
use crate::EngineError;
use crate::reader::array::{self, Array, DType, Data};
use crate::reader::pickle::{
    Arena, Budget, Global, Graph, Judge, Node, NodeId, Object, Role, Verdict,
};

/// Longest tree: it takes about ten times as much memory while it is read.
const MAX_SCHEMA: usize = 48 << 20;
/// Most nodes that are made of a tree.
const MAX_NODES: usize = 4_000_000;
/// The number that tells the format of the tree (`skops/io/_protocol.py`).
const PROTOCOLS: std::ops::RangeInclusive<u64> = 0..=2;

/// Reads a whole file. Errors are those of [`super::pickle::read`].
pub(crate) fn read<'a>(archive: &Archive<'a>, judge: Judge) -> Result<Graph<'a>, EngineError> {
    let schema = archive.read("schema.json")?.unwrap_or_default();
    if schema.len() > MAX_SCHEMA {
        return Err(too_large(format!(
            "a schema of more than {MAX_SCHEMA} bytes"
        )));
    }
    let tree: Value = serde_json::from_slice(&schema)
        .map_err(|error| malformed(format!("schema.json of the skops file: {error}")))?;
    drop(schema);
    let tree = object(&tree)?;
    let protocol = tree.get("protocol").map_or(Some(0), Value::as_u64);
    if !protocol.is_some_and(|protocol| PROTOCOLS.contains(&protocol)) {
        return Err(EngineError::Unsupported {
            what: "a skops file of a newer protocol".to_owned(),
            advice: "save it with skops 0.9 to 0.16, or with joblib".to_owned(),
        });
    }
    let mut reader = Reader {
        archive,
        judge,
        arena: Arena::new(),
        seen: HashMap::new(),
        unserved: None,
    };
    let root = reader.node(tree);
    let root = match (root, reader.unserved) {
        (Err(error @ EngineError::Unsafe { .. }), _) | (_, Some(error)) => return Err(error),
        (root, None) => root?,
    };
    let bytes = archive.unpacked();
    Ok(Graph {
        arena: reader.arena,
        root,
        joblib: false,
        bytes,
        budget: Budget::of(bytes),
    })
}

/// A tree being read. It is at most as deep as the JSON reader allows: 128 levels.
struct Reader<'r, 'a> {
    archive: &'r Archive<'a>,
    judge: Judge,
    arena: Arena<'a>,
    /// Nodes by the id under which they are referred to again.
    seen: HashMap<u64, NodeId>,
    /// The first class of a known library that is not served.
    unserved: Option<EngineError>,
}

impl<'a> Reader<'_, 'a> {
    fn node(&mut self, tree: &Map<String, Value>) -> Result<NodeId, EngineError> {
        let id = tree.get("__id__").and_then(Value::as_u64);
        if let Some(known) = id.and_then(|id| self.seen.get(&id)) {
            return Ok(*known);
        }
        let made = self.made(tree)?;
        if let Some(id) = id {
            self.seen.insert(id, made);
        }
        Ok(made)
    }

    /// What the loader a node names would have built.
    fn made(&mut self, tree: &Map<String, Value>) -> Result<NodeId, EngineError> {
        let content = tree.get("content");
        match text(tree, "__loader__")? {
            "JsonNode" => self.plain(content),
            "ListNode" | "SetNode" => {
                let items = self.items(content)?;
                self.add(Node::List(items))
            }
            "TupleNode" => {
                let items = self.items(content)?;
                self.add(Node::Tuple(items.into()))
            }
            "DictNode" => self.dictionary(tree),
            "NdArrayNode" => self.array(tree),
            "ObjectNode"
            | "TreeNode"
            | "ReduceNode"
            | "SGDNode"
            | "BunchNode"
            | "QuantileForestNode"
            | "_DictWithDeprecatedKeysNode" => self.instance(tree, content),
            "FunctionNode" | "TypeNode" => self.global(tree),
            // Parts that no estimator is read from: their class is judged, their content is not.
            "LossNode"
            | "RandomStateNode"
            | "RandomGeneratorNode"
            | "MaskedArrayNode"
            | "DefaultDictNode"
            | "DTypeNode"
            | "SliceNode"
            | "BytesNode"
            | "BytearrayNode"
            | "SparseMatrixNode"
            | "ConstructorFromReduceNode" => self.instance(tree, None),
            "CachedNode" => Err(malformed("a skops file refers to a node that is not there")),
            other => Err(EngineError::Unsupported {
                what: format!("a {} of skops", printable(other)),
                advice: "save the estimator with joblib: joblib.dump(model, \"model.joblib\")"
                    .to_owned(),
            }),
        }
    }

    fn add(&mut self, node: Node<'a>) -> Result<NodeId, EngineError> {
        if self.arena.len() >= MAX_NODES {
            return Err(too_large(format!("more than {MAX_NODES} values")));
        }
        Ok(self.arena.add(node))
    }

    /// A value that is written as JSON within the JSON.
    fn plain(&mut self, content: Option<&Value>) -> Result<NodeId, EngineError> {
        let written = content.and_then(Value::as_str);
        let written = written.ok_or_else(|| malformed("a value of a skops file is no text"))?;
        let node = match written {
            // What Python's writer makes of numbers that JSON does not have.
            "NaN" => Node::Float(f64::NAN),
            "Infinity" => Node::Float(f64::INFINITY),
            "-Infinity" => Node::Float(f64::NEG_INFINITY),
            _ => match serde_json::from_str(written) {
                Ok(Value::Null) => return Ok(Arena::NONE),
                Ok(Value::Bool(flag)) => Node::Bool(flag),
                Ok(Value::String(text)) => Node::Text(Cow::Owned(text)),
                Ok(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                    (Some(whole), _) => Node::Int(whole),
                    (None, Some(float)) if number.is_f64() => Node::Float(float),
                    _ => Node::BigInt,
                },
                Ok(Value::Array(_) | Value::Object(_)) => Node::List(Vec::new()),
                Err(_) => return Err(malformed("a value of a skops file is not readable")),
            },
        };
        self.add(node)
    }

    fn items(&mut self, content: Option<&Value>) -> Result<Vec<NodeId>, EngineError> {
        let items = content.and_then(Value::as_array);
        let items = items.ok_or_else(|| malformed("a list of a skops file is none"))?;
        items.iter().map(|item| self.node(object(item)?)).collect()
    }

    /// A dictionary. JSON has texts for keys; `key_types` says what they were.
    fn dictionary(&mut self, tree: &Map<String, Value>) -> Result<NodeId, EngineError> {
        let content = tree.get("content").and_then(Value::as_object);
        let content = content.ok_or_else(|| malformed("a dictionary of a skops file is none"))?;
        let mut entries = Vec::with_capacity(content.len());
        for (key, value) in content {
            let key = self.add(Node::Text(Cow::Owned(key.clone())))?;
            entries.push((key, self.node(object(value)?)?));
        }
        self.add(Node::Dict(entries))
    }

    /// An array: the file it is in, or objects in a list.
    fn array(&mut self, tree: &Map<String, Value>) -> Result<NodeId, EngineError> {
        if text(tree, "type")? == "numpy" {
            let file = text(tree, "file")?;
            let content = self.archive.read(file)?;
            let content =
                content.ok_or_else(|| malformed("an array of a skops file is not there"))?;
            let array = npy::read(content)?;
            return self.add(Node::Array(Box::new(array)));
        }
        let objects = self.items(tree.get("content"))?;
        let shape = vec![objects.len()];
        array::count(&shape)?;
        let array = Array::new(DType::Object, shape, false, Data::Objects(objects))?;
        self.add(Node::Array(Box::new(array)))
    }

    /// An object: its class, and its attributes if they are of interest.
    fn instance(
        &mut self,
        tree: &Map<String, Value>,
        content: Option<&Value>,
    ) -> Result<NodeId, EngineError> {
        let class = self.global(tree)?;
        let arguments = self.add(Node::Tuple(Box::default()))?;
        let mut states = Vec::new();
        if let Some(content) = content.and_then(Value::as_object) {
            states.push(self.node(content)?);
        }
        self.add(Node::Object(Box::new(Object {
            class,
            arguments,
            states,
            entries: Vec::new(),
            items: Vec::new(),
        })))
    }

    /// The class or function a node names: the one door through which all come.
    fn global(&mut self, tree: &Map<String, Value>) -> Result<NodeId, EngineError> {
        let (module, name) = (text(tree, "__module__")?, text(tree, "__class__")?);
        let role = match (self.judge)(module, name) {
            Verdict::Known(Role::Estimator) => Role::Estimator,
            // What the other roles mean to a pickle, nodes of skops say by their loader.
            Verdict::Known(_) => Role::Inert,
            Verdict::Unserved(error) => {
                self.unserved.get_or_insert(error);
                Role::Inert
            }
            Verdict::Foreign => {
                let global = printable(&format!("{module}.{name}"));
                return Err(EngineError::Unsafe { global });
            }
        };
        self.add(Node::Global(Box::new(Global {
            role,
            module: Cow::Owned(module.to_owned()),
            name: Cow::Owned(name.to_owned()),
        })))
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, EngineError> {
    let object = value.as_object();
    object.ok_or_else(|| malformed("a node of a skops file is no object"))
}

fn text<'t>(tree: &'t Map<String, Value>, key: &str) -> Result<&'t str, EngineError> {
    let text = tree.get(key).and_then(Value::as_str);
    text.ok_or_else(|| malformed(format!("a node of a skops file has no {key}")))
}
