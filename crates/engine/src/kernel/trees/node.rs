//! Nodes of flat trees: in single precision for rows of `f32`, in double for rows of `f64`.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::set::Set;

/// A missing value goes left.
pub(super) const MISSING_LEFT: u16 = 1;
/// Zero counts as missing.
pub(super) const ZERO_MISSING: u16 = 2;
/// The node asks whether a category is in a set.
pub(super) const CATEGORICAL: u16 = 4;
/// The node asks whether the feature equals its threshold.
pub(super) const EQUAL: u16 = 8;
/// What makes a node special.
pub(super) const UNPLAIN: u16 = ZERO_MISSING | CATEGORICAL | EQUAL;

/// What LightGBM takes for zero (`LightGBM/include/LightGBM/meta.h`, `kZeroThreshold`).
const ZERO: f64 = 1e-35_f32 as f64;

/// No value of the rows is missing, and no node is special.
pub(super) const PLAIN: u8 = 0;
/// Some value is missing.
pub(super) const MISSING: u8 = 1;
/// Some node is special.
pub(super) const SPECIAL: u8 = 2;

/// An element of a row.
pub(crate) trait Number: Copy + PartialOrd + Into<f64> {}

impl Number for f32 {}
impl Number for f64 {}

/// What a node is built from.
pub(crate) struct Split {
    pub(super) threshold: f64,
    pub(super) left: u32,
    pub(super) feature: u16,
    pub(super) flags: u16,
    /// Index of the set of a categorical node.
    pub(super) set: u32,
}

/// A node of a tree whose leaves lead to themselves.
pub(crate) trait Node: Copy + Debug {
    /// Elements of the rows.
    type Number: Number;

    /// Whether values stand beside every node; beside leaves only otherwise.
    const EVERYWHERE: bool;

    /// A leaf at index `at` with the values that begin at `value`.
    fn leaf(at: u32, value: u32) -> Self;

    /// A node that is no leaf.
    fn split(split: &Split) -> Self;

    /// Its left child, its column, its flags.
    fn way(&self) -> (u32, u16, u16);

    /// A feature not above this goes left.
    fn threshold(&self) -> Self::Number;

    /// Index of the set of a categorical node.
    fn set(&self) -> usize;

    /// Where the values of this leaf, which stands at `at`, begin.
    fn value(&self, at: u32) -> usize;
}

/// A node over `f32`: 16 bytes, four to a cache line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Single {
    threshold: f32,
    /// Index of the left child; a leaf's own index.
    left: u32,
    feature: u16,
    flags: u16,
    /// Leaves: where their values begin. Categorical nodes: their set.
    value: u32,
}

/// A node over `f64`: 16 bytes too, for values stand at the index of the node.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Double {
    /// Categorical nodes: index of their set, which is exact.
    threshold: f64,
    /// Index of the left child; a leaf's own index.
    left: u32,
    feature: u16,
    flags: u16,
}

impl Node for Single {
    type Number = f32;
    const EVERYWHERE: bool = false;

    fn leaf(at: u32, value: u32) -> Self {
        Self {
            threshold: f32::INFINITY,
            left: at,
            feature: 0,
            flags: MISSING_LEFT,
            value,
        }
    }

    fn split(split: &Split) -> Self {
        Self {
            threshold: not_above(split.threshold),
            left: split.left,
            feature: split.feature,
            flags: split.flags,
            value: split.set,
        }
    }

    #[inline]
    fn way(&self) -> (u32, u16, u16) {
        (self.left, self.feature, self.flags)
    }

    #[inline]
    fn threshold(&self) -> f32 {
        self.threshold
    }

    fn set(&self) -> usize {
        self.value as usize
    }

    #[inline]
    fn value(&self, _: u32) -> usize {
        self.value as usize
    }
}

impl Node for Double {
    type Number = f64;
    const EVERYWHERE: bool = true;

    fn leaf(at: u32, _: u32) -> Self {
        Self {
            threshold: f64::INFINITY,
            left: at,
            feature: 0,
            flags: MISSING_LEFT,
        }
    }

    fn split(split: &Split) -> Self {
        let is_set = split.flags & CATEGORICAL != 0;
        Self {
            threshold: if is_set {
                f64::from(split.set)
            } else {
                split.threshold
            },
            left: split.left,
            feature: split.feature,
            flags: split.flags,
        }
    }

    #[inline]
    fn way(&self) -> (u32, u16, u16) {
        (self.left, self.feature, self.flags)
    }

    #[inline]
    fn threshold(&self) -> f64 {
        self.threshold
    }

    #[expect(clippy::cast_sign_loss, reason = "it was made of a u32")]
    fn set(&self) -> usize {
        self.threshold as usize
    }

    #[inline]
    fn value(&self, at: u32) -> usize {
        at as usize
    }
}

/// The child of `node` for the row that begins at `start`.
#[inline]
pub(super) fn step<N: Node, const MODE: u8>(
    node: &N,
    rows: &[N::Number],
    start: usize,
    sets: &[Set],
) -> u32 {
    let (left, feature, flags) = node.way();
    let x = rows[start + usize::from(feature)];
    if MODE == SPECIAL {
        return left + u32::from(!goes_left(node, x.into(), sets));
    }
    #[expect(clippy::eq_op, reason = "NaN alone differs from itself")]
    if MODE == MISSING && x != x {
        return left + u32::from(flags & MISSING_LEFT == 0);
    }
    left + u32::from(x > node.threshold())
}

/// The general case: categories, equality, and zeros that count as missing.
#[expect(clippy::float_cmp, reason = "equality is what such a node asks for")]
fn goes_left<N: Node>(node: &N, x: f64, sets: &[Set]) -> bool {
    let (_, _, flags) = node.way();
    let missing_left = flags & MISSING_LEFT != 0;
    if x.is_nan() || (flags & ZERO_MISSING != 0 && x.abs() <= ZERO) {
        return missing_left;
    }
    if flags & CATEGORICAL != 0 {
        return sets[node.set()].goes_left(x).unwrap_or(missing_left);
    }
    if flags & EQUAL != 0 {
        return x == node.threshold().into();
    }
    x <= node.threshold().into()
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

    #[test]
    fn a_node_of_either_precision_takes_sixteen_bytes() {
        assert_eq!((size_of::<Single>(), size_of::<Double>()), (16, 16));
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
}
