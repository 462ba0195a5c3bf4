//! Multi-layer perceptrons.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::dense::Dense;
use crate::kernel::heads::layers::{Activation, Layers, Reading};
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

const NETWORK: &str = "sklearn.neural_network._multilayer_perceptron";
const OPTIMIZERS: &str = "sklearn.neural_network._stochastic_optimizers";

pub(super) const CLASSES: &[Class] = &[
    (NETWORK, "MLPClassifier", Reader::Head(classifier)),
    (NETWORK, "MLPRegressor", Reader::Head(regressor)),
    (OPTIMIZERS, "AdamOptimizer", Reader::Part),
    (OPTIMIZERS, "SGDOptimizer", Reader::Part),
];

/// Most layers: each is a pass over the rows.
const MAX_LAYERS: usize = 256;

/// `MLPRegressor`, of one output or several.
fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let last = match estimator.text("out_activation_") {
        Some("identity") => Activation::Identity,
        Some("exp") => Activation::Exponential,
        _ => return Err(estimator.unserved("with this last activation")),
    };
    let layers = layers(estimator, Reading::Values(last))?;
    let outputs = layers.stack.last().map_or(1, Dense::neurons);
    Ok(plan(estimator, layers, Answers::regression(outputs)))
}

/// `MLPClassifier`, of one label a row.
fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let binarizer = estimator.child(estimator.fitted("_label_binarizer")?)?;
    let (reading, neurons) = match binarizer.text("y_type_") {
        Some("binary") => (Reading::TwoClasses, 2),
        Some("multiclass") => (Reading::Classes, 0),
        _ => return Err(estimator.unserved("with several outputs")),
    };
    let classes = names::classes(estimator)?;
    let layers = layers(estimator, reading)?;
    let outputs = layers.stack.last().map_or(1, Dense::neurons);
    let fits = match neurons {
        2 => outputs == 1 && classes.len() == 2,
        _ => outputs == classes.len(),
    };
    if !fits {
        let classes = classes.len();
        return Err(malformed(format!(
            "{outputs} neurons for {classes} classes"
        )));
    }
    Ok(plan(estimator, layers, Answers::Classes(classes)))
}

fn plan(estimator: Estimator<'_>, layers: Layers, answers: Answers) -> HeadPlan<'_> {
    let features = layers.stack.first().map_or(0, Dense::inputs);
    HeadPlan {
        from: estimator,
        needs: Need::numbers(features, Missing::Refused),
        answers,
        head: Head::Layers(layers),
    }
}

/// `coefs_` and `intercepts_`: one array each for each layer.
fn layers(estimator: Estimator<'_>, reading: Reading) -> Result<Layers, EngineError> {
    let hidden = match estimator.text("activation") {
        Some("identity") => Activation::Identity,
        Some("logistic") => Activation::Logistic,
        Some("tanh") => Activation::Tanh,
        Some("relu") => Activation::Relu,
        _ => return Err(estimator.unserved("with this activation")),
    };
    let weights = estimator.list("coefs_")?;
    let biases = estimator.list("intercepts_")?;
    if weights.is_empty() || weights.len() != biases.len() || weights.len() > MAX_LAYERS {
        return Err(malformed("coefs_ and intercepts_ do not fit each other"));
    }
    let mut layers = Vec::with_capacity(weights.len());
    let mut inputs = estimator.features()?;
    for (weights, biases) in weights.iter().zip(biases) {
        let layer = layer(estimator, inputs, (*weights, *biases))?;
        inputs = layer.neurons();
        layers.push(layer);
    }
    Ok(Layers {
        stack: layers,
        hidden,
        reading,
    })
}

/// A layer that takes `inputs` numbers; the file holds its weights as inputs × neurons.
fn layer(
    estimator: Estimator<'_>,
    inputs: usize,
    (weights, biases): (NodeId, NodeId),
) -> Result<Dense, EngineError> {
    let weights = estimator.array_at("coefs_", weights)?;
    let biases = estimator.array_at("intercepts_", biases)?.f64s()?;
    let neurons = biases.len();
    if neurons == 0 || weights.shape != [inputs, neurons] {
        let shape = &weights.shape;
        return Err(malformed(format!(
            "a layer of {shape:?} where {inputs} × {neurons} was expected"
        )));
    }
    let by_input = weights.f64s()?;
    let all = by_input.iter().chain(&biases);
    if all.into_iter().any(|number| !number.is_finite()) {
        return Err(malformed("the weights of a layer are not finite"));
    }
    Ok(Dense::new(inputs, &by_input, biases))
}
