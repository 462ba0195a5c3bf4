//! The values of a graph while it is translated, and the operations made so far.

use std::collections::HashMap;
use std::rc::Rc;

use ort::value::TensorElementType as Element;
use plimsoll_core::schema::ClassLabel;

use crate::EngineError;
use crate::formats::onnx::constant::{Constant, Values};
use crate::formats::onnx::graph::{Graph, Node};
use crate::formats::onnx::signature::Signature;
use crate::kernel::graph::{Dictionary, Operation, Place, Step};
use crate::kernel::rows::Shape;

/// Most nodes of a graph that is translated.
const MAX_NODES: usize = 100_000;
/// Largest integer that is looked at: `f64` tells these apart.
const LARGEST: i64 = 1 << 53;

/// What translating gives, or why it ended.
pub(in crate::formats::onnx) type Translation<T> = Result<T, Left>;

/// Why a graph is not translated.
#[derive(Debug)]
pub(in crate::formats::onnx) enum Left {
    /// Something in it is for the runtime.
    ToRuntime,
    /// It is damaged.
    Refused(EngineError),
}

impl From<EngineError> for Left {
    fn from(error: EngineError) -> Self {
        Self::Refused(error)
    }
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Numbers of each row.
    Numbers(Numbers),
    /// Columns of the texts that are predicted from.
    Texts {
        columns: Vec<usize>,
        dims: Vec<usize>,
    },
    /// A label of each row.
    Labels(Labels),
    /// The same for every row.
    Constant(Rc<Constant>),
    /// Maps from these labels to numbers.
    Maps {
        place: Place,
        labels: Vec<ClassLabel>,
    },
}

/// Numbers of each row.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) place: Place,
    pub(super) kind: Kind,
    /// Dimensions after the one of rows.
    pub(super) dims: Vec<usize>,
}

/// Type of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `float32`
    Single,
    /// `int64`
    Whole,
}

/// A label of each row, by its index in a list.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    pub(super) place: Place,
    pub(super) known: Rc<Vec<ClassLabel>>,
    /// Dimensions after the one of rows: none, or a single 1.
    pub(super) dims: Vec<usize>,
    /// Rows are the second dimension, as `ArrayFeatureExtractor` leaves them.
    pub(super) turned: bool,
}

impl Numbers {
    pub(super) fn width(&self) -> usize {
        self.dims.iter().product()
    }

    /// The columns of a matrix.
    pub(super) fn columns(&self) -> Translation<usize> {
        match self.dims[..] {
            [width] => Ok(width),
            _ => Err(Left::ToRuntime),
        }
    }
}

/// A graph on its way to operations.
pub(super) struct Builder<'g, 'a> {
    graph: &'g Graph<'a>,
    values: HashMap<&'a str, Value>,
    pub(super) takes: Shape,
    pub(super) steps: Vec<Step>,
}

impl<'g, 'a: 'g> Builder<'g, 'a> {
    /// The inputs of the graph as values.
    pub(super) fn new(graph: &'g Graph<'a>, signature: &Signature) -> Translation<Self> {
        if signature.one_row || graph.nodes.len() > MAX_NODES {
            return Err(Left::ToRuntime);
        }
        let mut builder = Self {
            graph,
            values: HashMap::new(),
            takes: Shape::default(),
            steps: Vec::new(),
        };
        let mut columns = Vec::new();
        for input in &signature.inputs {
            let dims: Option<Vec<usize>> = input.trailing.iter().copied().collect();
            let dims = dims.filter(|dims| dims.len() < 2).ok_or(Left::ToRuntime)?;
            let width: usize = dims.iter().product();
            let taken = match input.element {
                Element::Float32 | Element::Int64 => &mut builder.takes.numbers,
                Element::String => &mut builder.takes.texts,
                _ => return Err(Left::ToRuntime),
            };
            columns.push((*taken..*taken + width, dims));
            *taken += width;
        }
        for (input, (columns, dims)) in signature.inputs.iter().zip(columns) {
            let value = builder.input_value(input.element, columns.collect(), dims);
            let name = graph.name_of(&input.name).ok_or(Left::ToRuntime)?;
            builder.values.insert(name, value);
        }
        Ok(builder)
    }

    fn input_value(&mut self, element: Element, columns: Vec<usize>, dims: Vec<usize>) -> Value {
        if element == Element::String {
            return Value::Texts { columns, dims };
        }
        let place = if columns.len() == self.takes.numbers {
            Place::Rows
        } else {
            let width = columns.len();
            self.push(Operation::Select(columns), vec![Place::Rows], width)
        };
        let kind = if element == Element::Int64 {
            Kind::Whole
        } else {
            Kind::Single
        };
        Value::Numbers(Numbers { place, kind, dims })
    }

    /// Adds an operation that makes so many columns.
    pub(super) fn push(&mut self, operation: Operation, from: Vec<Place>, width: usize) -> Place {
        self.steps.push(Step {
            operation,
            from,
            width,
        });
        Place::Made(self.steps.len() - 1)
    }

    /// The version of an operator set; the newest that is known where the file does not say.
    pub(super) fn version(&self, domain: &str) -> i64 {
        let mut sets = self.graph.operator_sets.iter();
        sets.find(|(known, _)| *known == domain)
            .map_or(i64::MAX, |(_, version)| *version)
    }

    /// An input of a node.
    pub(super) fn input(&self, node: &Node<'a>, index: usize) -> Translation<Value> {
        let name = node.inputs.get(index).filter(|name| !name.is_empty());
        let name = *name.ok_or(Left::ToRuntime)?;
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let constant = self.graph.initializers.get(name).ok_or(Left::ToRuntime)?;
        Ok(Value::Constant(Rc::new(Constant::read(constant)?)))
    }

    /// An input that has to be numbers of each row.
    pub(super) fn numbers(&self, node: &Node<'a>, index: usize) -> Translation<Numbers> {
        match self.input(node, index)? {
            Value::Numbers(numbers) => Ok(numbers),
            _ => Err(Left::ToRuntime),
        }
    }

    /// An input that has to be `float32`.
    pub(super) fn single(&self, node: &Node<'a>, index: usize) -> Translation<Numbers> {
        let numbers = self.numbers(node, index)?;
        match numbers.kind {
            Kind::Single => Ok(numbers),
            Kind::Whole => Err(Left::ToRuntime),
        }
    }

    /// An input that is `float32`, or integers that become so as the runtime converts them.
    pub(super) fn narrowed(&mut self, node: &Node<'a>, index: usize) -> Translation<Numbers> {
        let numbers = self.numbers(node, index)?;
        Ok(self.narrow(numbers))
    }

    /// Numbers as `float32`.
    pub(super) fn narrow(&mut self, numbers: Numbers) -> Numbers {
        if numbers.kind == Kind::Single {
            return numbers;
        }
        let width = numbers.width();
        Numbers {
            place: self.push(Operation::Narrow, vec![numbers.place], width),
            kind: Kind::Single,
            dims: numbers.dims,
        }
    }

    /// Labels as the integers they are.
    pub(super) fn spelled_out(&mut self, labels: &Labels) -> Translation<Numbers> {
        if labels.turned {
            return Err(Left::ToRuntime);
        }
        let pairs = labels
            .known
            .iter()
            .enumerate()
            .map(|(index, label)| match label {
                ClassLabel::Int(value) => Ok((index_number(index), whole(*value)?)),
                _ => Err(Left::ToRuntime),
            });
        let look = Dictionary::of_numbers(pairs.collect::<Translation<_>>()?, 0.0)?;
        Ok(Numbers {
            place: self.push(Operation::Look(look), vec![labels.place], 1),
            kind: Kind::Whole,
            dims: labels.dims.clone(),
        })
    }

    /// An input that has to be constant.
    pub(super) fn constant(&self, node: &Node<'a>, index: usize) -> Translation<Rc<Constant>> {
        match self.input(node, index)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(Left::ToRuntime),
        }
    }

    /// An input that has to be constant integers, a list or one alone.
    pub(super) fn constant_ints(&self, node: &Node<'a>, index: usize) -> Translation<Vec<i64>> {
        let constant = self.constant(node, index)?;
        constant.whole().map(<[i64]>::to_vec).ok_or(Left::ToRuntime)
    }

    /// A value by its name.
    pub(super) fn value(&self, name: &str) -> Translation<Value> {
        self.values.get(name).cloned().ok_or(Left::ToRuntime)
    }

    /// Names an output of a node; one that nobody asked for is let go.
    pub(super) fn set(&mut self, node: &Node<'a>, index: usize, value: Value) -> Translation<()> {
        let Some(name) = node.outputs.get(index).filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        let known = self.graph.initializers.contains_key(name);
        if known || self.values.insert(name, value).is_some() {
            return Err(Left::ToRuntime);
        }
        Ok(())
    }
}

/// `float32` constants as numbers.
pub(super) fn singles(constant: &Constant) -> Translation<Vec<f64>> {
    match &constant.values {
        Values::Single(values) => Ok(widened(values)),
        _ => Err(Left::ToRuntime),
    }
}

/// `float32` as numbers.
pub(super) fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

/// An integer as a number, if that is exact.
#[expect(
    clippy::cast_precision_loss,
    reason = "larger integers are left to the runtime"
)]
pub(super) fn whole(value: i64) -> Translation<f64> {
    if value.unsigned_abs() > LARGEST.unsigned_abs() {
        return Err(Left::ToRuntime);
    }
    Ok(value as f64)
}

/// An index as a number.
#[expect(clippy::cast_precision_loss, reason = "lists are shorter than 2^53")]
pub(super) fn index_number(index: usize) -> f64 {
    index as f64
}

/// An index into `length` columns; negative ones count from the end where that is so.
pub(super) fn index_below(index: i64, length: usize, from_end: bool) -> Translation<usize> {
    let length_signed = i64::try_from(length).map_err(|_| Left::ToRuntime)?;
    let index = if index < 0 && from_end {
        index + length_signed
    } else {
        index
    };
    let index = usize::try_from(index).ok().filter(|index| *index < length);
    index.ok_or(Left::ToRuntime)
}
