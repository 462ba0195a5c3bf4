//! Trees on their way from a flat file: what [`Trees::push`] promised is checked
//! again, for walking them cannot fail.

use serde::Deserialize;

use super::node::{CATEGORICAL, MISSING_LEFT, Node, UNPLAIN};
use super::{Set, Tree, Trees, Value};
use crate::EngineError;
use crate::reader::malformed;

/// Trees as they were read, with the fields of [`Trees`].
#[derive(Deserialize)]
pub(super) struct Unchecked<N, V> {
    nodes: Vec<N>,
    shapes: Vec<Tree>,
    values: Vec<V>,
    sets: Vec<Set>,
    special: bool,
    width: usize,
    sums: usize,
    features: usize,
}

impl<N: Node, V: Value> TryFrom<Unchecked<N, V>> for Trees<N, V> {
    type Error = EngineError;

    fn try_from(read: Unchecked<N, V>) -> Result<Self, EngineError> {
        if !read.is_sound() {
            return Err(malformed("the trees of a flat file are none"));
        }
        Ok(Self {
            nodes: read.nodes,
            shapes: read.shapes,
            values: read.values,
            sets: read.sets,
            special: read.special,
            width: read.width,
            sums: read.sums,
            features: read.features,
        })
    }
}

impl<N: Node, V: Value> Unchecked<N, V> {
    fn is_sound(&self) -> bool {
        if self.width == 0 || self.features == 0 {
            return false;
        }
        let Some(heights) = self.heights() else {
            return false;
        };
        self.shapes.iter().all(|tree| {
            let sums = (tree.sum as usize).checked_add(self.width);
            heights.get(tree.root as usize) == Some(&tree.farthest)
                && tree.nearest <= tree.farthest
                && sums.is_some_and(|end| end <= self.sums)
        })
    }

    /// Steps from each node to the farthest leaf below it; `None` if some node
    /// leads nowhere, or not downwards.
    fn heights(&self) -> Option<Vec<u32>> {
        let mut heights = vec![0; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let (left, feature, flags) = node.way();
            let left = left as usize;
            let special = flags & UNPLAIN != 0;
            let known = flags & CATEGORICAL == 0 || node.set() < self.sets.len();
            if usize::from(feature) >= self.features || (special && !self.special) || !known {
                return None;
            }
            if left == at {
                self.check_leaf(at, node)?;
                continue;
            }
            let below = heights.get(left..left.checked_add(2)?)?;
            heights[at] = (left > at).then(|| 1 + below[0].max(below[1]))?;
        }
        Some(heights)
    }

    /// A leaf leads to itself whatever the row, and has all its values.
    fn check_leaf(&self, at: usize, leaf: &N) -> Option<()> {
        let (_, _, flags) = leaf.way();
        let stays = leaf.threshold().into() > f64::MAX && flags == MISSING_LEFT;
        let end = leaf
            .value(at as u32)
            .checked_add(1)?
            .checked_mul(self.width)?;
        (stays && end <= self.values.len()).then_some(())
    }
}
