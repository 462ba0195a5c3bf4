//! One tree (`src/io/tree.cpp`, `Tree::Tree(const char*)`).
//!
//! Splits and leaves are counted apart; a child below zero is the leaf of its complement.

use std::collections::BTreeMap;

use super::text::Block;
use super::{ADVICE, LIBRARY};
use crate::EngineError;
use crate::formats::boosters::unserved;
use crate::kernel::trees::{RawTree, Set, Special};
use crate::reader::malformed;

/// Bits of `decision_type` (`include/LightGBM/tree.h`).
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
/// Missing values in bits 2 and 3: none, zero, or NaN.
const NONE: u8 = 0;
const ZERO: u8 = 1;

/// The tree with its splits first and its leaves behind them.
pub(super) fn raw(block: &Block<'_>) -> Result<RawTree, EngineError> {
    if block.text("is_linear").is_some_and(|flag| flag != "0") {
        return Err(unserved(LIBRARY, "with linear trees", ADVICE));
    }
    let leaves = block.size("num_leaves")?;
    let values: Vec<f64> = block.numbers("leaf_value", leaves)?;
    let splits = leaves
        .checked_sub(1)
        .ok_or_else(|| malformed("a tree without leaves"))?;
    if splits == 0 {
        return Ok(assembled(Vec::new(), values));
    }
    let left: Vec<i64> = block.numbers("left_child", splits)?;
    let right: Vec<i64> = block.numbers("right_child", splits)?;
    let feature: Vec<i64> = block.numbers("split_feature", splits)?;
    let threshold: Vec<f64> = block.numbers("threshold", splits)?;
    let decision: Vec<u8> = block.numbers("decision_type", splits)?;
    let mut sets = Sets::of(block)?;
    let mut nodes = Vec::with_capacity(splits);
    for index in 0..splits {
        let child = |child: i64| {
            if child < 0 {
                // The leaves follow the splits: the complement of a leaf's index is below their number.
                (-(child + 1)).checked_add_unsigned(splits as u64)
            } else {
                Some(child)
            }
        };
        let (Some(left), Some(right)) = (child(left[index]), child(right[index])) else {
            return Err(malformed("a tree leads to a node that is not there"));
        };
        nodes.push(Split {
            left,
            right,
            feature: feature[index],
            threshold: threshold[index],
            decision: decision[index],
            set: if decision[index] & CATEGORICAL == 0 {
                None
            } else {
                Some(sets.at(threshold[index])?)
            },
        });
    }
    Ok(assembled(nodes, values))
}

struct Split {
    left: i64,
    right: i64,
    feature: i64,
    threshold: f64,
    decision: u8,
    set: Option<Set>,
}

impl Split {
    /// Where a missing value goes (`Tree::NumericalDecision`, `CategoricalDecision`).
    fn missing_left(&self) -> bool {
        if self.set.is_some() {
            return false;
        }
        match self.decision >> 2 & 3 {
            // What is missing counts as zero where the fit saw nothing missing.
            NONE => 0.0 <= self.threshold,
            _ => self.decision & DEFAULT_LEFT != 0,
        }
    }
}

fn assembled(splits: Vec<Split>, leaves: Vec<f64>) -> RawTree {
    let nodes = splits.len() + leaves.len();
    let mut raw = RawTree {
        left: vec![-1; nodes],
        right: vec![-1; nodes],
        feature: vec![-1; nodes],
        threshold: vec![0.0; nodes],
        missing_left: Some(vec![false; nodes]),
        values: vec![0.0; splits.len()],
        special: BTreeMap::new(),
    };
    raw.values.extend(leaves);
    let mut missing_left = vec![false; nodes];
    for (index, split) in splits.into_iter().enumerate() {
        raw.left[index] = split.left;
        raw.right[index] = split.right;
        raw.feature[index] = split.feature;
        raw.threshold[index] = split.threshold;
        missing_left[index] = split.missing_left();
        if let Some(set) = split.set {
            raw.special.insert(index, Special::In(set));
        } else if split.decision >> 2 & 3 == ZERO {
            raw.special.insert(index, Special::ZeroMissing);
        }
    }
    raw.missing_left = Some(missing_left);
    raw
}

/// The sets of a tree: words, and where each begins.
struct Sets {
    boundaries: Vec<usize>,
    words: Vec<u32>,
    /// Words that may still be used: no set is the set of two nodes.
    left: usize,
}

impl Sets {
    fn of(block: &Block<'_>) -> Result<Self, EngineError> {
        let count = block.text("num_cat").map_or(Ok(0), str::parse::<usize>);
        let count = count.map_err(|_| malformed("num_cat of a tree is no count"))?;
        if count == 0 {
            return Ok(Self {
                boundaries: Vec::new(),
                words: Vec::new(),
                left: 0,
            });
        }
        let boundaries: Vec<usize> = block.numbers("cat_boundaries", count.saturating_add(1))?;
        let last = boundaries.last().copied().unwrap_or(0);
        let words = block.numbers("cat_threshold", last)?;
        Ok(Self {
            boundaries,
            left: words.len(),
            words,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is no index has no set"
    )]
    fn at(&mut self, index: f64) -> Result<Set, EngineError> {
        let index = index as usize;
        let bounds = self
            .boundaries
            .get(index..)
            .and_then(<[usize]>::first_chunk);
        let words = bounds.and_then(|[start, end]| self.words.get(*start..*end));
        let words = words.ok_or_else(|| malformed("a node of a tree has no categories"))?;
        self.left = self
            .left
            .checked_sub(words.len())
            .ok_or_else(|| malformed("nodes of a tree share their categories"))?;
        Ok(Set {
            members: words.to_vec(),
            members_left: true,
            known: None,
            truncates: true,
        })
    }
}
