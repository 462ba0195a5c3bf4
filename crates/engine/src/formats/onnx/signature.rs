//! The schema of a graph: which tensors it takes and answers, in the product's words.

use ort::session::Session;
use ort::value::TensorElementType;
use plimsoll_core::schema::{ClassLabel, DataType, Field, Schema, Task};

use super::graph::Graph;
use super::outlet::{Outlet, OutletKind, Tensor};
use super::wire::malformed;
use crate::EngineError;

/// Above this many columns a matrix is one tensor field and not so many features.
const MAX_UNNAMED: usize = 512;

/// How a schema's blocks become tensors, and tensors an answer.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) schema: Schema,
    /// One for each input of the graph, in its order; the block has the same index.
    pub(super) inputs: Vec<InputTensor>,
    pub(super) outputs: Vec<OutputTensor>,
    /// The graph was exported for one row at a time.
    pub(super) one_row: bool,
}

/// A tensor the graph takes.
#[derive(Debug)]
pub(super) struct InputTensor {
    pub(super) name: String,
    pub(super) element: TensorElementType,
    /// Dimensions after the one of rows; `None` where the request chooses.
    pub(super) trailing: Vec<Option<usize>>,
}

/// A tensor, or a sequence of maps, the graph answers.
#[derive(Debug)]
pub(super) struct OutputTensor {
    pub(super) name: String,
    /// Type of the elements; of the keys where each row is a map.
    pub(super) element: TensorElementType,
    /// Dimensions after the one of rows, if the graph fixes them all.
    pub(super) trailing: Option<Vec<usize>>,
    pub(super) role: Role,
}

/// What an output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The class, by its label.
    Label,
    /// A probability for each class.
    Probabilities,
    /// The same, as a map from label to probability.
    ProbabilityMap,
    /// An output field of the schema.
    Value(usize),
}

impl Signature {
    /// The signature of a session over the file `graph` describes.
    pub(super) fn of_session(session: &Session, graph: &Graph<'_>) -> Result<Self, EngineError> {
        let inputs: Vec<Outlet> = session.inputs().iter().map(Outlet::of_session).collect();
        let outputs: Vec<Outlet> = session.outputs().iter().map(Outlet::of_session).collect();
        Self::of(&inputs, &outputs, graph)
    }

    /// The signature of a graph with these inputs and outputs.
    pub(super) fn of(
        inputs: &[Outlet],
        answers: &[Outlet],
        graph: &Graph<'_>,
    ) -> Result<Self, EngineError> {
        let tensors = inputs.iter().map(input_tensor);
        let tensors: Vec<(&str, &Tensor)> = tensors.collect::<Result<_, _>>()?;
        let firsts = tensors.iter().map(|(_, tensor)| first_dimension(tensor));
        let firsts: Vec<Option<usize>> = firsts.collect();
        if firsts
            .iter()
            .any(|first| first.is_some_and(|rows| rows != 1))
        {
            return Err(fixed_batch());
        }
        let one_row = firsts.iter().any(Option::is_some);
        let inputs = tensors
            .iter()
            .map(|(name, tensor)| without_rows(name, tensor));
        let mut inputs: Vec<InputTensor> = inputs.collect();
        let schema = input_schema(&mut inputs, graph)?;
        let (outputs, fields, classes) = outputs(answers, graph)?;
        let task = task(&outputs, &fields, &classes);
        Ok(Self {
            schema: schema.answering(task, fields, classes),
            inputs,
            outputs,
            one_row,
        })
    }
}

fn input_tensor(outlet: &Outlet) -> Result<(&str, &Tensor), EngineError> {
    let name = outlet.name.as_str();
    let Some(tensor) = outlet.tensor() else {
        return Err(malformed(format!("input {name:?} is no tensor")));
    };
    data_type(tensor.element, "input", name)?;
    if tensor.dims.is_none() {
        return Err(EngineError::Unsupported {
            what: format!("input {name:?}, which has no dimension for rows,"),
            advice:
                "export the model with a first dimension for rows and fold constants into the graph"
                    .to_owned(),
        });
    }
    Ok((name, tensor))
}

fn first_dimension(tensor: &Tensor) -> Option<usize> {
    tensor
        .dims
        .as_ref()
        .and_then(|dims| dims.first().copied().flatten())
}

fn without_rows(name: &str, tensor: &Tensor) -> InputTensor {
    let dims = tensor.dims.as_deref().unwrap_or_default();
    InputTensor {
        name: name.to_owned(),
        element: tensor.element,
        trailing: dims.get(1..).unwrap_or_default().to_vec(),
    }
}

fn fixed_batch() -> EngineError {
    EngineError::Unsupported {
        what: "a graph for a fixed number of rows".to_owned(),
        advice: "export it with a variable first dimension: dynamic_shapes of torch.onnx.export, \
                 initial_types with None in skl2onnx"
            .to_owned(),
    }
}

/// One field per column of a single matrix, otherwise one field per input.
fn input_schema(inputs: &mut [InputTensor], graph: &Graph<'_>) -> Result<Schema, EngineError> {
    let schema = match inputs {
        [only] => {
            if let Some(names) = column_names(only, graph) {
                only.trailing = vec![Some(names.len())];
                let data_type = data_type(only.element, "input", &only.name)?;
                let field = |name| nullable(Field::scalar(name, data_type), graph);
                Schema::packed(names.into_iter().map(field).collect())
            } else {
                Schema::separate(vec![field_of(only, graph)?])
            }
        }
        several => {
            let fields = several.iter().map(|input| field_of(input, graph));
            Schema::separate(fields.collect::<Result<_, _>>()?)
        }
    };
    schema.map_err(|error| malformed(error.to_string()))
}

/// Names of a matrix's columns, if its columns are features of their own.
fn column_names(input: &InputTensor, graph: &Graph<'_>) -> Option<Vec<String>> {
    let [width] = input.trailing[..] else {
        return None;
    };
    let named: Option<Vec<String>> = graph
        .feature_names
        .and_then(|text| serde_json::from_str(text).ok());
    if let Some(names) = named
        && width.is_none_or(|width| width == names.len())
        && !names.is_empty()
    {
        return Some(names);
    }
    let width = width.filter(|width| (1..=MAX_UNNAMED).contains(width))?;
    if width == 1 && !is_float(input.element) {
        return None;
    }
    Some((0..width).map(|index| format!("x{index}")).collect())
}

fn field_of(input: &InputTensor, graph: &Graph<'_>) -> Result<Field, EngineError> {
    let data_type = data_type(input.element, "input", &input.name)?;
    let mut field = Field::scalar(&input.name, data_type);
    if !matches!(input.trailing[..], [] | [Some(1)]) {
        field.shape.clone_from(&input.trailing);
    }
    Ok(nullable(field, graph))
}

fn nullable(field: Field, graph: &Graph<'_>) -> Field {
    if graph.accepts_missing && matches!(field.data_type, DataType::Float32 | DataType::Float64) {
        field.nullable()
    } else {
        field
    }
}

fn is_float(element: TensorElementType) -> bool {
    matches!(
        element,
        TensorElementType::Float32 | TensorElementType::Float64
    )
}

/// The product's type for an element type of ONNX.
pub(super) fn data_type(
    element: TensorElementType,
    role: &str,
    name: &str,
) -> Result<DataType, EngineError> {
    Ok(match element {
        TensorElementType::Float32 => DataType::Float32,
        TensorElementType::Float64 => DataType::Float64,
        TensorElementType::Int8
        | TensorElementType::Int16
        | TensorElementType::Int32
        | TensorElementType::Int64
        | TensorElementType::Uint8
        | TensorElementType::Uint16
        | TensorElementType::Uint32
        | TensorElementType::Uint64 => DataType::Int64,
        TensorElementType::Bool => DataType::Bool,
        TensorElementType::String => DataType::String,
        other => {
            return Err(EngineError::Unsupported {
                what: format!("{role} {name:?} of type {other}"),
                advice: format!(
                    "export the model so that each {role} is float32, float64, an integer, bool or string"
                ),
            });
        }
    })
}

type Answer = (Vec<OutputTensor>, Vec<Field>, Vec<ClassLabel>);

/// What the outputs mean: a label and probabilities if the graph has classes,
/// otherwise values.
fn outputs(outlets: &[Outlet], graph: &Graph<'_>) -> Result<Answer, EngineError> {
    let (label, probabilities, classes) = classifier(outlets, graph);
    let (mut outputs, mut fields) = (Vec::new(), Vec::new());
    for (index, outlet) in outlets.iter().enumerate() {
        let role = if label == Some(index) {
            Role::Label
        } else if probabilities == Some(index) {
            if outlet.tensor().is_some() {
                Role::Probabilities
            } else {
                Role::ProbabilityMap
            }
        } else {
            Role::Value(fields.len())
        };
        if let (Role::ProbabilityMap, OutletKind::Maps(key)) = (role, &outlet.kind) {
            outputs.push(OutputTensor {
                name: outlet.name.clone(),
                element: *key,
                trailing: None,
                role,
            });
            continue;
        }
        let Some(tensor) = outlet.tensor() else {
            return Err(EngineError::Unsupported {
                what: format!("output {:?}, which is no tensor,", outlet.name),
                advice: "export the model so that each output is a tensor".to_owned(),
            });
        };
        let data_type = data_type(tensor.element, "output", &outlet.name)?;
        let trailing = tensor.dims.as_ref().map(|dims| dims[1..].to_vec());
        if matches!(role, Role::Value(_)) {
            let mut field = Field::scalar(&outlet.name, data_type);
            match trailing.as_deref() {
                Some([] | [Some(1)]) => {}
                Some(shape) => field.shape = shape.to_vec(),
                None => field.shape = vec![None],
            }
            fields.push(field);
        }
        outputs.push(OutputTensor {
            name: outlet.name.clone(),
            element: tensor.element,
            trailing: trailing.and_then(|dims| dims.into_iter().collect()),
            role,
        });
    }
    Ok((outputs, fields, classes))
}

/// Indices of the label and the probabilities among the outputs, and the classes.
fn classifier(
    outlets: &[Outlet],
    graph: &Graph<'_>,
) -> (Option<usize>, Option<usize>, Vec<ClassLabel>) {
    let scores = probability_output(outlets);
    let scores_name = scores.map(|index| outlets[index].name.as_str());
    for (index, outlet) in outlets.iter().enumerate() {
        let is_label = outlet.tensor().is_some_and(|tensor| {
            let dims = tensor.dims.as_deref().unwrap_or_default();
            matches!(
                tensor.element,
                TensorElementType::Int64 | TensorElementType::String
            ) && matches!(dims.get(1..).unwrap_or_default(), [] | [Some(1)])
        });
        if !is_label {
            continue;
        }
        let classes = graph.classes(&outlet.name, scores_name);
        if classes.len() > 1 {
            let fits = |index: &usize| width_fits(&outlets[*index], classes.len());
            return (Some(index), scores.filter(fits), classes);
        }
    }
    (None, None, Vec::new())
}

/// The output with one number per class; scores that are no probabilities are
/// named as such by the converters.
fn probability_output(outlets: &[Outlet]) -> Option<usize> {
    let candidates = outlets.iter().enumerate().filter(|(_, outlet)| {
        let is_map = matches!(outlet.kind, OutletKind::Maps(_));
        let is_matrix = outlet.tensor().is_some_and(|tensor| {
            is_float(tensor.element) && tensor.dims.as_ref().is_none_or(|dims| dims.len() == 2)
        });
        let name = outlet.name.to_ascii_lowercase();
        (is_map || is_matrix) && !name.contains("score") && !name.contains("decision")
    });
    let mut found: Vec<usize> = candidates.map(|(index, _)| index).collect();
    found.sort_by_key(|index| !outlets[*index].name.to_ascii_lowercase().contains("prob"));
    found.first().copied()
}

fn width_fits(outlet: &Outlet, classes: usize) -> bool {
    let Some(tensor) = outlet.tensor() else {
        return true;
    };
    let dims = tensor.dims.as_ref();
    let width = dims.and_then(|dims| dims.get(1).copied().flatten());
    width.is_none_or(|width| width == classes)
}

fn task(outputs: &[OutputTensor], fields: &[Field], classes: &[ClassLabel]) -> Task {
    match (outputs, fields) {
        _ if !classes.is_empty() => Task::Classification,
        ([output], [field]) if field.is_scalar() && is_float(output.element) => Task::Regression,
        _ => Task::Other,
    }
}
