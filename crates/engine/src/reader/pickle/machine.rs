//! The machine that follows the opcodes and records what they say.

use std::borrow::Cow;
use std::collections::HashMap;

use super::cursor::Cursor;
use super::graph::{Arena, Graph, Node, NodeId};
use super::{Budget, Judge, Limits, opcode as op, text};
use crate::EngineError;
use crate::reader::{malformed, too_large};

/// A pickle being read.
pub(super) struct Machine<'a> {
    pub(super) cursor: Cursor<'a>,
    length: usize,
    pub(super) limits: Limits,
    pub(super) judge: Judge,
    pub(super) arena: Arena<'a>,
    pub(super) frame: Frame,
    opcodes: usize,
    /// The first class of a known library that is not served.
    pub(super) unserved: Option<EngineError>,
    pub(super) joblib: bool,
}

/// The part of the machine that a nested pickle has of its own.
#[derive(Default)]
pub(super) struct Frame {
    stack: Vec<NodeId>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, NodeId>,
    pub(super) nested: bool,
}

impl Frame {
    /// The empty beginning of a pickle within a pickle.
    pub(super) fn nested() -> Self {
        Self {
            nested: true,
            ..Self::default()
        }
    }
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: Limits, judge: Judge) -> Result<Self, EngineError> {
        if bytes.len() > limits.bytes {
            return Err(too_large(format!(
                "it is longer than {} bytes",
                limits.bytes
            )));
        }
        Ok(Self {
            cursor: Cursor::new(bytes),
            length: bytes.len(),
            limits,
            judge,
            arena: Arena::new(),
            frame: Frame::default(),
            opcodes: 0,
            unserved: None,
            joblib: false,
        })
    }

    pub(super) fn run(mut self) -> Result<Graph<'a>, EngineError> {
        let outcome = self.finish();
        let root = match (outcome, self.unserved) {
            (Err(error @ EngineError::Unsafe { .. }), _) | (_, Some(error)) => return Err(error),
            (outcome, None) => outcome?,
        };
        Ok(Graph {
            arena: self.arena,
            root,
            joblib: self.joblib,
            bytes: self.length,
            budget: Budget::of(self.length),
        })
    }

    fn finish(&mut self) -> Result<NodeId, EngineError> {
        let root = self.program()?;
        if self.cursor.remaining() > 0 {
            let end = self.cursor.position();
            return Err(malformed(format!(
                "something follows its end at byte {end}"
            )));
        }
        Ok(root)
    }

    /// Executes opcodes up to STOP and returns the value left on the stack.
    pub(super) fn program(&mut self) -> Result<NodeId, EngineError> {
        loop {
            self.opcodes += 1;
            if self.opcodes > self.limits.opcodes {
                return Err(too_large(format!(
                    "more than {} opcodes",
                    self.limits.opcodes
                )));
            }
            let opcode = self.cursor.byte()?;
            if opcode == op::STOP {
                let root = self.pop()?;
                if !self.frame.stack.is_empty() {
                    return Err(malformed("values are left over at its end"));
                }
                return Ok(root);
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), EngineError> {
        match opcode {
            op::PROTO => self.protocol(),
            op::FRAME => self.cursor.length::<8>().map(|_| ()),
            op::NONE => self.push(Arena::NONE),
            op::NEWTRUE => self.push(Arena::TRUE),
            op::NEWFALSE => self.push(Arena::FALSE),
            op::MARK | op::POP | op::POP_MARK | op::DUP => self.shuffle(opcode),
            op::INT
            | op::LONG
            | op::LONG1
            | op::LONG4
            | op::BININT
            | op::BININT1
            | op::BININT2
            | op::FLOAT
            | op::BINFLOAT => self.number(opcode),
            op::STRING
            | op::BINSTRING
            | op::SHORT_BINSTRING
            | op::UNICODE
            | op::BINUNICODE
            | op::SHORT_BINUNICODE
            | op::BINUNICODE8 => self.string(opcode),
            op::BINBYTES | op::SHORT_BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                self.byte_string(opcode)
            }
            op::EMPTY_LIST
            | op::EMPTY_TUPLE
            | op::EMPTY_DICT
            | op::EMPTY_SET
            | op::LIST
            | op::TUPLE
            | op::DICT
            | op::FROZENSET
            | op::TUPLE1
            | op::TUPLE2
            | op::TUPLE3 => self.container(opcode),
            op::APPEND | op::APPENDS | op::ADDITEMS => self.extend(opcode),
            op::SETITEM | op::SETITEMS => self.set_entries(opcode),
            op::GET
            | op::BINGET
            | op::LONG_BINGET
            | op::PUT
            | op::BINPUT
            | op::LONG_BINPUT
            | op::MEMOIZE => self.memo(opcode),
            op::GLOBAL | op::STACK_GLOBAL => self.global_opcode(opcode),
            op::REDUCE | op::NEWOBJ | op::NEWOBJ_EX | op::OBJ | op::INST => self.object(opcode),
            op::BUILD => self.build(),
            op::EXT1 | op::EXT2 | op::EXT4 | op::PERSID | op::BINPERSID => {
                Err(self.foreign_reference(opcode)?)
            }
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                Err(malformed("its buffers are kept elsewhere"))
            }
            _ => Err(malformed(format!(
                "byte {} is no opcode: {opcode:#04x}",
                self.cursor.position() - 1
            ))),
        }
    }

    fn protocol(&mut self) -> Result<(), EngineError> {
        match self.cursor.byte()? {
            0..=5 => Ok(()),
            later => Err(malformed(format!("pickle protocol {later} is not known"))),
        }
    }

    pub(super) fn push(&mut self, id: NodeId) -> Result<(), EngineError> {
        if self.frame.stack.len() >= self.limits.stack {
            return Err(too_large(format!(
                "more than {} values at once",
                self.limits.stack
            )));
        }
        self.frame.stack.push(id);
        Ok(())
    }

    pub(super) fn push_node(&mut self, node: Node<'a>) -> Result<(), EngineError> {
        let id = self.add(node)?;
        self.push(id)
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Result<NodeId, EngineError> {
        if self.arena.len() >= self.limits.nodes {
            return Err(too_large(format!("more than {} values", self.limits.nodes)));
        }
        Ok(self.arena.add(node))
    }

    /// The value on top, which must lie above the last open mark.
    pub(super) fn pop(&mut self) -> Result<NodeId, EngineError> {
        let floor = self.frame.marks.last().copied().unwrap_or(0);
        if self.frame.stack.len() <= floor {
            return Err(self.underflow());
        }
        self.frame.stack.pop().ok_or_else(|| self.underflow())
    }

    pub(super) fn top(&self) -> Result<NodeId, EngineError> {
        let top = self.frame.stack.last();
        top.copied().ok_or_else(|| self.underflow())
    }

    pub(super) fn underflow(&self) -> EngineError {
        let at = self.cursor.position();
        malformed(format!("an opcode before byte {at} finds no value"))
    }

    /// The values above the last open mark, which is closed.
    pub(super) fn pop_mark(&mut self) -> Result<Vec<NodeId>, EngineError> {
        let mark = self.frame.marks.pop().ok_or_else(|| self.underflow())?;
        Ok(self.frame.stack.split_off(mark))
    }

    fn shuffle(&mut self, opcode: u8) -> Result<(), EngineError> {
        match opcode {
            op::MARK => {
                if self.frame.marks.len() >= self.limits.marks {
                    return Err(too_large(format!(
                        "more than {} open marks",
                        self.limits.marks
                    )));
                }
                self.frame.marks.push(self.frame.stack.len());
                Ok(())
            }
            op::DUP => self.push(self.top()?),
            op::POP_MARK => self.pop_mark().map(|_| ()),
            // POP removes a mark when one lies on top.
            _ if self.frame.marks.last() == Some(&self.frame.stack.len()) => {
                self.frame.marks.pop();
                Ok(())
            }
            _ => self.pop().map(|_| ()),
        }
    }

    fn number(&mut self, opcode: u8) -> Result<(), EngineError> {
        let limit = self.limits.text_bytes;
        let node = match opcode {
            op::BININT => Node::Int(i32::from_le_bytes(self.cursor.array()?).into()),
            op::BININT1 => Node::Int(self.cursor.byte()?.into()),
            op::BININT2 => Node::Int(u16::from_le_bytes(self.cursor.array()?).into()),
            op::LONG1 => {
                let length = self.cursor.length::<1>()?;
                text::long(self.cursor.take(length)?)
            }
            op::LONG4 => {
                let length = self.cursor.length::<4>()?;
                text::long(self.cursor.take(length)?)
            }
            op::BINFLOAT => Node::Float(f64::from_be_bytes(self.cursor.array()?)),
            op::FLOAT => text::float(self.cursor.line(limit)?)?,
            _ => text::integer(self.cursor.line(limit)?)?,
        };
        self.push_node(node)
    }

    fn string(&mut self, opcode: u8) -> Result<(), EngineError> {
        let limit = self.limits.text_bytes;
        let length = match opcode {
            op::STRING => {
                let line = self.cursor.line(limit)?;
                return self.push_node(text::quoted(line)?);
            }
            op::UNICODE => {
                let line = self.cursor.line(limit)?;
                let text = text::raw_unicode_escape(line)?;
                return self.push_node(Node::Text(Cow::Owned(text)));
            }
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => self.cursor.length::<1>()?,
            op::BINSTRING | op::BINUNICODE => self.cursor.length::<4>()?,
            _ => self.cursor.length::<8>()?,
        };
        if length > limit {
            return Err(too_large(format!("a text of {length} bytes")));
        }
        let bytes = self.cursor.take(length)?;
        if matches!(opcode, op::BINSTRING | op::SHORT_BINSTRING) {
            return self.push_node(text::text_or_bytes(bytes));
        }
        self.push_node(Node::Text(Cow::Borrowed(text::utf8(bytes)?)))
    }

    fn byte_string(&mut self, opcode: u8) -> Result<(), EngineError> {
        let length = match opcode {
            op::SHORT_BINBYTES => self.cursor.length::<1>()?,
            op::BINBYTES => self.cursor.length::<4>()?,
            _ => self.cursor.length::<8>()?,
        };
        let bytes = self.cursor.take(length)?;
        self.push_node(Node::Bytes(Cow::Borrowed(bytes)))
    }

    fn container(&mut self, opcode: u8) -> Result<(), EngineError> {
        let node = match opcode {
            op::EMPTY_LIST | op::EMPTY_SET => Node::List(Vec::new()),
            op::EMPTY_TUPLE => Node::Tuple(Box::default()),
            op::EMPTY_DICT => Node::Dict(Vec::new()),
            op::LIST | op::FROZENSET => Node::List(self.pop_mark()?),
            op::TUPLE => Node::Tuple(self.pop_mark()?.into()),
            op::DICT => Node::Dict(pairs(&self.pop_mark()?)?),
            _ => {
                let count = usize::from(opcode - op::TUPLE1) + 1;
                let mut items = Vec::with_capacity(count);
                for _ in 0..count {
                    items.push(self.pop()?);
                }
                items.reverse();
                Node::Tuple(items.into())
            }
        };
        self.push_node(node)
    }

    fn extend(&mut self, opcode: u8) -> Result<(), EngineError> {
        let added = if opcode == op::APPEND {
            vec![self.pop()?]
        } else {
            self.pop_mark()?
        };
        let target = self.top()?;
        match self.arena.get_mut(target) {
            Node::List(items) => items.extend(added),
            Node::Object(object) => object.items.extend(added),
            _ => return Err(malformed("items are added to something that is no list")),
        }
        Ok(())
    }

    fn set_entries(&mut self, opcode: u8) -> Result<(), EngineError> {
        let added = if opcode == op::SETITEM {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_mark()?
        };
        let added = pairs(&added)?;
        let target = self.top()?;
        match self.arena.get_mut(target) {
            Node::Dict(entries) => entries.extend(added),
            Node::Object(object) => object.entries.extend(added),
            _ => {
                return Err(malformed(
                    "entries are set in something that is no dictionary",
                ));
            }
        }
        Ok(())
    }

    fn memo(&mut self, opcode: u8) -> Result<(), EngineError> {
        let index = match opcode {
            op::MEMOIZE => self.frame.memo.len() as u64,
            op::BINGET | op::BINPUT => self.cursor.byte()?.into(),
            op::LONG_BINGET | op::LONG_BINPUT => u32::from_le_bytes(self.cursor.array()?).into(),
            _ => {
                let line = text::utf8(self.cursor.line(32)?)?;
                let index = line.parse();
                index.map_err(|_| malformed("a memo index is not a number"))?
            }
        };
        if matches!(opcode, op::GET | op::BINGET | op::LONG_BINGET) {
            let found = self.frame.memo.get(&index).copied();
            let id =
                found.ok_or_else(|| malformed(format!("memo entry {index} was never written")))?;
            return self.push(id);
        }
        if self.frame.memo.len() >= self.limits.memo {
            return Err(too_large(format!(
                "more than {} memo entries",
                self.limits.memo
            )));
        }
        let top = self.top()?;
        self.frame.memo.insert(index, top);
        Ok(())
    }
}

fn pairs(items: &[NodeId]) -> Result<Vec<(NodeId, NodeId)>, EngineError> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed("a key has no value"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}
