//! The trees of a model (`src/tree/tree_model.cc`, `RegTree::LoadModel`).

use std::collections::BTreeMap;

use super::{ADVICE, LIBRARY, Setting};
use crate::EngineError;
use crate::formats::boosters::unserved;
use crate::kernel::heads::boosting::Ensemble;
use crate::kernel::trees::{RawTree, Set, Special, Trees};
use crate::reader::document::Document;
use crate::reader::malformed;

/// Categories there may be (`src/common/categorical.h`, `OutOfRangeCat`).
const MAX_CATEGORY: f64 = 16_777_216.0;
/// Words of sets of one model: a category of three bytes takes half a megabyte of set.
const MAX_SET_WORDS: usize = 1 << 26;

/// All trees that count, weighed if they are of `dart`.
pub(super) fn read(
    setting: &Setting<'_>,
    model: &Document,
    weights: Option<&[f64]>,
) -> Result<Ensemble, EngineError> {
    let trees = model.at(&["trees"])?.list();
    let trees = trees.ok_or_else(|| malformed("its trees are no list"))?;
    let groups = model.at(&["tree_info"])?.numbers().unwrap_or(&[]);
    if groups.len() != trees.len() || weights.is_some_and(|weights| weights.len() < trees.len()) {
        return Err(malformed("its trees are not as many as it says"));
    }
    let mut read = Trees::for_sums(setting.features, setting.sums);
    let mut words_left = MAX_SET_WORDS;
    for (index, tree) in trees.iter().enumerate().take(used(setting, model)) {
        let mut raw = raw(tree, &mut words_left)?;
        if let Some(weights) = weights {
            #[expect(clippy::cast_possible_truncation, reason = "both are float32")]
            let weigh = |value: &mut f64| *value = f64::from(*value as f32 * weights[index] as f32);
            raw.values.iter_mut().for_each(weigh);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is out of range is refused by the trees"
        )]
        read.push(&raw, groups[index] as usize)?;
    }
    Ok(Ensemble::Single(read))
}

/// How many trees count: those of the iterations until early stopping stopped.
fn used(setting: &Setting<'_>, model: &Document) -> usize {
    let Some(iterations) = setting.iterations else {
        return usize::MAX;
    };
    // Since 2.0 the model says where its iterations begin.
    let starts = model.get("iteration_indptr").and_then(Document::numbers);
    if let Some(end) = starts.and_then(|starts| starts.get(iterations)) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "more than there are changes nothing"
        )]
        return *end as usize;
    }
    let parallel = model.at(&["gbtree_model_param", "num_parallel_tree"]).ok();
    let parallel = parallel.and_then(Document::size).unwrap_or(1).max(1);
    iterations
        .saturating_mul(parallel)
        .saturating_mul(setting.sums)
}

fn raw(tree: &Document, words_left: &mut usize) -> Result<RawTree, EngineError> {
    let outputs = tree.at(&["tree_param", "size_leaf_vector"]).ok();
    if outputs.and_then(Document::size).unwrap_or(0) > 1 {
        return Err(unserved(
            LIBRARY,
            "whose trees have several outputs",
            ADVICE,
        ));
    }
    let numbers = |name: &str| {
        let numbers = tree.at(&[name])?.numbers();
        numbers.ok_or_else(|| malformed(format!("{name} of a tree are no numbers")))
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is no index is refused by the trees"
    )]
    let integers = |name: &str| -> Result<Vec<i64>, EngineError> {
        Ok(numbers(name)?.iter().map(|number| *number as i64).collect())
    };
    let conditions = numbers("split_conditions")?;
    #[expect(clippy::cast_possible_truncation, reason = "they are float32")]
    let below = |condition: &f64| f64::from((*condition as f32).next_down());
    let default_left = numbers("default_left")?.iter().map(|flag| *flag != 0.0);
    Ok(RawTree {
        left: integers("left_children")?,
        right: integers("right_children")?,
        feature: integers("split_indices")?,
        // XGBoost goes left below the condition, not at it.
        threshold: conditions.iter().map(below).collect(),
        missing_left: Some(default_left.collect()),
        values: conditions.to_vec(),
        special: special(tree, words_left)?,
    })
}

/// The nodes that look for a category: members of their sets go right
/// (`src/common/categorical.h`, `Decision`).
fn special(
    tree: &Document,
    words_left: &mut usize,
) -> Result<BTreeMap<usize, Special>, EngineError> {
    let numbers = |name: &str| tree.get(name).and_then(Document::numbers).unwrap_or(&[]);
    let (nodes, categories) = (numbers("categories_nodes"), numbers("categories"));
    let (starts, sizes) = (numbers("categories_segments"), numbers("categories_sizes"));
    if nodes.len() != starts.len() || nodes.len() != sizes.len() {
        return Err(malformed("the categories of a tree differ in length"));
    }
    let is_categorical = numbers("split_type")
        .iter()
        .filter(|kind| index(**kind) == 1);
    if is_categorical.count() != nodes.len() {
        return Err(malformed("a node of a tree has no categories"));
    }
    let mut special = BTreeMap::new();
    for ((node, start), size) in nodes.iter().zip(starts).zip(sizes) {
        let [node, start, size] = [*node, *start, *size].map(index);
        let end = start.saturating_add(size);
        let members = categories.get(start..end);
        let members = members.ok_or_else(|| malformed("a node of a tree has no categories"))?;
        special.insert(node, Special::In(set(members, words_left)?));
    }
    Ok(special)
}

fn set(members: &[f64], words_left: &mut usize) -> Result<Set, EngineError> {
    let largest = members.iter().copied().fold(0.0, f64::max);
    if largest >= MAX_CATEGORY || members.iter().any(|member| *member < 0.0) {
        return Err(malformed("a tree has a category out of range"));
    }
    let words = index(largest) / 32 + 1;
    *words_left = words_left
        .checked_sub(words)
        .ok_or_else(|| malformed("its sets of categories are larger than any that are known"))?;
    let mut set = vec![0_u32; words];
    for member in members.iter().copied().map(index) {
        set[member / 32] |= 1 << (member % 32);
    }
    Ok(Set {
        members: set,
        members_left: false,
        known: None,
        truncates: false,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is out of range is refused where it is used"
)]
fn index(number: f64) -> usize {
    number as usize
}
