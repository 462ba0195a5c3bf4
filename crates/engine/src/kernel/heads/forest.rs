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
//! so nodes keep `t'` and lose nothing.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::argmax;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable, Why};
use crate::reader::{malformed, too_large};

/// Walks in flight. Sixteen hide the latency of loads: against eight, 8 % less time for trees of
/// depth 10 and 25 % less for trees of depth 39; more lanes gain nothing.
const LANES: usize = 16;

/// Nodes of one forest; indexes are 32 bits wide.
const MAX_NODES: usize = 1 << 31;

/// One node: 16 bytes, four to a cache line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Node {
    /// A feature not above this goes left.
    threshold: f32,
    /// Index of the left child; a leaf's own index.
    left: u32,
    /// Column of the row.
    feature: u16,
    /// 1 if a missing value goes left, else 0.
    missing_left: u16,
    /// Leaves: where their values begin, in units of [`Forest::width`].
    value: u32,
}

/// One tree as scikit-learn keeps it: parallel arrays over its nodes, the root first.
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
    /// `width` values of each node.
    pub(crate) values: Vec<f64>,
}

/// Trees whose leaves are added up and divided by their number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Forest {
    nodes: Vec<Node>,
    trees: Vec<Tree>,
    values: Vec<f64>,
    /// Values of each leaf.
    width: usize,
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
}

/// A forest that classifies by the shares of its leaves, or answers their mean.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Grove {
    /// The trees; their width is the number of classes, or of values.
    pub(crate) forest: Forest,
    /// Whether leaves hold shares of classes.
    pub(crate) classifies: bool,
    /// Whether missing values go down the trees.
    pub(crate) accepts_missing: bool,
}

impl Grove {
    /// Refuses infinity, and NaN where the trees cannot use it; tells whether any value is missing.
    fn refuse_unusable(&self, rows: Rows<'_, '_>, narrowed: &[f32]) -> Result<bool, Unusable> {
        // A sum of zeros, unless something is infinite or NaN: one pass without branches.
        let zeros: f32 = narrowed.iter().map(|x| x * 0.0).sum();
        if zeros == 0.0 {
            return Ok(false);
        }
        let unusable = |x: &f32| x.is_infinite() || (x.is_nan() && !self.accepts_missing);
        match narrowed.iter().position(unusable) {
            None => Ok(true),
            Some(index) if narrowed[index].is_nan() => Err(rows.unusable(index, Why::Missing)),
            Some(index) => Err(rows.unusable(index, Why::TooLarge)),
        }
    }
}

impl Answering for Grove {
    fn takes(&self) -> Shape {
        Shape::numbers(self.forest.features)
    }

    fn gives(&self) -> Gives {
        if self.classifies {
            return Gives {
                classes: self.forest.width,
                probabilities: true,
                ..Gives::default()
            };
        }
        Gives {
            values: self.forest.width,
            ..Gives::default()
        }
    }

    /// Values are looked at once they are narrowed.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        // scikit-learn's trees see X as float32 (`sklearn/tree/_classes.py`, `_validate_X_predict`).
        let narrowed = &mut scratch.narrowed;
        narrowed.clear();
        narrowed.extend(rows.numbers.iter().map(|x| *x as f32));
        let missing = self.refuse_unusable(rows, narrowed)?;
        if self.classifies {
            self.forest.classify(narrowed, missing, answer);
        } else {
            self.forest.average(narrowed, missing, &mut answer.values);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.forest.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.forest.nanos_per_row()
    }
}

impl Forest {
    /// A forest without trees, over rows of `features` columns, at most 65,535,
    /// with `width` values in each leaf.
    pub(crate) fn new(features: usize, width: usize) -> Self {
        Self {
            nodes: Vec::new(),
            trees: Vec::new(),
            values: Vec::new(),
            width,
            features,
        }
    }

    /// Adds a tree, after checking that it is one: every node but the root has
    /// one parent, every feature exists, every array has its length.
    pub(crate) fn push(&mut self, tree: &RawTree) -> Result<(), EngineError> {
        tree.check_lengths(self.width)?;
        if self.nodes.len() + tree.left.len() > MAX_NODES {
            return Err(too_large(format!("more than {MAX_NODES} tree nodes")));
        }
        let root = self.nodes.len() as u32;
        let mut shape = Tree {
            root,
            nearest: u32::MAX,
            farthest: 0,
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
        self.trees.push(shape);
        Ok(())
    }

    /// Appends label and class shares of each of `rows`.
    fn classify(&self, rows: &[f32], missing: bool, answer: &mut Answer) {
        let start = answer.probabilities.len();
        self.average(rows, missing, &mut answer.probabilities);
        let shares = answer.probabilities[start..].chunks_exact(self.width);
        answer.labels.extend(shares.map(argmax));
    }

    /// Appends the mean over trees of each of `rows`, `width` values a row.
    fn average(&self, rows: &[f32], missing: bool, means: &mut Vec<f64>) {
        let count = rows.len() / self.features;
        let start = means.len();
        means.resize(start + count * self.width, 0.0);
        let sums = &mut means[start..];
        match (count >= LANES, missing) {
            (true, false) => self.sum_rows::<false>(rows, sums),
            (true, true) => self.sum_rows::<true>(rows, sums),
            (false, _) => {
                let each = rows.chunks_exact(self.features);
                for (row, sums) in each.zip(sums.chunks_exact_mut(self.width)) {
                    if missing {
                        self.sum_trees::<true>(row, sums);
                    } else {
                        self.sum_trees::<false>(row, sums);
                    }
                }
            }
        }
        let trees = self.trees.len() as f64;
        for sum in &mut means[start..] {
            *sum /= trees;
        }
    }

    /// Bytes of memory kept.
    fn bytes(&self) -> usize {
        self.nodes.len() * size_of::<Node>()
            + self.trees.len() * size_of::<Tree>()
            + self.values.len() * 8
    }

    /// A rough guess from the depth of the trees, about 3 ns a step.
    fn nanos_per_row(&self) -> usize {
        let steps = self.trees.iter();
        let steps = steps.map(|tree| 1 + tree.nearest.midpoint(tree.farthest) as usize);
        3 * steps.sum::<usize>() + self.trees.len() * self.width
    }

    fn leaf(&mut self, tree: &RawTree, raw: usize) -> Node {
        let value = (self.values.len() / self.width) as u32;
        let values = &tree.values[raw * self.width..(raw + 1) * self.width];
        self.values.extend_from_slice(values);
        Node {
            threshold: f32::INFINITY,
            left: self.nodes.len() as u32,
            feature: 0,
            missing_left: 1,
            value,
        }
    }

    fn split(&self, tree: &RawTree, raw: usize, left: u32) -> Result<Node, EngineError> {
        let feature = u16::try_from(tree.feature[raw]).ok();
        let feature = feature.filter(|feature| usize::from(*feature) < self.features);
        let threshold = tree.threshold[raw];
        if threshold.is_nan() {
            return Err(malformed("a tree compares with NaN"));
        }
        let missing_left = tree.missing_left.as_ref().is_some_and(|left| left[raw]);
        Ok(Node {
            threshold: not_above(threshold),
            left,
            feature: feature
                .ok_or_else(|| malformed("a tree asks for a feature that is not there"))?,
            missing_left: missing_left.into(),
            value: 0,
        })
    }

    /// One row through all trees, [`LANES`] trees at a time.
    fn sum_trees<const MISSING: bool>(&self, row: &[f32], sums: &mut [f64]) {
        for group in self.trees.chunks(LANES) {
            let mut at = [group[0].root; LANES];
            for (at, tree) in at.iter_mut().zip(group) {
                *at = tree.root;
            }
            let nearest = group.iter().map(|tree| tree.nearest).min().unwrap_or(0);
            let farthest = group.iter().map(|tree| tree.farthest).max().unwrap_or(0);
            self.walk(nearest, farthest, &mut at, |_, node| {
                step::<MISSING>(node, row, 0)
            });
            for at in at.iter().take(group.len()) {
                self.add_leaf(*at, sums);
            }
        }
    }

    /// Many rows through all trees: a tree stays in the cache while rows pass it in groups.
    fn sum_rows<const MISSING: bool>(&self, rows: &[f32], sums: &mut [f64]) {
        for tree in &self.trees {
            let groups = rows.chunks(LANES * self.features);
            for (group, sums) in groups.zip(sums.chunks_mut(LANES * self.width)) {
                let mut at = [tree.root; LANES];
                let last = group.len() - self.features;
                // Lanes without a row of their own walk the last row again.
                let starts: [usize; LANES] =
                    std::array::from_fn(|lane| (lane * self.features).min(last));
                self.walk(tree.nearest, tree.farthest, &mut at, |lane, node| {
                    step::<MISSING>(node, group, starts[lane])
                });
                for (at, sums) in at.iter().zip(sums.chunks_exact_mut(self.width)) {
                    self.add_leaf(*at, sums);
                }
            }
        }
    }

    /// Steps all lanes until they stand on leaves.
    #[inline]
    fn walk(
        &self,
        nearest: u32,
        farthest: u32,
        at: &mut [u32; LANES],
        step: impl Fn(usize, &Node) -> u32,
    ) {
        for _ in 0..nearest {
            for (lane, at) in at.iter_mut().enumerate() {
                *at = step(lane, &self.nodes[*at as usize]);
            }
        }
        for _ in nearest..farthest {
            let mut moved = 0;
            for (lane, at) in at.iter_mut().enumerate() {
                let next = step(lane, &self.nodes[*at as usize]);
                moved |= next ^ *at;
                *at = next;
            }
            if moved == 0 {
                return;
            }
        }
    }

    #[inline]
    fn add_leaf(&self, at: u32, sums: &mut [f64]) {
        let start = self.nodes[at as usize].value as usize * self.width;
        let values = &self.values[start..start + self.width];
        sums.iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += value);
    }
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

/// The child of `node` for the row that begins at `start`.
#[inline]
fn step<const MISSING: bool>(node: &Node, rows: &[f32], start: usize) -> u32 {
    let x = rows[start + usize::from(node.feature)];
    if MISSING && x.is_nan() {
        return node.left + u32::from(1 - node.missing_left);
    }
    node.left + u32::from(x > node.threshold)
}

/// The largest float32 that is not above `value`.
fn not_above(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest) > value {
        nearest.next_down()
    } else {
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feature 0 against 0.5, then feature 1 against −1 on the right; missing goes left, then right.
    fn stump() -> RawTree {
        RawTree {
            left: vec![1, -1, 3, -1, -1],
            right: vec![2, -1, 4, -1, -1],
            feature: vec![0, -2, 1, -2, -2],
            threshold: vec![0.5, -2.0, -1.0, -2.0, -2.0],
            missing_left: Some(vec![true, false, false, false, false]),
            values: vec![0.0, 10.0, 0.0, 20.0, 30.0],
        }
    }

    fn mean(forest: &Forest, rows: &[f32]) -> Vec<f64> {
        let mut means = Vec::new();
        let missing = rows.iter().any(|x| x.is_nan());
        forest.average(rows, missing, &mut means);
        means
    }

    #[test]
    fn rows_reach_the_leaf_their_features_lead_to() {
        let mut forest = Forest::new(2, 1);
        forest.push(&stump()).unwrap();
        let cases = [
            ([0.5, 9.0], 10.0),
            ([0.6, -1.0], 20.0),
            ([0.6, -0.9], 30.0),
            ([f32::NAN, 9.0], 10.0),
            ([0.6, f32::NAN], 30.0),
        ];
        for (row, expected) in cases {
            assert_eq!(mean(&forest, &row), [expected], "{row:?}");
        }
        let rows: Vec<f32> = cases
            .iter()
            .cycle()
            .take(19)
            .flat_map(|(row, _)| *row)
            .collect();
        let expected: Vec<f64> = cases
            .iter()
            .cycle()
            .take(19)
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(mean(&forest, &rows), expected);
    }

    #[test]
    fn a_forest_is_the_mean_of_its_trees() {
        let mut forest = Forest::new(2, 1);
        let (tree, mut other) = (stump(), stump());
        other.values = vec![0.0, 1.0, 0.0, 2.0, 3.0];
        for index in 0..11 {
            forest
                .push(if index == 0 { &other } else { &tree })
                .unwrap();
        }
        assert_eq!(mean(&forest, &[0.0, 0.0]), [101.0 / 11.0]);
    }

    #[test]
    fn a_threshold_between_two_floats_splits_where_float64_does() {
        for value in [
            0.1,
            -0.1,
            1e300,
            -1e300,
            1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e-320,
        ] {
            let narrow = not_above(value);
            assert!(f64::from(narrow) <= value, "{value}");
            assert!(
                narrow == f32::INFINITY || f64::from(narrow.next_up()) > value,
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let breaks: [fn(&mut RawTree); 8] = [
            |t| t.left[2] = 0,
            |t| t.right[0] = 1,
            |t| t.right[0] = 99,
            |t| t.right[0] = -1,
            |t| t.feature[0] = 2,
            |t| t.feature[2] = -2,
            |t| t.threshold[0] = f64::NAN,
            |t| t.values.truncate(4),
        ];
        for (index, damage) in breaks.iter().enumerate() {
            let mut tree = stump();
            damage(&mut tree);
            assert!(Forest::new(2, 1).push(&tree).is_err(), "case {index}");
        }
    }
}
