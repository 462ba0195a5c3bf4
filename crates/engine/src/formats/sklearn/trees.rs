//! Decision trees and forests of them.

use std::collections::BTreeMap;

use plimsoll_core::schema::ClassLabel;

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::version::Version;
use super::{meta, names};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::forest::Grove;
use crate::kernel::trees::{RawTree, Single, Trees};
use crate::reader::array::Array;
use crate::reader::element::Value;
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.ensemble._forest",
        "ExtraTreesClassifier",
        Reader::Head(forest),
    ),
    (
        "sklearn.ensemble._forest",
        "ExtraTreesRegressor",
        Reader::Head(forest),
    ),
    (
        "sklearn.ensemble._forest",
        "RandomForestClassifier",
        Reader::Head(forest),
    ),
    (
        "sklearn.ensemble._forest",
        "RandomForestRegressor",
        Reader::Head(forest),
    ),
    (
        "sklearn.tree._classes",
        "DecisionTreeClassifier",
        Reader::Head(tree),
    ),
    (
        "sklearn.tree._classes",
        "DecisionTreeRegressor",
        Reader::Head(tree),
    ),
    (
        "sklearn.tree._classes",
        "ExtraTreeClassifier",
        Reader::Head(tree),
    ),
    (
        "sklearn.tree._classes",
        "ExtraTreeRegressor",
        Reader::Head(tree),
    ),
    ("sklearn.tree._tree", "Tree", Reader::Part),
];

/// Least bytes of a node in a file: two children, a feature and a threshold of eight bytes each.
const MIN_NODE_BYTES: usize = 32;

/// A single tree.
fn tree(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let accepts_missing = tree_accepts_missing(estimator);
    if let Some(outputs) = outputs(estimator)? {
        let trees = std::iter::once(Ok(estimator));
        return several(estimator, trees, outputs, accepts_missing);
    }
    let answers = answers(estimator)?;
    let mut grower = Grower::new(estimator, answers.1)?;
    grower.add(estimator)?;
    Ok(planted(estimator, grower, answers.0, accepts_missing))
}

/// All trees of `estimators_`, in their order, for sums depend on it.
fn forest(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let list = estimator.fitted("estimators_")?;
    let members = estimator.arena().members(list);
    let members = members.ok_or_else(|| estimator.wrong("estimators_", list))?;
    let Some(first) = members.first() else {
        return Err(malformed("a forest without trees"));
    };
    let trees = || members.iter().map(|member| member_tree(estimator, *member));
    // Forests take missing values since 1.4 if their first tree does
    // (`sklearn/ensemble/_forest.py`, `_validate_X_predict`).
    let first = member_tree(estimator, *first)?;
    let accepts_missing = estimator.version >= Version(1, 4) && tree_accepts_missing(first);
    if let Some(outputs) = outputs(estimator)? {
        return several(estimator, trees(), outputs, accepts_missing);
    }
    let answers = answers(estimator)?;
    let mut grower = Grower::new(estimator, answers.1)?;
    for tree in trees() {
        grower.add(tree?)?;
    }
    Ok(planted(estimator, grower, answers.0, accepts_missing))
}

/// The classes of each output of a classifier of several.
fn outputs(estimator: Estimator<'_>) -> Result<Option<Vec<Vec<ClassLabel>>>, EngineError> {
    if !estimator.class.ends_with("Classifier") {
        return Ok(None);
    }
    names::classes_of_outputs(estimator)
}

/// Trees whose leaves hold shares of the classes of several outputs: the same trees again for each output.
fn several<'r>(
    estimator: Estimator<'r>,
    trees: impl Iterator<Item = Result<Estimator<'r>, EngineError>>,
    outputs: Vec<Vec<ClassLabel>>,
    accepts_missing: bool,
) -> Result<HeadPlan<'r>, EngineError> {
    let most = outputs.iter().map(Vec::len).max().unwrap_or(0);
    let growers = outputs.iter();
    let growers = growers.map(|classes| Grower::new(estimator, classes.len()));
    let mut growers: Vec<Grower> = growers.collect::<Result<_, _>>()?;
    for tree in trees {
        let tree = tree?;
        let (nodes, values) = tree_arrays(tree)?;
        if values.shape != [nodes.len(), outputs.len(), most] {
            return Err(malformed("the leaves of a tree are those of other outputs"));
        }
        let values = values.f64s()?;
        for (at, grower) in growers.iter_mut().enumerate() {
            let of_nodes = values.chunks_exact(most).skip(at).step_by(outputs.len());
            let of_nodes = of_nodes.flat_map(|shares| &shares[..grower.width]);
            let values = of_nodes.copied().collect();
            grower.push(raw_nodes(tree, &nodes, (values, grower.features))?)?;
        }
    }
    let missing = missing(accepts_missing);
    let needs = Need::numbers(estimator.features()?, missing);
    let heads = growers
        .into_iter()
        .map(|grower| grove(grower, true, accepts_missing));
    meta::labels_side_by_side(estimator, heads.zip(outputs).collect(), needs)
}

/// What trees answer, and the values in each of their leaves.
fn answers(estimator: Estimator<'_>) -> Result<(Answers, usize), EngineError> {
    if !estimator.class.ends_with("Classifier") {
        let outputs = estimator.size("n_outputs_")?;
        if outputs == 0 {
            return Err(malformed("a tree without outputs"));
        }
        return Ok((Answers::regression(outputs), outputs));
    }
    let classes = names::classes(estimator)?;
    let width = classes.len();
    Ok((Answers::Classes(classes), width))
}

fn planted(
    estimator: Estimator<'_>,
    grower: Grower,
    answers: Answers,
    accepts_missing: bool,
) -> HeadPlan<'_> {
    let classifies = matches!(answers, Answers::Classes(_));
    HeadPlan {
        from: estimator,
        needs: Need::numbers(grower.features, missing(accepts_missing)),
        head: grove(grower, classifies, accepts_missing),
        answers,
    }
}

fn grove(grower: Grower, classifies: bool, accepts_missing: bool) -> Head {
    Head::Grove(Grove {
        trees: grower.trees,
        classifies,
        accepts_missing,
    })
}

fn missing(accepts: bool) -> Missing {
    if accepts {
        Missing::Used
    } else {
        Missing::Refused
    }
}

fn member_tree(estimator: Estimator<'_>, id: NodeId) -> Result<Estimator<'_>, EngineError> {
    let member = estimator.child(id)?;
    if matches!(
        member.class,
        "DecisionTreeClassifier"
            | "DecisionTreeRegressor"
            | "ExtraTreeClassifier"
            | "ExtraTreeRegressor"
    ) {
        return Ok(member);
    }
    Err(malformed(format!("a forest with a {} in it", member.class)))
}

/// Whether the version that wrote a tree lets it predict rows with missing values
/// (`sklearn/tree/_classes.py`, `_support_missing_values`, of 1.2 to 1.9).
pub(super) fn tree_accepts_missing(tree: Estimator<'_>) -> bool {
    let splitter = tree.text("splitter").unwrap_or("best");
    let criterion = tree.text("criterion").unwrap_or("");
    let extra = tree.class.starts_with("Extra");
    let splitter_can = match (tree.version, extra) {
        (Version(1, ..=2), _) => false,
        (Version(1, 3..=5), _) => splitter == "best",
        (_, true) => splitter == "random",
        (_, false) => true,
    };
    let criteria = [
        "gini",
        "log_loss",
        "entropy",
        "squared_error",
        "friedman_mse",
        "poisson",
    ];
    let criterion_can = tree.version >= Version(1, 9) || criteria.contains(&criterion);
    let constraint_can = tree.version >= Version(1, 9) || tree.attribute("monotonic_cst").is_none();
    splitter_can && criterion_can && constraint_can
}

/// A forest in the making.
struct Grower {
    trees: Trees<Single, f64>,
    features: usize,
    width: usize,
    /// Whether leaf values are divided by their sum.
    normalise: bool,
    /// Nodes the file can still hold: a tree that is referred to many times must not multiply.
    nodes_left: usize,
}

impl Grower {
    fn new(estimator: Estimator<'_>, width: usize) -> Result<Self, EngineError> {
        let features = estimator.features()?;
        // `predict_proba` of trees divided by the sum of the leaf until 1.3
        // (`sklearn/tree/_classes.py`); since then leaves hold shares.
        let classifier = estimator.class.ends_with("Classifier");
        Ok(Self {
            trees: Trees::new(features, width),
            features,
            width,
            normalise: classifier && estimator.version < Version(1, 4),
            nodes_left: estimator.graph.bytes / MIN_NODE_BYTES,
        })
    }

    fn add(&mut self, tree: Estimator<'_>) -> Result<(), EngineError> {
        self.push(raw_tree(tree, self.features, self.width)?)
    }

    fn push(&mut self, mut raw: RawTree) -> Result<(), EngineError> {
        self.nodes_left = self
            .nodes_left
            .checked_sub(raw.left.len())
            .ok_or_else(|| malformed("its trees have more nodes than the file can hold"))?;
        if self.normalise {
            raw.values.chunks_exact_mut(self.width).for_each(to_shares);
        }
        self.trees.push(&raw, 0)
    }
}

/// A tree over `features` columns with `width` values in each leaf, as its file has it.
pub(super) fn raw_tree(
    tree: Estimator<'_>,
    features: usize,
    width: usize,
) -> Result<RawTree, EngineError> {
    let (nodes, values) = tree_arrays(tree)?;
    // (nodes, outputs, values of each): one output with as many values as classes, or one value each.
    let count = nodes.len();
    if values.shape != [count, 1, width] && values.shape != [count, width, 1] {
        let shape = &values.shape;
        return Err(malformed(format!(
            "the values of a tree are {shape:?} for {count} nodes"
        )));
    }
    raw_nodes(tree, &nodes, (values.f64s()?, features))
}

/// The same from arrays that were looked at.
fn raw_nodes(
    tree: Estimator<'_>,
    nodes: &Array<'_>,
    (values, features): (Vec<f64>, usize),
) -> Result<RawTree, EngineError> {
    if tree.features()? != features {
        return Err(malformed(
            "a tree was grown on other features than its forest",
        ));
    }
    Ok(RawTree {
        left: integers(nodes, "left_child")?,
        right: integers(nodes, "right_child")?,
        feature: integers(nodes, "feature")?,
        threshold: field(nodes, "threshold", Value::as_f64)?
            .ok_or_else(|| malformed("the nodes of a tree have no threshold"))?,
        missing_left: field(nodes, "missing_go_to_left", Value::as_i64)?
            .map(|flags| flags.into_iter().map(|flag| flag != 0).collect()),
        values,
        special: BTreeMap::new(),
    })
}

fn to_shares(values: &mut [f64]) {
    let sum: f64 = values.iter().sum();
    if sum != 0.0 {
        for value in values {
            *value /= sum;
        }
    }
}

/// `nodes` and `values` of the state of `tree_` (`sklearn/tree/_tree.pyx`, `Tree.__getstate__`).
pub(super) fn tree_arrays(tree: Estimator<'_>) -> Result<(Array<'_>, Array<'_>), EngineError> {
    let id = tree.fitted("tree_")?;
    let inner = tree.child(id)?;
    if inner.class != "Tree" {
        return Err(tree.wrong("tree_", id));
    }
    Ok((inner.array("nodes")?, inner.array("values")?))
}

pub(super) fn integers(nodes: &Array<'_>, name: &str) -> Result<Vec<i64>, EngineError> {
    let column = field(nodes, name, Value::as_i64)?;
    column.ok_or_else(|| malformed(format!("the nodes of a tree have no {name}")))
}

/// One field of all nodes; `None` if they lack it.
pub(super) fn field<T>(
    nodes: &Array<'_>,
    name: &str,
    convert: fn(&Value) -> Option<T>,
) -> Result<Option<Vec<T>>, EngineError> {
    let Some(values) = nodes.record_values(name)? else {
        return Ok(None);
    };
    let converted: Option<Vec<T>> = values.iter().map(convert).collect();
    let wrong = || malformed(format!("{name} of a tree is of the wrong type"));
    converted.ok_or_else(wrong).map(Some)
}
