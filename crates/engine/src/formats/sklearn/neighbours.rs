//! Nearest neighbours. The trees that the library searches are not looked at: the rows themselves are.

use plimsoll_core::schema::ClassLabel;

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::{meta, names};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::neighbours::{Metric, Neighbours, Reach, Targets};
use crate::reader::element::Value;
use crate::reader::pickle::Node;
use crate::reader::{malformed, numpy};

const CLASSIFICATION: &str = "sklearn.neighbors._classification";
const REGRESSION: &str = "sklearn.neighbors._regression";

pub(super) const CLASSES: &[Class] = &[
    (
        CLASSIFICATION,
        "KNeighborsClassifier",
        Reader::Head(classifier),
    ),
    (
        CLASSIFICATION,
        "RadiusNeighborsClassifier",
        Reader::Head(classifier),
    ),
    (REGRESSION, "KNeighborsRegressor", Reader::Head(regressor)),
    (
        REGRESSION,
        "RadiusNeighborsRegressor",
        Reader::Head(regressor),
    ),
    ("sklearn.neighbors._ball_tree", "BallTree", Reader::Part),
    ("sklearn.neighbors._kd_tree", "KDTree", Reader::Part),
];

/// `KNeighborsClassifier` and `RadiusNeighborsClassifier`, of one label a row.
fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let labels = estimator.array("_y")?.values()?;
    if let Some(outputs) = names::classes_of_outputs(estimator)? {
        return several(estimator, &labels, outputs);
    }
    let classes = names::classes(estimator)?;
    let count = points(estimator)?.len() / estimator.features()?;
    let labels = each_label(labels.iter(), (count, classes.len()))?;
    let lonely = lonely(estimator, &classes)?;
    let targets = Targets::Classes(labels, classes.len());
    plan(estimator, (targets, lonely), Answers::Classes(classes))
}

/// `KNeighborsClassifier` of several labels a row: the same points for each.
fn several<'r>(
    estimator: Estimator<'r>,
    labels: &[Value],
    outputs: Vec<Vec<ClassLabel>>,
) -> Result<HeadPlan<'r>, EngineError> {
    if estimator.class.starts_with("Radius") {
        return Err(estimator.unserved("with several outputs"));
    }
    let (width, features) = (outputs.len(), estimator.features()?);
    let targets = Targets::Classes(Vec::new(), 2);
    let mut found = neighbours(estimator, targets, None)?;
    let rows = found.points.len() / features;
    let mut heads = Vec::with_capacity(width);
    for (at, classes) in outputs.into_iter().enumerate() {
        let labels = labels.iter().skip(at).step_by(width);
        let labels = each_label(labels, (rows, classes.len()))?;
        found.targets = Targets::Classes(labels, classes.len());
        heads.push((Head::Neighbours(found.clone()), classes));
    }
    let needs = Need::numbers(features, Missing::Refused);
    meta::labels_side_by_side(estimator, heads, needs)
}

/// The class of each of so many rows, below so many.
fn each_label<'v>(
    labels: impl Iterator<Item = &'v Value>,
    (rows, classes): (usize, usize),
) -> Result<Vec<u32>, EngineError> {
    let labels = labels.map(|label| {
        let label = label.as_i64().and_then(|label| u32::try_from(label).ok());
        label.filter(|label| (*label as usize) < classes)
    });
    let labels: Option<Vec<u32>> = labels.collect();
    let labels = labels.filter(|labels| labels.len() == rows);
    labels.ok_or_else(|| malformed("_y does not tell the class of each row"))
}

/// `KNeighborsRegressor` and `RadiusNeighborsRegressor`, of one output or several.
fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let count = points(estimator)?.len() / estimator.features()?;
    let values = estimator.numbers("_y")?;
    let outputs = values.len() / count;
    if outputs == 0 || outputs.checked_mul(count) != Some(values.len()) {
        return Err(malformed("_y does not tell the values of each row"));
    }
    let targets = Targets::Values(values, outputs);
    plan(estimator, (targets, None), Answers::regression(outputs))
}

fn plan(
    estimator: Estimator<'_>,
    (targets, lonely): (Targets, Option<u32>),
    answers: Answers,
) -> Result<HeadPlan<'_>, EngineError> {
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(estimator.features()?, Missing::Refused),
        answers,
        head: Head::Neighbours(neighbours(estimator, targets, lonely)?),
    })
}

fn neighbours(
    estimator: Estimator<'_>,
    targets: Targets,
    lonely: Option<u32>,
) -> Result<Neighbours, EngineError> {
    let features = estimator.features()?;
    let points = points(estimator)?;
    let count = points.len() / features;
    let reach = if estimator.class.starts_with("Radius") {
        Reach::Within(estimator.numbers_of("radius", 1)?[0])
    } else {
        let nearest = estimator.size("n_neighbors")?;
        if nearest == 0 || nearest > count {
            return Err(malformed(format!(
                "{nearest} neighbours among {count} rows"
            )));
        }
        Reach::Nearest(nearest)
    };
    let by_distance = match (estimator.text("weights"), estimator.attribute("weights")) {
        (Some("uniform"), _) | (None, None) => false,
        (Some("distance"), _) => true,
        _ => return Err(estimator.unserved("with weights of its own")),
    };
    Ok(Neighbours {
        metric: metric(estimator)?,
        points,
        features,
        targets,
        reach,
        by_distance,
        lonely,
    })
}

/// The rows it was fitted on, at least one.
fn points(estimator: Estimator<'_>) -> Result<Vec<f64>, EngineError> {
    let features = estimator.features()?;
    let shape = estimator.array("_fit_X")?.shape;
    if shape.len() != 2 || shape[0] == 0 || shape[1] != features {
        return Err(malformed(format!(
            "_fit_X is {shape:?} for {features} features"
        )));
    }
    estimator.numbers("_fit_X")
}

/// The metric after defaults, as `fit` leaves it.
fn metric(estimator: Estimator<'_>) -> Result<Metric, EngineError> {
    match estimator.text("effective_metric_") {
        Some("euclidean" | "l2") => Ok(Metric::Euclidean),
        Some("manhattan" | "cityblock" | "l1") => Ok(Metric::Manhattan),
        Some("chebyshev") => Ok(Metric::Chebyshev),
        Some("cosine") => Ok(Metric::Cosine),
        Some("hamming") => Ok(Metric::Hamming),
        Some("minkowski") => minkowski(estimator),
        _ => Err(estimator.unserved("with this metric")),
    }
}

fn minkowski(estimator: Estimator<'_>) -> Result<Metric, EngineError> {
    let arena = estimator.arena();
    let parameters = estimator.fitted("effective_metric_params_")?;
    let weights = arena.entry(parameters, "w");
    if weights.is_some_and(|weights| !matches!(arena.get(weights), Node::None)) {
        return Err(estimator.unserved("with weighted columns"));
    }
    let power = arena
        .entry(parameters, "p")
        .map(|power| numpy::value(arena, power));
    let power = power
        .transpose()?
        .flatten()
        .and_then(|power| power.as_f64());
    match power {
        Some(power) if power > 0.0 && power.is_finite() => Ok(Metric::Minkowski(power)),
        _ => Err(malformed("a Minkowski metric without its power")),
    }
}

/// The class of rows that no training row is near to.
fn lonely(estimator: Estimator<'_>, classes: &[ClassLabel]) -> Result<Option<u32>, EngineError> {
    if estimator.attribute("outlier_label_").is_none() {
        return Ok(None);
    }
    let &[label] = estimator.list("outlier_label_")? else {
        return Err(estimator.unserved("with several outputs"));
    };
    let arena = estimator.arena();
    let label = match (arena.text(label), numpy::value(arena, label)?) {
        (Some(text), _) => Some(ClassLabel::Text(text.to_owned())),
        (_, Some(Value::Text(text))) => Some(ClassLabel::Text(text)),
        (_, Some(Value::Int(number))) => Some(ClassLabel::Int(number)),
        (_, Some(Value::Bool(flag))) => Some(ClassLabel::Bool(flag)),
        (_, Some(Value::Float(number))) => Some(ClassLabel::Float(number)),
        _ => None,
    };
    let index = classes
        .iter()
        .position(|class| Some(class) == label.as_ref());
    match index.and_then(|index| u32::try_from(index).ok()) {
        Some(index) => Ok(Some(index)),
        None => Err(estimator.unserved("with an outlier label that is none of its classes")),
    }
}
