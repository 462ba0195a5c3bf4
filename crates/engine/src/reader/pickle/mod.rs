//! Pickles read as data: protocols 0 to 5, and joblib's arrays between opcodes.
//!
//! The machine follows CPython's opcodes (`Lib/pickletools.py`) but never
//! imports, calls or builds anything. A global becomes a named node if the
//! caller's list knows it and is refused otherwise; REDUCE, NEWOBJ, OBJ, INST
//! and BUILD only record their arguments.

mod budget;
mod calls;
mod cursor;
mod graph;
mod machine;
mod opcode;
mod text;

pub(crate) use budget::Budget;
pub(crate) use graph::{Arena, Global, Graph, Node, NodeId, Object};

use crate::EngineError;

/// What a global stands for, as far as the reader has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `numpy.ndarray` and its in-memory twins.
    Ndarray,
    /// `numpy.dtype`.
    Dtype,
    /// `numpy._core.multiarray._reconstruct`: an array from its BUILD state.
    Reconstruct,
    /// `numpy._core.numeric._frombuffer`: an array from a protocol 5 buffer.
    FromBuffer,
    /// `numpy._core.multiarray.scalar`.
    Scalar,
    /// `joblib.numpy_pickle.NumpyArrayWrapper`: raw array bytes follow its BUILD.
    JoblibArray,
    /// `_codecs.encode`: bytes, as protocols 0 to 2 write them.
    Encode,
    /// `copyreg._reconstructor`: an instance, as protocols 0 and 1 write them.
    Reconstructor,
    /// `builtins.getattr`, which may only name a method of what scipy calls a distribution.
    Method,
    /// `functools.partial`, which may only fill in arguments of a known function.
    Partial,
    /// A class the caller translates.
    Estimator,
    /// Known, harmless and of no interest.
    Inert,
}

/// What the caller makes of a global.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It may stand in the file.
    Known(Role),
    /// It is a class of a known library that is not served.
    Unserved(EngineError),
    /// Nobody knows it.
    Foreign,
}

/// Judges a global by its module and name.
pub(crate) type Judge = fn(module: &str, name: &str) -> Verdict;

/// What one file may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the (decompressed) file.
    pub(crate) bytes: usize,
    /// Opcodes executed.
    pub(crate) opcodes: usize,
    /// Values made, each of which takes 40 bytes or so.
    pub(crate) nodes: usize,
    /// Values on the stack at once.
    pub(crate) stack: usize,
    /// Open marks at once.
    pub(crate) marks: usize,
    /// Entries of the memo.
    pub(crate) memo: usize,
    /// Bytes of one text, number or line.
    pub(crate) text_bytes: usize,
}

impl Limits {
    /// Room for forests of ten thousand trees.
    pub(crate) const DEFAULT: Self = Self {
        bytes: 2 << 30,
        opcodes: 20_000_000,
        nodes: 4_000_000,
        stack: 1_000_000,
        marks: 10_000,
        memo: 4_000_000,
        text_bytes: 16 << 20,
    };
}

/// Reads a whole pickle.
///
/// A global that `judge` calls foreign ends the reading at once with
/// [`EngineError::Unsafe`]. One it calls unserved is reported only if nothing
/// foreign follows, so that a hostile file is always called hostile.
pub(crate) fn read(bytes: &[u8], limits: Limits, judge: Judge) -> Result<Graph<'_>, EngineError> {
    machine::Machine::new(bytes, limits, judge)?.run()
}

/// Whether `bytes` begin like a pickle of any protocol.
pub(crate) fn sniff(bytes: &[u8]) -> bool {
    match bytes {
        // PROTO is written by protocols 2 and later.
        [opcode::PROTO, 2..=5, ..] | [opcode::MARK, .., opcode::STOP] => true,
        // Protocols 0 and 1 begin with the object itself: a mark, or the global to call.
        [opcode::GLOBAL, rest @ ..] => two_names(rest),
        _ => false,
    }
}

fn two_names(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let is_name = |line: &[u8]| {
        !line.is_empty()
            && line
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    lines.next().is_some_and(is_name) && lines.next().is_some_and(is_name) && lines.next().is_some()
}
