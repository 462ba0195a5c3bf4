//! An ensemble of trees as the file has it: parallel arrays, whose every index is checked.

use std::collections::HashMap;

use super::builder::{Left, Translation};
use crate::formats::onnx::graph::Node;
use crate::formats::onnx::wire::malformed;
use crate::kernel::trees::{RawTree, Single, Special, Trees};

/// Columns that a node of a tree can ask for.
pub(super) const MAX_FEATURES: usize = u16::MAX as usize;
/// Most values kept for each weight in the file, where leaves answer for several targets.
const MAX_FILLING: usize = 64;

/// An ensemble as the file has it.
pub(super) struct Ensemble {
    trees: Vec<Range>,
    nodes: Nodes,
    leaves: Leaves,
}

/// The nodes of one tree among all.
type Range = std::ops::Range<usize>;

/// Parallel arrays over the nodes of all trees.
struct Nodes {
    modes: Vec<Mode>,
    features: Vec<i64>,
    thresholds: Vec<f32>,
    tracks_true: Vec<bool>,
    /// Indexes within the tree; −1 at leaves.
    if_true: Vec<i64>,
    if_false: Vec<i64>,
}

/// How a node compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Leaf,
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Unequal,
}

/// The weights of leaves: target and weight of each, by node.
struct Leaves {
    weights: Vec<Vec<(usize, f32)>>,
    /// Targets there are.
    targets: usize,
    /// Weights in all.
    count: usize,
}

/// Names of the attributes that hold weights, for classifiers and for regressors.
pub(super) struct Names {
    trees: &'static str,
    nodes: &'static str,
    targets: &'static str,
    weights: &'static str,
}

pub(super) const CLASSES: Names = Names {
    trees: "class_treeids",
    nodes: "class_nodeids",
    targets: "class_ids",
    weights: "class_weights",
};
pub(super) const TARGETS: Names = Names {
    trees: "target_treeids",
    nodes: "target_nodeids",
    targets: "target_ids",
    weights: "target_weights",
};

impl Ensemble {
    /// Reads an ensemble for so many targets, of which every node and weight has its place.
    pub(super) fn read(node: &Node<'_>, names: &Names, targets: usize) -> Translation<Self> {
        let attributes = &node.attributes;
        if attributes.names().any(|name| name.ends_with("_as_tensor")) {
            return Err(Left::ToRuntime);
        }
        let (tree_ids, node_ids) = (
            attributes.ints("nodes_treeids")?,
            attributes.ints("nodes_nodeids")?,
        );
        let trees = trees_of(&tree_ids)?;
        let nodes = tree_ids.iter().copied().zip(node_ids.iter().copied());
        let ids: HashMap<(i64, i64), usize> = nodes.zip(0..).collect();
        if node_ids.len() != tree_ids.len() || ids.len() != tree_ids.len() {
            return Err(malformed("a tree has a node twice, or one without a number").into());
        }
        let nodes = Nodes::read(node, &tree_ids, &ids, &trees)?;
        let leaves = Leaves::read(node, names, &nodes, (&ids, targets))?;
        Ok(Self {
            trees,
            nodes,
            leaves,
        })
    }

    /// Target and weight of every leaf.
    pub(super) fn weights(&self) -> impl Iterator<Item = &(usize, f32)> {
        self.leaves.weights.iter().flatten()
    }

    /// Whether each target has a tree all of whose leaves answer for it.
    pub(super) fn answers_for_every_target(&self) -> bool {
        let mut answered = vec![false; self.leaves.targets];
        for tree in &self.trees {
            let (mut leaves, mut counts) = (0_usize, HashMap::<usize, usize>::new());
            for weights in self.leaves.weights[tree.clone()]
                .iter()
                .filter(|w| !w.is_empty())
            {
                leaves += 1;
                for (target, _) in weights {
                    *counts.entry(*target).or_default() += 1;
                }
            }
            for (target, count) in counts {
                answered[target] |= count == leaves;
            }
        }
        answered.into_iter().all(|answered| answered)
    }

    /// All trees, with as many sums as there are targets.
    pub(super) fn trees(&self, features: usize) -> Translation<Trees<Single, f32>> {
        self.grown(features, self.leaves.targets)
    }

    /// All trees. With a target to each tree leaves keep one value, otherwise one for each sum.
    pub(super) fn grown(&self, features: usize, sums: usize) -> Translation<Trees<Single, f32>> {
        if features > MAX_FEATURES || self.trees.is_empty() {
            return Err(Left::ToRuntime);
        }
        let targets: Option<Vec<usize>> =
            self.trees.iter().map(|tree| self.target_of(tree)).collect();
        let mut grown = match targets {
            Some(_) => Trees::for_sums(features, sums),
            None => Trees::new(features, sums),
        };
        let width = if targets.is_some() { 1 } else { sums };
        if self.leaves.weights.len().saturating_mul(width)
            > self.leaves.count.saturating_mul(MAX_FILLING)
        {
            return Err(Left::ToRuntime);
        }
        for (index, tree) in self.trees.iter().enumerate() {
            let sum = targets.as_ref().map_or(0, |targets| targets[index]);
            grown.push(&self.raw(tree, width)?, sum)?;
        }
        Ok(grown)
    }

    /// The one target of a tree, if it has one alone.
    fn target_of(&self, tree: &Range) -> Option<usize> {
        let leaves = self.leaves.weights[tree.clone()].iter();
        let mut target = None;
        for weights in leaves.filter(|weights| !weights.is_empty()) {
            let [(one, _)] = weights[..] else {
                return None;
            };
            if *target.get_or_insert(one) != one {
                return None;
            }
        }
        target
    }

    fn raw(&self, tree: &Range, width: usize) -> Translation<RawTree> {
        let mut raw = RawTree {
            missing_left: Some(Vec::new()),
            ..RawTree::default()
        };
        for (local, at) in tree.clone().enumerate() {
            self.nodes.push(at, local, &mut raw)?;
            let start = raw.values.len();
            raw.values.resize(start + width, 0.0);
            for (target, weight) in &self.leaves.weights[at] {
                let target = if width == 1 { 0 } else { *target };
                raw.values[start + target] = f64::from(*weight);
            }
        }
        Ok(raw)
    }
}

/// Neighbouring nodes of one number are a tree; its root comes first.
fn trees_of(tree_ids: &[i64]) -> Translation<Vec<Range>> {
    let mut trees = Vec::new();
    let mut start = 0;
    for same in tree_ids.chunk_by(|a, b| a == b) {
        trees.push(start..start + same.len());
        start += same.len();
    }
    let mut ids: Vec<i64> = trees.iter().map(|tree| tree_ids[tree.start]).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Left::ToRuntime);
    }
    Ok(trees)
}

impl Nodes {
    fn read(
        node: &Node<'_>,
        tree_ids: &[i64],
        ids: &HashMap<(i64, i64), usize>,
        trees: &[Range],
    ) -> Translation<Self> {
        let attributes = &node.attributes;
        let modes = attributes.texts("nodes_modes")?;
        let modes: Vec<Mode> = modes
            .into_iter()
            .map(Mode::of)
            .collect::<Translation<_>>()?;
        let mut tracks = attributes.ints("nodes_missing_value_tracks_true")?;
        if tracks.is_empty() {
            tracks = vec![0; modes.len()];
        }
        let nodes = Self {
            features: attributes.ints("nodes_featureids")?,
            thresholds: attributes.floats("nodes_values")?,
            tracks_true: tracks.into_iter().map(|track| track == 1).collect(),
            if_true: attributes.ints("nodes_truenodeids")?,
            if_false: attributes.ints("nodes_falsenodeids")?,
            modes,
        };
        let lengths = [
            nodes.modes.len(),
            nodes.features.len(),
            nodes.thresholds.len(),
            nodes.tracks_true.len(),
            nodes.if_true.len(),
            nodes.if_false.len(),
        ];
        if tree_ids.is_empty() || lengths.iter().any(|length| *length != tree_ids.len()) {
            return Err(malformed("the arrays of an ensemble of trees differ in length").into());
        }
        nodes.with_local_children(tree_ids, ids, trees)
    }

    /// The same with children by their index within the tree instead of their number.
    fn with_local_children(
        mut self,
        tree_ids: &[i64],
        ids: &HashMap<(i64, i64), usize>,
        trees: &[Range],
    ) -> Translation<Self> {
        let child = |at: usize, start: usize, number: i64| {
            let found = ids.get(&(tree_ids[at], number));
            let found = found.and_then(|index| i64::try_from(index - start).ok());
            found.ok_or_else(|| malformed("a tree leads to a node that is not there"))
        };
        for tree in trees {
            for at in tree.clone() {
                let is_leaf = self.modes[at] == Mode::Leaf;
                for children in [&mut self.if_true, &mut self.if_false] {
                    children[at] = if is_leaf {
                        -1
                    } else {
                        child(at, tree.start, children[at])?
                    };
                }
            }
        }
        Ok(self)
    }

    /// Appends a node: what is not above a threshold goes left, so modes that turn this round
    /// have their children exchanged. NaN goes where the condition fails, or where it tracks true.
    fn push(&self, at: usize, local: usize, raw: &mut RawTree) -> Translation<()> {
        let (mode, threshold) = (self.modes[at], self.thresholds[at]);
        let exchanged = matches!(mode, Mode::AtLeast | Mode::Above | Mode::Unequal);
        let tracks_true = self.tracks_true[at] || mode == Mode::Unequal;
        let threshold = match mode {
            Mode::Below | Mode::AtLeast if threshold == f32::NEG_INFINITY => {
                return Err(Left::ToRuntime);
            }
            Mode::Below | Mode::AtLeast => threshold.next_down(),
            _ => threshold,
        };
        if mode != Mode::Leaf && threshold.is_nan() {
            return Err(Left::ToRuntime);
        }
        if matches!(mode, Mode::Equal | Mode::Unequal) {
            raw.special.insert(local, Special::Equal);
        }
        let (left, right) = if exchanged {
            (self.if_false[at], self.if_true[at])
        } else {
            (self.if_true[at], self.if_false[at])
        };
        raw.left.push(left);
        raw.right.push(right);
        raw.feature.push(self.features[at]);
        raw.threshold.push(f64::from(threshold));
        if let Some(missing_left) = &mut raw.missing_left {
            missing_left.push(tracks_true != exchanged);
        }
        Ok(())
    }
}

impl Mode {
    fn of(name: &str) -> Translation<Self> {
        Ok(match name {
            "LEAF" => Self::Leaf,
            "BRANCH_LEQ" => Self::AtMost,
            "BRANCH_LT" => Self::Below,
            "BRANCH_GTE" => Self::AtLeast,
            "BRANCH_GT" => Self::Above,
            "BRANCH_EQ" => Self::Equal,
            "BRANCH_NEQ" => Self::Unequal,
            _ => return Err(Left::ToRuntime),
        })
    }
}

impl Leaves {
    fn read(
        node: &Node<'_>,
        names: &Names,
        nodes: &Nodes,
        (ids, targets): (&HashMap<(i64, i64), usize>, usize),
    ) -> Translation<Self> {
        let attributes = &node.attributes;
        let tree_ids = attributes.ints(names.trees)?;
        let node_ids = attributes.ints(names.nodes)?;
        let target_ids = attributes.ints(names.targets)?;
        let weights = attributes.floats(names.weights)?;
        let count = weights.len();
        if [tree_ids.len(), node_ids.len(), target_ids.len()] != [count; 3] {
            return Err(malformed("the weights of an ensemble of trees differ in length").into());
        }
        let mut leaves = Self {
            weights: vec![Vec::new(); nodes.modes.len()],
            targets,
            count,
        };
        for (index, weight) in weights.into_iter().enumerate() {
            let at = ids.get(&(tree_ids[index], node_ids[index]));
            let at = *at.ok_or_else(|| malformed("a weight is for a node that is not there"))?;
            let target = usize::try_from(target_ids[index]).ok();
            let target = target.filter(|target| *target < targets);
            let target =
                target.ok_or_else(|| malformed("a weight is for a target that is not there"))?;
            // The runtime ignores weights of nodes that are no leaves, as old converters wrote them.
            if nodes.modes[at] != Mode::Leaf {
                continue;
            }
            if leaves.weights[at].iter().any(|(known, _)| *known == target) || !weight.is_finite() {
                return Err(Left::ToRuntime);
            }
            leaves.weights[at].push((target, weight));
        }
        let without = |(mode, weights): (&Mode, &Vec<_>)| *mode == Mode::Leaf && weights.is_empty();
        if nodes.modes.iter().zip(&leaves.weights).any(without) {
            return Err(malformed("a leaf has no weight").into());
        }
        Ok(leaves)
    }
}
