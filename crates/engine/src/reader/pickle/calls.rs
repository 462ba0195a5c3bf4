//! Globals, calls and states: named and recorded, never imported, called or set.

use std::borrow::Cow;

use super::graph::{Global, Node, NodeId, Object};
use super::machine::{Frame, Machine};
use super::{Role, Verdict, opcode as op, text};
use crate::EngineError;
use crate::reader::array::{Array, Data};
use crate::reader::{malformed, numpy, printable};

/// Longest module and name together: none that is known comes near.
const MAX_NAME_BYTES: usize = 256;

impl<'a> Machine<'a> {
    pub(super) fn global_opcode(&mut self, opcode: u8) -> Result<(), EngineError> {
        let id = if opcode == op::GLOBAL {
            self.global_lines()?
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let (Node::Text(module), Node::Text(name)) =
                (self.arena.get(module), self.arena.get(name))
            else {
                return Err(malformed("the name of a global is not a text"));
            };
            let (module, name) = (module.clone(), name.clone());
            self.global(module, name)?
        };
        self.push(id)
    }

    fn global_lines(&mut self) -> Result<NodeId, EngineError> {
        let limit = self.limits.text_bytes;
        let module = text::utf8(self.cursor.line(limit)?)?;
        let name = text::utf8(self.cursor.line(limit)?)?;
        self.global(Cow::Borrowed(module), Cow::Borrowed(name))
    }

    /// The one door through which every global comes.
    fn global(&mut self, module: Cow<'a, str>, name: Cow<'a, str>) -> Result<NodeId, EngineError> {
        let verdict = if module.len() + name.len() > MAX_NAME_BYTES {
            Verdict::Foreign
        } else {
            (self.judge)(&module, &name)
        };
        let role = match verdict {
            Verdict::Known(role) => role,
            Verdict::Unserved(error) => {
                self.unserved.get_or_insert(error);
                Role::Inert
            }
            Verdict::Foreign => {
                let global = printable(&format!("{module}.{name}"));
                return Err(EngineError::Unsafe { global });
            }
        };
        self.add(Node::Global(Box::new(Global { role, module, name })))
    }

    /// References that only the program which wrote the file can resolve.
    pub(super) fn foreign_reference(&mut self, opcode: u8) -> Result<EngineError, EngineError> {
        let global = match opcode {
            op::EXT1 => format!("extension code {}", self.cursor.byte()?),
            op::EXT2 => format!(
                "extension code {}",
                u16::from_le_bytes(self.cursor.array()?)
            ),
            op::EXT4 => format!(
                "extension code {}",
                u32::from_le_bytes(self.cursor.array()?)
            ),
            op::PERSID => {
                let line = self.cursor.line(self.limits.text_bytes)?;
                format!(
                    "persistent id {}",
                    printable(&String::from_utf8_lossy(line))
                )
            }
            _ => {
                let id = self.pop()?;
                let named = self.arena.text(id).map(printable);
                let named = named.unwrap_or_else(|| self.arena.describe(id));
                format!("persistent id {named}")
            }
        };
        Ok(EngineError::Unsafe { global })
    }

    pub(super) fn object(&mut self, opcode: u8) -> Result<(), EngineError> {
        let (class, arguments) = match opcode {
            op::INST => {
                let class = self.global_lines()?;
                (class, self.pop_mark()?)
            }
            op::OBJ => {
                let mut items = self.pop_mark()?;
                if items.is_empty() {
                    return Err(self.underflow());
                }
                (items.remove(0), items)
            }
            op::NEWOBJ_EX => {
                self.pop()?; // keyword arguments: no class that is served is written with any
                return self.call();
            }
            _ => return self.call(),
        };
        let arguments = self.add(Node::Tuple(arguments.into()))?;
        self.record_call(class, arguments)
    }

    /// A class and a tuple of arguments from the stack.
    fn call(&mut self) -> Result<(), EngineError> {
        let (arguments, class) = (self.pop()?, self.pop()?);
        if !matches!(self.arena.get(arguments), Node::Tuple(_)) {
            return Err(malformed("the arguments of a call are no tuple"));
        }
        self.record_call(class, arguments)
    }

    fn record_call(&mut self, class: NodeId, arguments: NodeId) -> Result<(), EngineError> {
        let Some(global) = self.arena.global(class) else {
            let what = self.arena.describe(class);
            return Err(malformed(format!("{what} is called like a class")));
        };
        if global.role == Role::Method && !self.names_a_method(arguments) {
            return Err(EngineError::Unsafe {
                global: "builtins.getattr".to_owned(),
            });
        }
        if global.role == Role::Partial && !self.is_of_a_known_function(arguments) {
            return Err(EngineError::Unsafe {
                global: "functools.partial".to_owned(),
            });
        }
        self.push_node(Node::Object(Box::new(Object {
            class,
            arguments,
            states: Vec::new(),
            entries: Vec::new(),
            items: Vec::new(),
        })))
    }

    /// Whether these arguments of `functools.partial` begin with a global that is of no interest.
    fn is_of_a_known_function(&self, arguments: NodeId) -> bool {
        let members = self.arena.members(arguments).unwrap_or(&[]);
        let function = members.first().and_then(|first| self.arena.global(*first));
        function.is_some_and(|function| function.role == Role::Inert)
    }

    /// Whether these are the arguments by which a frozen distribution of scipy writes
    /// its own method (`scipy/stats/_distn_infrastructure.py`, `rv_discrete.vecentropy`).
    fn names_a_method(&self, arguments: NodeId) -> bool {
        let Some(&[owner, name]) = self.arena.members(arguments) else {
            return false;
        };
        let class = self.arena.class(owner);
        let is_distribution = class.is_some_and(|class| class.module.starts_with("scipy.stats._"));
        is_distribution && self.arena.text(name).is_some_and(|name| name == "_entropy")
    }

    pub(super) fn build(&mut self) -> Result<(), EngineError> {
        let state = self.pop()?;
        let target = self.top()?;
        let Node::Object(object) = self.arena.get_mut(target) else {
            return Err(malformed("a state is given to something that is no object"));
        };
        object.states.push(state);
        let role = self.arena.class(target).map(|class| class.role);
        if role == Some(Role::JoblibArray) {
            return self.joblib_array(target);
        }
        Ok(())
    }

    /// Reads the array that follows the BUILD of joblib's wrapper and puts it in its place
    /// (`joblib/numpy_pickle.py`, `NumpyArrayWrapper.read_array`).
    fn joblib_array(&mut self, wrapper: NodeId) -> Result<(), EngineError> {
        if self.frame.nested {
            return Err(malformed("a joblib array lies within an array of objects"));
        }
        self.joblib = true;
        let header = numpy::joblib_header(&self.arena, wrapper)?;
        if header.dtype.is_object() {
            let root = self.nested_program()?;
            if self.arena.object(root).is_none() {
                return Err(malformed("an array of objects holds something else"));
            }
            let array = std::mem::replace(self.arena.get_mut(root), Node::None);
            *self.arena.get_mut(wrapper) = array;
            return Ok(());
        }
        if header.aligned {
            let padding = self.cursor.length::<1>()?;
            self.cursor.take(padding)?;
        }
        let data = Data::Bytes(Cow::Borrowed(self.cursor.take(header.bytes)?));
        let array = Array::new(header.dtype, header.shape, header.fortran, data)?;
        *self.arena.get_mut(wrapper) = Node::Array(Box::new(array));
        Ok(())
    }

    /// A complete pickle within this one, with a stack and a memo of its own.
    fn nested_program(&mut self) -> Result<NodeId, EngineError> {
        let outer = std::mem::replace(&mut self.frame, Frame::nested());
        let root = self.program();
        self.frame = outer;
        root
    }
}
