//! Gradient boosting.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::trees::raw_tree;
use super::version::Version;
use super::{names, pipeline};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::boosting::{Boosting, Ensemble};
use crate::kernel::heads::first::{First, Shares};
use crate::kernel::heads::link::{Label, Link};
use crate::kernel::trees::Trees;
use crate::reader::malformed;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.ensemble._gb",
        "GradientBoostingClassifier",
        Reader::Head(classifier),
    ),
    (
        "sklearn.ensemble._gb",
        "GradientBoostingRegressor",
        Reader::Head(regressor),
    ),
    ("sklearn.preprocessing._label", "LabelEncoder", Reader::Part),
];

/// `GradientBoostingClassifier`.
fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let sums = if classes.len() == 2 { 1 } else { classes.len() };
    // Until 1.3 the label was that of the largest probability (`sklearn/ensemble/_gb_losses.py`,
    // `_raw_prediction_to_decision`), except for the exponential loss.
    let exponential = estimator.text("loss") == Some("exponential");
    let label = if exponential || estimator.version >= Version(1, 4) {
        Label::SumOrZero
    } else {
        Label::Probability
    };
    let link = match (sums, exponential) {
        (1, true) => Link::Logistic { scale: 2.0, label },
        (1, false) => Link::Logistic { scale: 1.0, label },
        _ => Link::Softmax { label },
    };
    let shares = shares(estimator.version, exponential);
    let (mut base, mut first) = (Vec::with_capacity(sums), None);
    match initial(estimator)? {
        Initial::Zero => {}
        Initial::Constant(init) => {
            shares.begin(&init.numbers_of("class_prior_", classes.len())?, &mut base);
        }
        Initial::Fitted(init) => {
            let model = pipeline::translate(init)?.model;
            let shape = (estimator.features()?, sums);
            first = Some(First::new(model, Some(shares), shape)?);
        }
    }
    base.resize(sums, 0.0);
    let head = begun(boosted(estimator, base, link)?, first);
    Ok(plan(estimator, head, Answers::Classes(classes)))
}

/// `GradientBoostingRegressor`, whose losses all have the identity for their link.
fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let (mut base, mut first) = (vec![0.0], None);
    match initial(estimator)? {
        Initial::Zero => {}
        Initial::Constant(init) => base = init.numbers_of("constant_", 1)?,
        Initial::Fitted(init) => {
            let model = pipeline::translate(init)?.model;
            first = Some(First::new(model, None, (estimator.features()?, 1))?);
        }
    }
    let head = begun(boosted(estimator, base, Link::Identity)?, first);
    Ok(plan(estimator, head, Answers::regression(1)))
}

fn begun(head: Boosting, first: Option<First>) -> Boosting {
    match first {
        Some(first) => head.beginning_with(first),
        None => head,
    }
}

fn plan(estimator: Estimator<'_>, head: Boosting, answers: Answers) -> HeadPlan<'_> {
    let needs = Need::numbers(head.features(), Missing::Refused);
    HeadPlan {
        from: estimator,
        needs,
        head: Head::Boosting(head),
        answers,
    }
}

/// What the sums begin with.
enum Initial<'r> {
    Zero,
    /// An estimator that ignores the rows.
    Constant(Estimator<'r>),
    /// One that does not.
    Fitted(Estimator<'r>),
}

fn initial(estimator: Estimator<'_>) -> Result<Initial<'_>, EngineError> {
    if estimator.text("init_") == Some("zero") {
        return Ok(Initial::Zero);
    }
    let init = estimator.child(estimator.fitted("init_")?)?;
    Ok(match init.class {
        "DummyClassifier" if init.text("strategy") == Some("prior") => Initial::Constant(init),
        "DummyRegressor" => Initial::Constant(init),
        _ => Initial::Fitted(init),
    })
}

/// How probabilities become sums in the version that wrote the file.
fn shares(version: Version, exponential: bool) -> Shares {
    Shares {
        least: if version >= Version(1, 6) {
            f64::EPSILON
        } else {
            f64::from(f32::EPSILON)
        },
        half: exponential,
        centred: version >= Version(1, 4),
    }
}

/// All stages of `estimators_`, in their order, one tree for each sum.
fn boosted(estimator: Estimator<'_>, base: Vec<f64>, link: Link) -> Result<Boosting, EngineError> {
    let sums = base.len();
    let features = estimator.features()?;
    let rate = estimator.number("learning_rate")?;
    let stages = estimator.array("estimators_")?;
    let (Some(members), [_, width]) = (stages.objects(), stages.shape.as_slice()) else {
        return Err(malformed("estimators_ is no table of trees"));
    };
    if *width != sums {
        return Err(malformed(format!("{width} trees a stage for {sums} sums")));
    }
    let mut trees = Trees::for_sums(features, sums);
    for (index, member) in members.iter().enumerate() {
        let tree = estimator.child(*member)?;
        if tree.class != "DecisionTreeRegressor" {
            return Err(malformed(format!("a stage with a {} in it", tree.class)));
        }
        let mut raw = raw_tree(tree, features, 1)?;
        // What a stage adds is rounded once (`_gradient_boosting.pyx`, `_predict_regression_tree_inplace_fast_dense`).
        raw.values.iter_mut().for_each(|value| *value *= rate);
        raw.missing_left = None;
        trees.push(&raw, index % sums)?;
    }
    Boosting::new(Ensemble::Mixed(trees), base, link)
}
