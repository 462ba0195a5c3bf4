//! What a pickle holds: an arena of nodes that refer to each other by index.
//!
//! References may be shared and may form cycles. Nothing here recurses, so the
//! depth of a file costs no stack, neither when it is read nor when it is dropped.

use std::borrow::Cow;

use super::{Budget, Role};
use crate::EngineError;
use crate::reader::array::Array;
use crate::reader::{malformed, with_article};

/// Index of a node in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// One value.
#[derive(Clone, Debug)]
pub(crate) enum Node<'a> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A longer integer, whose value is of no interest.
    BigInt,
    /// A number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A list, a set or a frozen set.
    List(Vec<NodeId>),
    /// A tuple.
    Tuple(Box<[NodeId]>),
    /// A dictionary in order of insertion.
    Dict(Vec<(NodeId, NodeId)>),
    /// A class or function, known by name.
    Global(Box<Global<'a>>),
    /// What calling a global would have made.
    Object(Box<Object>),
    /// An array whose bytes stood between joblib's opcodes.
    Array(Box<Array<'a>>),
}

/// A class or function.
#[derive(Clone, Debug)]
pub(crate) struct Global<'a> {
    pub(crate) role: Role,
    pub(crate) module: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
}

/// What calling a global would have made: the call and what was done afterwards, recorded.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// The global.
    pub(crate) class: NodeId,
    /// The tuple of its arguments: by reference, for many calls may share one.
    pub(crate) arguments: NodeId,
    /// States of BUILD, oldest first.
    pub(crate) states: Vec<NodeId>,
    /// Entries of SETITEM and SETITEMS.
    pub(crate) entries: Vec<(NodeId, NodeId)>,
    /// Items of APPEND, APPENDS and ADDITEMS.
    pub(crate) items: Vec<NodeId>,
}

/// All nodes of a file.
#[derive(Debug)]
pub(crate) struct Arena<'a> {
    nodes: Vec<Node<'a>>,
}

/// A whole file.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    /// Its nodes.
    pub(crate) arena: Arena<'a>,
    /// The value it holds.
    pub(crate) root: NodeId,
    /// Whether joblib wrote it: arrays stood between the opcodes.
    pub(crate) joblib: bool,
    /// Length of the file in bytes, which bounds what may be made of it.
    pub(crate) bytes: usize,
    /// What may still be made of it.
    pub(crate) budget: Budget,
}

impl<'a> Arena<'a> {
    /// The node of `None`, `False` and `True`, which every arena begins with.
    pub(crate) const NONE: NodeId = NodeId(0);
    pub(crate) const FALSE: NodeId = NodeId(1);
    pub(crate) const TRUE: NodeId = NodeId(2);

    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::None, Node::Bool(false), Node::Bool(true)],
        }
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a node. The caller bounds their number far below `u32::MAX`.
    pub(crate) fn add(&mut self, node: Node<'a>) -> NodeId {
        let index = u32::try_from(self.nodes.len());
        let id = NodeId(index.expect("invariant: the limit on nodes is below 2^32"));
        self.nodes.push(node);
        id
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Node<'a> {
        &mut self.nodes[id.0 as usize]
    }

    /// The node with this id.
    pub(crate) fn get(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0 as usize]
    }

    /// The text a node is.
    pub(crate) fn text(&self, id: NodeId) -> Option<&str> {
        match self.get(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members of a list or tuple.
    pub(crate) fn members(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.get(id) {
            Node::List(items) => Some(items),
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The object a node is.
    pub(crate) fn object(&self, id: NodeId) -> Option<&Object> {
        match self.get(id) {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The global a node is.
    pub(crate) fn global(&self, id: NodeId) -> Option<&Global<'a>> {
        match self.get(id) {
            Node::Global(global) => Some(global),
            _ => None,
        }
    }

    /// The arguments of the call that made `object`.
    pub(crate) fn arguments(&self, object: &Object) -> &[NodeId] {
        self.members(object.arguments).unwrap_or(&[])
    }

    /// The class of an object; protocols 0 and 1 pass it to `copyreg._reconstructor`.
    pub(crate) fn class(&self, id: NodeId) -> Option<&Global<'a>> {
        let object = self.object(id)?;
        let global = self.global(object.class)?;
        if global.role == Role::Reconstructor {
            return self.global(*self.arguments(object).first()?);
        }
        Some(global)
    }

    /// The value of `key` in a dictionary; the last one wins, as in Python.
    pub(crate) fn entry(&self, id: NodeId, key: &str) -> Option<NodeId> {
        let Node::Dict(entries) = self.get(id) else {
            return None;
        };
        let found = entries.iter().rev();
        let mut found = found.filter(|(name, _)| self.text(*name) == Some(key));
        found.next().map(|(_, value)| *value)
    }

    /// The attribute `name` of an object, from the states BUILD gave it.
    pub(crate) fn attribute(&self, id: NodeId, name: &str) -> Option<NodeId> {
        let mut states = self.object(id)?.states.iter().rev();
        states.find_map(|state| self.entry(*state, name))
    }

    /// What a node is, in words for a message.
    pub(crate) fn describe(&self, id: NodeId) -> String {
        match self.get(id) {
            Node::None => "None".to_owned(),
            Node::Bool(_) => "a truth value".to_owned(),
            Node::Int(_) | Node::BigInt => "an integer".to_owned(),
            Node::Float(_) => "a number".to_owned(),
            Node::Text(_) => "a text".to_owned(),
            Node::Bytes(_) => "bytes".to_owned(),
            Node::List(_) => "a list".to_owned(),
            Node::Tuple(_) => "a tuple".to_owned(),
            Node::Dict(_) => "a dictionary".to_owned(),
            Node::Global(global) => format!("the name {}.{}", global.module, global.name),
            Node::Array(_) => "an array".to_owned(),
            Node::Object(_) => match self.class(id) {
                Some(class) => with_article(&class.name),
                None => "an object".to_owned(),
            },
        }
    }

    /// The integer a node is.
    pub(crate) fn integer(&self, id: NodeId) -> Option<i64> {
        match self.get(id) {
            Node::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A size: an integer that is not negative.
    pub(crate) fn size(&self, id: NodeId) -> Result<usize, EngineError> {
        let value = self
            .integer(id)
            .and_then(|value| usize::try_from(value).ok());
        value.ok_or_else(|| malformed(format!("{} where a size was expected", self.describe(id))))
    }
}

#[cfg(test)]
impl PartialEq for Node<'_> {
    /// Equality of plain values, for tests.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Node::None, Node::None) | (Node::BigInt, Node::BigInt) => true,
            (Node::Bool(a), Node::Bool(b)) => a == b,
            (Node::Int(a), Node::Int(b)) => a == b,
            (Node::Float(a), Node::Float(b)) => a == b,
            (Node::Text(a), Node::Text(b)) => a == b,
            (Node::Bytes(a), Node::Bytes(b)) => a == b,
            _ => false,
        }
    }
}
