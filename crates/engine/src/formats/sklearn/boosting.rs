//! Gradient boosting.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::trees::raw_tree;
use super::version::Version;
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::boosting::{Boosting, Ensemble};
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
    let base = match initial(estimator)? {
        None => vec![0.0; sums],
        Some(init) => {
            let shares = init.numbers_of("class_prior_", classes.len())?;
            base_of_shares(estimator.version, &shares, exponential)
        }
    };
    let head = boosted(estimator, base, link)?;
    Ok(plan(estimator, head, Answers::Classes(classes)))
}

/// `GradientBoostingRegressor`, whose losses all have the identity for their link.
fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let base = match initial(estimator)? {
        None => vec![0.0],
        Some(init) => init.numbers_of("constant_", 1)?,
    };
    let head = boosted(estimator, base, Link::Identity)?;
    Ok(plan(estimator, head, Answers::regression(1)))
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

/// The estimator the sums begin with, which ignores the rows; `None` if they begin with zero.
fn initial(estimator: Estimator<'_>) -> Result<Option<Estimator<'_>>, EngineError> {
    if estimator.text("init_") == Some("zero") {
        return Ok(None);
    }
    let init = estimator.child(estimator.fitted("init_")?)?;
    let constant = match init.class {
        "DummyClassifier" => matches!(init.text("strategy"), Some("prior")),
        "DummyRegressor" => true,
        _ => false,
    };
    if constant {
        return Ok(Some(init));
    }
    Err(estimator.unserved("with an init estimator"))
}

/// `sklearn/ensemble/_gb.py`, `_init_raw_predictions`, and `_gb_losses.py` until 1.3.
fn base_of_shares(version: Version, shares: &[f64], exponential: bool) -> Vec<f64> {
    let least = if version >= Version(1, 6) {
        f64::EPSILON
    } else {
        f64::from(f32::EPSILON)
    };
    let shares = shares.iter().map(|share| share.clamp(least, 1.0 - least));
    let shares: Vec<f64> = shares.collect();
    if let [_, second] = shares.as_slice() {
        let logit = (second / (1.0 - second)).ln();
        return vec![if exponential { 0.5 * logit } else { logit }];
    }
    // The symmetric multinomial link of 1.4 divides by the geometric mean (`sklearn/_loss/link.py`).
    let logs = shares.iter().map(|share| share.ln());
    let mean = logs.clone().sum::<f64>() / count(shares.len());
    let mean = if version >= Version(1, 4) { mean } else { 0.0 };
    logs.map(|log| log - mean).collect()
}

#[expect(clippy::cast_precision_loss, reason = "classes are few")]
fn count(length: usize) -> f64 {
    length as f64
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
