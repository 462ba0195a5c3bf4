//! ONNX graphs that the native kernels answer: no runtime is needed for these.
//!
//! Nodes become operations of [`crate::kernel::graph`], one by one, in the order of the
//! file. A graph with anything in it that is not known to be computed exactly as ONNX
//! Runtime does stays with the runtime. What is damaged is refused by either.
//!
//! Where a rule is not in the standard, it is that of the runtime's CPU kernels
//! (onnxruntime/core/providers/cpu), cited where it is used.

mod answers;
mod builder;
mod encoders;
mod ensemble;
mod linear;
mod plain;
mod shapes;
mod trees;

use super::graph::{Graph, Node};
use super::outlet;
use super::signature::Signature;
use crate::EngineError;
use crate::kernel::graph::{Graph as Kernel, Parts};
use crate::kernel::head::Head;
use crate::kernel::model::Model;
use crate::kernel::native::Native;
pub(super) use builder::Left;
use builder::{Builder, Translation};

/// The newest file format whose meaning is known.
const IR_VERSION: i64 = 13;
/// The operator sets whose meaning is known, by domain.
const OPERATOR_SETS: [(&str, std::ops::RangeInclusive<i64>); 3] =
    [("", 7..=24), ("ai.onnx", 7..=24), ("ai.onnx.ml", 1..=4)];

/// Translates a graph, if every node of it is known; `None` leaves it to the runtime.
///
/// Errors: the file is damaged, whoever would run it.
pub(super) fn open(graph: &Graph<'_>) -> Result<Option<Native>, EngineError> {
    match translate(graph) {
        Ok(native) => Ok(Some(native)),
        Err(Left::Refused(error)) => Err(error),
        Err(Left::ToRuntime) => trees::check_all(graph).map(|()| None),
    }
}

fn translate(graph: &Graph<'_>) -> Translation<Native> {
    if graph.needs_runtime || !(3..=IR_VERSION).contains(&graph.ir_version) {
        return Err(Left::ToRuntime);
    }
    for (domain, version) in &graph.operator_sets {
        let mut known = OPERATOR_SETS.iter();
        if !known.any(|(name, versions)| name == domain && versions.contains(version)) {
            return Err(Left::ToRuntime);
        }
    }
    let sets = &graph.operator_sets;
    let is_of_set = |node: &Node<'_>| sets.iter().any(|(domain, _)| *domain == node.domain);
    if !graph.nodes.iter().all(is_of_set) {
        return Err(Left::ToRuntime);
    }
    let (inputs, outputs) = outlet::declared(graph)?;
    if inputs.is_empty() || outputs.is_empty() {
        return Err(Left::ToRuntime);
    }
    let signature = Signature::of(&inputs, &outputs, graph).map_err(|_| Left::ToRuntime)?;
    let mut builder = Builder::new(graph, &signature)?;
    for node in &graph.nodes {
        operation(node, &mut builder)?;
    }
    let answers = answers::of(&signature, &outputs, &mut builder)?;
    let kernel = Kernel::try_from(Parts {
        takes: builder.takes,
        steps: builder.steps,
        answers,
    })?;
    let model = Model::new(Vec::new(), Head::Graph(kernel))?;
    Ok(Native::new(signature.schema, model)?)
}

/// The table of operators: those of the standard set, then those of `ai.onnx.ml`.
fn operation<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let standard = matches!(node.domain, "" | "ai.onnx");
    match (standard, node.operator) {
        (true, "Identity") => shapes::identity(node, builder),
        (true, "Cast") => shapes::cast(node, builder),
        (true, "Concat") => shapes::concat(node, builder),
        (true, "Reshape") => shapes::reshape(node, builder),
        (true, "Flatten") => shapes::flatten(node, builder),
        (true, "Gather") => shapes::gather(node, builder),
        (true, "Constant") => shapes::constant(node, builder),
        (true, "Add" | "Sub" | "Mul" | "Div") => plain::arithmetic(node, builder),
        (true, "Exp" | "Sigmoid" | "Neg" | "Reciprocal" | "Relu" | "Sqrt" | "Tanh") => {
            plain::function(node, builder)
        }
        (true, "Softmax") => plain::softmax(node, builder),
        (true, "ArgMax" | "ArgMin") => plain::extreme(node, builder),
        (true, "MatMul") => linear::product(node, builder),
        (true, "Gemm") => linear::gemm(node, builder),
        (false, _) if node.domain != "ai.onnx.ml" => Err(Left::ToRuntime),
        (false, "LinearClassifier") => linear::classifier(node, builder),
        (false, "LinearRegressor") => linear::regressor(node, builder),
        (false, "TreeEnsembleClassifier") => trees::classifier(node, builder),
        (false, "TreeEnsembleRegressor") => trees::regressor(node, builder),
        (false, "Scaler") => plain::scaler(node, builder),
        (false, "Normalizer") => plain::normalizer(node, builder),
        (false, "Binarizer") => plain::binarizer(node, builder),
        (false, "Imputer") => plain::imputer(node, builder),
        (false, "LabelEncoder") => encoders::label(node, builder),
        (false, "OneHotEncoder") => encoders::one_hot(node, builder),
        (false, "ArrayFeatureExtractor") => shapes::extract(node, builder),
        (false, "FeatureVectorizer") => shapes::vectorize(node, builder),
        (false, "ZipMap") => shapes::zip_map(node, builder),
        _ => Err(Left::ToRuntime),
    }
}
