//! What must hold of the readers of foreign bytes for every input: run by the
//! fuzzer with the feature `fuzzing`, and over its corpora by the tests.
//!
//! Each function panics on a counterexample and returns otherwise. That time and
//! memory stay small is watched by the fuzzer itself.

use std::borrow::Cow;
use std::collections::HashSet;

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::example::example_batch;
use plimsoll_core::time::{ManualClock, Timestamp};

use crate::reader::array::{self, Array, DType, Data, RecordField};
use crate::reader::compressed::expand;
use crate::reader::element::{Endian, Kind};
use crate::reader::numpy;
use crate::reader::pickle::{self, Graph, Limits, Node, NodeId, Role, Verdict};
use crate::{Control, Engine, EngineOptions};

/// Values looked at in one graph; a few bytes can refer to one value very often.
const MAX_VISITED: usize = 10_000;
/// Most bytes that a compressed input may become; few, so that one input costs little.
const MAX_EXPANDED: usize = 1 << 16;

/// A pickle is refused, or is a graph of which every value can be looked at.
pub fn pickle(bytes: &[u8]) {
    let _ = pickle::sniff(bytes);
    if let Ok(graph) = pickle::read(bytes, Limits::DEFAULT, judge) {
        visit(&graph);
    }
}

/// A file of joblib: decompressed within its bounds, then read as a pickle
/// with arrays between the opcodes.
pub fn joblib(bytes: &[u8]) {
    let Ok(content) = expand(bytes, MAX_EXPANDED) else {
        return;
    };
    assert!(
        content.len() <= MAX_EXPANDED.max(bytes.len()),
        "decompression passes its limit"
    );
    pickle(&content);
}

/// An array made of a line with its type code, then the number of dimensions,
/// an order, the dimensions (2 bytes each), and its elements.
///
/// It is refused, or every element is decoded and none is made up.
pub fn array(input: &[u8]) {
    if let Some(array) = array_of(input) {
        look_at(&array);
    }
}

fn array_of(input: &[u8]) -> Option<Array<'_>> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let code = std::str::from_utf8(&input[..end]).ok()?;
    let ([dimensions, order], rest) = input[end + 1..].split_first_chunk::<2>()?;
    let (shape, data) = rest.split_at_checked(usize::from(*dimensions) % 40 * 2)?;
    let (shape, _) = shape.as_chunks::<2>();
    let shape = shape.iter().map(|dim| u16::from_le_bytes(*dim).into());
    let dtype = dtype_of(code, *order)?;
    let data = Data::Bytes(Cow::Borrowed(data));
    Array::new(dtype, shape.collect(), order & 1 == 1, data).ok()
}

/// Plain values, or records of two fields whose second lies where `order` says.
fn dtype_of(code: &str, order: u8) -> Option<DType> {
    let kind = Kind::parse(code).ok()?;
    let endian = match order & 2 {
        0 => Endian::Little,
        _ => Endian::Big,
    };
    if order & 4 == 0 {
        return Some(DType::Plain(kind, endian));
    }
    let fields = [(0, "a"), (usize::from(order >> 3), "b")].map(|(offset, name)| RecordField {
        name: name.to_owned(),
        kind,
        endian,
        offset,
    });
    array::record(fields.to_vec(), kind.size() + 8).ok()
}

/// A model file of any format is refused, or opens alike every time and answers
/// one row for one row, whatever the row holds.
pub fn open(bytes: &[u8]) {
    let engine = Engine::new(EngineOptions::default());
    let Ok(opened) = engine.open(bytes) else {
        return;
    };
    let again = engine.open(bytes).map(|again| again.description);
    assert!(
        again.is_ok_and(|again| again == opened.description),
        "a file opens in two ways"
    );
    let clock = ManualClock::new(Timestamp::from_micros(0));
    let mut output = Output::default();
    let mut batch = example_batch(opened.predictor.schema());
    for number in [0.0, f64::NAN, f64::MAX, -1.0] {
        fill(&mut batch, number);
        let control = Control::unlimited(&clock);
        let ran = opened.predictor.predict(&batch, &mut output, &control);
        assert!(ran.is_err() || output.rows == 1, "one row became several");
    }
}

fn fill(batch: &mut Batch, number: f64) {
    for column in &mut batch.columns {
        match &mut column.values {
            #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
            Values::Float32(values) => values.fill(number as f32),
            Values::Float64(values) => values.fill(number),
            Values::Int64(_) | Values::Bool(_) | Values::Text(_) => {}
        }
    }
}

/// Short names for everything the reader treats in a way of its own, so that the
/// fuzzer finds them, beside the real ones of the seeds.
fn judge(module: &str, name: &str) -> Verdict {
    let role = match name {
        "ndarray" | "n" => Role::Ndarray,
        "dtype" | "d" => Role::Dtype,
        "_reconstruct" | "r" => Role::Reconstruct,
        "_frombuffer" | "f" => Role::FromBuffer,
        "scalar" | "s" => Role::Scalar,
        "NumpyArrayWrapper" | "j" => Role::JoblibArray,
        "encode" | "c" => Role::Encode,
        "_reconstructor" | "k" => Role::Reconstructor,
        "e" => Role::Estimator,
        _ if module.starts_with("sklearn") => Role::Estimator,
        _ if module.is_empty() || name.starts_with('x') => return Verdict::Foreign,
        _ => Role::Inert,
    };
    Verdict::Known(role)
}

/// Looks at every value that can be reached, each once.
fn visit(graph: &Graph<'_>) {
    let mut waiting = vec![graph.root];
    let mut seen = HashSet::new();
    while let Some(id) = waiting.pop() {
        if seen.len() >= MAX_VISITED || !seen.insert(id) {
            continue;
        }
        let arena = &graph.arena;
        assert!(!arena.describe(id).is_empty(), "a value has no name");
        let _ = (arena.integer(id), arena.size(id), arena.class(id));
        if let Ok(Some(array)) = numpy::array(arena, id) {
            look_at(&array);
        }
        let _ = numpy::value(arena, id);
        waiting.extend(parts(arena.get(id)));
    }
}

fn parts(node: &Node<'_>) -> Vec<NodeId> {
    let of_pairs = |pairs: &[(NodeId, NodeId)]| -> Vec<NodeId> {
        pairs
            .iter()
            .flat_map(|(key, value)| [*key, *value])
            .collect()
    };
    match node {
        Node::List(items) => items.clone(),
        Node::Tuple(items) => items.to_vec(),
        Node::Dict(entries) => of_pairs(entries),
        Node::Object(object) => {
            let mut parts = vec![object.class, object.arguments];
            parts.extend(&object.states);
            parts.extend(&object.items);
            parts.extend(of_pairs(&object.entries));
            parts
        }
        _ => Vec::new(),
    }
}

/// Decodes all elements of an array, as text, numbers and fields of records.
fn look_at(array: &Array<'_>) {
    if let Some(objects) = array.objects() {
        assert_eq!(objects.len(), array.len());
        return;
    }
    if let Ok(values) = array.values() {
        assert_eq!(values.len(), array.len());
    }
    if let Ok(numbers) = array.f64s() {
        assert_eq!(numbers.len(), array.len());
    }
    for name in ["a", "b", "left_child"] {
        if let Ok(Some(values)) = array.record_values(name) {
            assert_eq!(values.len(), array.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn replay(target: &str, property: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let files = std::fs::read_dir(corpus.join(target)).unwrap();
        let contents = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let replayed = contents.inspect(|content| property(content)).count();
        assert!(replayed >= 10, "{replayed} inputs of {target}");
    }

    #[test]
    fn the_corpora_hold_no_counterexample() {
        replay("pickle", pickle);
        replay("joblib", joblib);
        replay("array", array);
        replay("open", open);
    }
}
