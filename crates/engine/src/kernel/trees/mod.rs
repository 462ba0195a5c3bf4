//! Decision trees in one flat array, walked without branches on data.
//!
//! The children of a node are neighbours (right = left + 1) and each tree is
//! laid out breadth first, so the levels every row passes share cache lines. A
//! leaf leads to itself: its threshold is +∞ and its left child is the leaf. A
//! step is then one comparison and one addition, several walks are in flight at
//! a time, and a group of walks is over when no step moves any of them.
//!
//! scikit-learn compares a float32 feature with a float64 threshold
//! (`sklearn/tree/_tree.pyx`, `_apply_dense`). For every float32 `x`, `x ≤ t`
//! holds exactly if `x ≤ t'`, where `t'` is the largest float32 not above `t`;
//! so nodes keep `t'` and lose nothing. Where a library compares with `<`, its
//! reader hands in the next number down.

mod check;
mod city;
mod columns;
mod node;
mod set;
mod walk;

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::rows::{Rows, Unusable, Why};
use crate::reader::{malformed, too_large};
pub(crate) use columns::{Columns, Source};
use node::{CATEGORICAL, EQUAL, MISSING_LEFT, Split, UNPLAIN, ZERO_MISSING};
pub(crate) use node::{Double, Node, Single};
pub(crate) use set::Set;

/// Nodes of one model; indexes are 32 bits wide.
const MAX_NODES: usize = 1 << 31;

/// One tree as libraries keep it: parallel arrays over its nodes, the root first.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawTree {
    /// Index of the left child, negative at leaves.
    pub(crate) left: Vec<i64>,
    /// Index of the right child, negative at leaves.
    pub(crate) right: Vec<i64>,
    /// Column of the row.
    pub(crate) feature: Vec<i64>,
    /// A feature not above this goes left.
    pub(crate) threshold: Vec<f64>,
    /// Whether a missing value goes left; `None` if the tree does not know missing values.
    pub(crate) missing_left: Option<Vec<bool>>,
    /// So many values of each node as the trees are wide.
    pub(crate) values: Vec<f64>,
    /// Nodes that do not simply compare.
    pub(crate) special: BTreeMap<usize, Special>,
}

/// What a node does that does not simply compare.
#[derive(Clone, Debug)]
pub(crate) enum Special {
    /// It compares, and takes zero for missing.
    ZeroMissing,
    /// It asks whether the feature equals the threshold.
    Equal,
    /// It looks for a category in a set.
    In(Set),
}

/// What leaves add to sums.
pub(crate) trait Value: Copy + Default + AddAssign {
    /// A value of a file in this precision.
    fn of(value: f64) -> Self;
}

impl Value for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Value for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

/// Trees over rows of one precision, whose leaves are added up in the order of the trees.
#[derive(Debug, Serialize, Deserialize)]
#[serde(
    try_from = "check::Unchecked<N, V>",
    bound(deserialize = "N: Node + Deserialize<'de>, V: Value + Deserialize<'de>")
)]
pub(crate) struct Trees<N, V> {
    nodes: Vec<N>,
    /// One for each tree, in the order they are added up.
    shapes: Vec<Tree>,
    values: Vec<V>,
    sets: Vec<Set>,
    /// Whether some node is special.
    special: bool,
    /// Values of each leaf.
    width: usize,
    /// Sums of each row.
    sums: usize,
    /// Columns of a row.
    features: usize,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Tree {
    root: u32,
    /// Steps from the root to the nearest leaf.
    nearest: u32,
    /// Steps from the root to the farthest leaf.
    farthest: u32,
    /// The first of the sums its leaves are added to.
    sum: u32,
}

impl<N: Node, V: Value> Trees<N, V> {
    /// No trees yet, over rows of `features` columns, at most 65,535, with
    /// `width` values in each leaf and as many sums.
    pub(crate) fn new(features: usize, width: usize) -> Self {
        Self::grouped(features, width, width)
    }

    /// No trees yet, with one value in each leaf, each tree for one of `sums` sums.
    pub(crate) fn for_sums(features: usize, sums: usize) -> Self {
        Self::grouped(features, 1, sums)
    }

    fn grouped(features: usize, width: usize, sums: usize) -> Self {
        Self {
            nodes: Vec::new(),
            shapes: Vec::new(),
            values: Vec::new(),
            sets: Vec::new(),
            special: false,
            width,
            sums,
            features,
        }
    }

    /// Adds a tree for the sums from `sum` on, after checking that it is one:
    /// every node but the root has one parent, every feature exists, every
    /// array has its length.
    pub(crate) fn push(&mut self, tree: &RawTree, sum: usize) -> Result<(), EngineError> {
        tree.check_lengths(self.width)?;
        if self.nodes.len() + tree.left.len() > MAX_NODES {
            return Err(too_large(format!("more than {MAX_NODES} tree nodes")));
        }
        if sum + self.width > self.sums {
            return Err(malformed("a tree adds to a sum that is not there"));
        }
        let root = self.nodes.len() as u32;
        let mut shape = Tree {
            root,
            nearest: u32::MAX,
            farthest: 0,
            sum: sum as u32,
        };
        // Breadth first: `order` is the queue and the layout at once.
        let mut order = vec![(0_usize, 0_u32)];
        let mut seen = vec![false; tree.left.len()];
        seen[0] = true;
        let mut next = 0;
        while let Some(&(raw, depth)) = order.get(next) {
            let node = if tree.left[raw] < 0 {
                shape.nearest = shape.nearest.min(depth);
                shape.farthest = shape.farthest.max(depth);
                self.leaf(tree, raw)
            } else {
                let left = root + order.len() as u32;
                for child in [tree.left[raw], tree.right[raw]] {
                    let child = tree.child(child)?;
                    if std::mem::replace(&mut seen[child], true) {
                        return Err(malformed("a tree has a node with two parents"));
                    }
                    order.push((child, depth + 1));
                }
                self.split(tree, raw, left)?
            };
            self.nodes.push(node);
            next += 1;
        }
        self.shapes.push(shape);
        Ok(())
    }

    /// Columns of a row.
    pub(crate) fn features(&self) -> usize {
        self.features
    }

    /// Sums of each row.
    pub(crate) fn sums(&self) -> usize {
        self.sums
    }

    /// Number of trees.
    pub(crate) fn count(&self) -> usize {
        self.shapes.len()
    }

    /// Bytes of memory kept.
    pub(crate) fn bytes(&self) -> usize {
        let sets = self.sets.iter().map(set_bytes).sum::<usize>();
        self.nodes.len() * size_of::<N>()
            + self.shapes.len() * size_of::<Tree>()
            + self.values.len() * size_of::<V>()
            + sets
    }

    /// A rough guess from the depth of the trees, about 3 ns a step.
    pub(crate) fn nanos_per_row(&self) -> usize {
        let steps = self.shapes.iter();
        let steps = steps.map(|tree| 1 + tree.nearest.midpoint(tree.farthest) as usize);
        3 * steps.sum::<usize>() + self.shapes.len() * self.width
    }

    fn leaf(&mut self, tree: &RawTree, raw: usize) -> N {
        let value = (self.values.len() / self.width) as u32;
        let values = &tree.values[raw * self.width..(raw + 1) * self.width];
        self.values.extend(values.iter().map(|value| V::of(*value)));
        N::leaf(self.nodes.len() as u32, value)
    }

    fn split(&mut self, tree: &RawTree, raw: usize, left: u32) -> Result<N, EngineError> {
        let feature = u16::try_from(tree.feature[raw]).ok();
        let feature = feature.filter(|feature| usize::from(*feature) < self.features);
        let feature =
            feature.ok_or_else(|| malformed("a tree asks for a feature that is not there"))?;
        let threshold = tree.threshold[raw];
        let missing_left = tree.missing_left.as_ref().is_some_and(|left| left[raw]);
        let mut flags = if missing_left { MISSING_LEFT } else { 0 };
        let mut set = 0;
        match tree.special.get(&raw) {
            None if threshold.is_nan() => return Err(malformed("a tree compares with NaN")),
            None => {}
            Some(Special::ZeroMissing) => flags |= ZERO_MISSING,
            Some(Special::Equal) => flags |= EQUAL,
            Some(Special::In(members)) => {
                flags |= CATEGORICAL;
                set = self.sets.len() as u32;
                self.sets.push(members.clone());
            }
        }
        self.special |= flags & UNPLAIN != 0;
        if N::EVERYWHERE {
            let values = std::iter::repeat_n(V::default(), self.width);
            self.values.extend(values);
        }
        Ok(N::split(&Split {
            threshold,
            left,
            feature,
            flags,
            set,
        }))
    }
}

fn set_bytes(set: &Set) -> usize {
    let known = set.known.as_ref().map_or(0, Vec::len);
    size_of::<Set>() + 4 * (set.members.len() + known)
}

impl RawTree {
    fn check_lengths(&self, width: usize) -> Result<(), EngineError> {
        let nodes = self.left.len();
        let lengths = [
            self.right.len(),
            self.feature.len(),
            self.threshold.len(),
            self.missing_left.as_ref().map_or(nodes, Vec::len),
        ];
        let complete = nodes > 0
            && lengths.iter().all(|length| *length == nodes)
            && nodes.checked_mul(width) == Some(self.values.len());
        if complete {
            return Ok(());
        }
        Err(malformed("the arrays of a tree differ in length"))
    }

    fn child(&self, index: i64) -> Result<usize, EngineError> {
        let child = usize::try_from(index).ok();
        let child = child.filter(|child| *child < self.left.len());
        child.ok_or_else(|| malformed("a tree leads to a node that is not there"))
    }
}

/// Rows narrowed to `f32`, and whether any value is missing. Refuses infinity,
/// and NaN unless `missing` values are welcome.
pub(crate) fn narrow(
    rows: Rows<'_, '_>,
    narrowed: &mut Vec<f32>,
    missing: bool,
) -> Result<bool, Unusable> {
    narrowed.clear();
    narrowed.extend(rows.numbers.iter().map(|x| *x as f32));
    // A sum of zeros, unless something is infinite or NaN: one pass without branches.
    let zeros: f32 = narrowed.iter().map(|x| x * 0.0).sum();
    if zeros == 0.0 {
        return Ok(false);
    }
    let unusable = |x: &f32| x.is_infinite() || (x.is_nan() && !missing);
    match narrowed.iter().position(unusable) {
        None => Ok(true),
        Some(index) if narrowed[index].is_nan() => Err(rows.unusable(index, Why::Missing)),
        Some(index) => Err(rows.unusable(index, Why::TooLarge)),
    }
}

#[cfg(test)]
mod tests;
