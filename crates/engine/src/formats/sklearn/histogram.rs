//! Histogram gradient boosting.

use std::collections::{BTreeMap, HashMap};

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::trees::{field, integers};
use super::version::Version;
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::boosting::{Boosting, Ensemble};
use crate::kernel::heads::link::{Label, Link};
use crate::kernel::rows::Shape;
use crate::kernel::trees::{Columns, RawTree, Set, Source, Special, Trees};
use crate::reader::array::Array;
use crate::reader::element::Value;
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting",
        "HistGradientBoostingClassifier",
        Reader::Head(classifier),
    ),
    (
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting",
        "HistGradientBoostingRegressor",
        Reader::Head(regressor),
    ),
    (
        "sklearn.ensemble._hist_gradient_boosting.binning",
        "_BinMapper",
        Reader::Part,
    ),
    (
        "sklearn.ensemble._hist_gradient_boosting.predictor",
        "TreePredictor",
        Reader::Part,
    ),
];

/// Words of a set of categories: 256 bits (`_hist_gradient_boosting/common.pxd`, `BITSET_DTYPE_C`).
const SET_WORDS: usize = 8;

/// `HistGradientBoostingClassifier`.
fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    // Until 1.4 the label was that of the largest probability (`predict`).
    let label = if estimator.version >= Version(1, 5) {
        Label::Sum
    } else {
        Label::Probability
    };
    let link = if classes.len() == 2 {
        Link::Logistic { scale: 1.0, label }
    } else {
        Link::Softmax { label }
    };
    let sums = if classes.len() == 2 { 1 } else { classes.len() };
    plan(estimator, sums, link, Answers::Classes(classes))
}

/// `HistGradientBoostingRegressor`.
fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let link = match estimator.text("loss") {
        Some("squared_error" | "absolute_error" | "quantile") => Link::Identity,
        Some("poisson" | "gamma") => Link::Exp,
        _ => return Err(estimator.unserved("with a loss of its own")),
    };
    plan(estimator, 1, link, Answers::regression(1))
}

fn plan(
    estimator: Estimator<'_>,
    sums: usize,
    link: Link,
    answers: Answers,
) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let base = estimator.numbers_of("_baseline_prediction", sums)?;
    let trees = grown(estimator, features, sums)?;
    let mut head = Boosting::new(Ensemble::Double(trees), base, link)?.accepting_missing();
    let needs = match estimator.attribute("_preprocessor") {
        None => Need::numbers(features, Missing::Used),
        Some(encoder) => {
            let (columns, needs) = encoded(estimator, encoder, features)?;
            head.over(columns)?;
            needs
        }
    };
    Ok(HeadPlan {
        from: estimator,
        needs,
        head: Head::Boosting(head),
        answers,
    })
}

/// All trees of `_predictors`, in their order: one for each sum an iteration.
fn grown(
    estimator: Estimator<'_>,
    features: usize,
    sums: usize,
) -> Result<Trees<crate::kernel::trees::Double, f64>, EngineError> {
    let mut trees = Trees::for_sums(features, sums);
    let mut known = Known::default();
    for iteration in estimator.list("_predictors")? {
        let members = estimator.arena().members(*iteration);
        let members = members.filter(|members| members.len() == sums);
        let members =
            members.ok_or_else(|| malformed(format!("an iteration has no {sums} trees")))?;
        for (sum, member) in members.iter().enumerate() {
            let tree = estimator.child(*member)?;
            trees.push(&raw(estimator, tree, &mut known)?, sum)?;
        }
    }
    Ok(trees)
}

/// The categories of each feature that the fit saw, once somebody asks.
#[derive(Default)]
struct Known(HashMap<usize, Vec<u32>>);

/// One `TreePredictor` (`_hist_gradient_boosting/predictor.py`).
fn raw(
    estimator: Estimator<'_>,
    tree: Estimator<'_>,
    known: &mut Known,
) -> Result<RawTree, EngineError> {
    let nodes = tree.array("nodes")?;
    let flags = |name: &str| -> Result<Vec<bool>, EngineError> {
        Ok(integers(&nodes, name)?
            .iter()
            .map(|flag| *flag != 0)
            .collect())
    };
    let numbers = |name: &str| {
        let values = field(&nodes, name, Value::as_f64)?;
        values.ok_or_else(|| malformed(format!("the nodes of a tree have no {name}")))
    };
    let leaves = flags("is_leaf")?;
    let children = |name: &str| -> Result<Vec<i64>, EngineError> {
        let children = integers(&nodes, name)?.into_iter().zip(&leaves);
        let children = children.map(|(child, leaf)| if *leaf { -1 } else { child });
        Ok(children.collect())
    };
    let mut raw = RawTree {
        left: children("left")?,
        right: children("right")?,
        feature: integers(&nodes, "feature_idx")?,
        threshold: numbers("num_threshold")?,
        missing_left: Some(flags("missing_go_to_left")?),
        values: numbers("value")?,
        special: BTreeMap::new(),
    };
    let categorical = flags("is_categorical")?;
    if categorical.iter().any(|flag| *flag) {
        let sets = Sets {
            members: words(&tree.array("raw_left_cat_bitsets")?)?,
            index: integers(&nodes, "bitset_idx")?,
        };
        let splits = (0..categorical.len()).filter(|node| categorical[*node] && !leaves[*node]);
        for node in splits {
            let set = Set {
                members: sets.of(node)?,
                members_left: true,
                known: Some(known.of(estimator, raw.feature[node])?),
                truncates: false,
            };
            raw.special.insert(node, Special::In(set));
        }
    }
    Ok(raw)
}

struct Sets {
    members: Vec<u32>,
    index: Vec<i64>,
}

impl Sets {
    fn of(&self, node: usize) -> Result<Vec<u32>, EngineError> {
        let index = usize::try_from(self.index[node]).ok();
        let start = index.and_then(|index| index.checked_mul(SET_WORDS));
        let words = start.and_then(|start| self.members.get(start..start + SET_WORDS));
        let words = words.ok_or_else(|| malformed("a tree asks for a set that is not there"))?;
        Ok(words.to_vec())
    }
}

impl Known {
    /// The categories among the bins of a feature
    /// (`_hist_gradient_boosting/binning.py`, `make_known_categories_bitsets`).
    fn of(&mut self, estimator: Estimator<'_>, feature: i64) -> Result<Vec<u32>, EngineError> {
        let wrong = || malformed("a tree asks for a feature that is not there");
        let feature = usize::try_from(feature).map_err(|_| wrong())?;
        if let Some(known) = self.0.get(&feature) {
            return Ok(known.clone());
        }
        let mapper = estimator.child(estimator.fitted("_bin_mapper")?)?;
        let bins = mapper.list("bin_thresholds_")?.get(feature);
        let bins = mapper.array_at("bin_thresholds_", *bins.ok_or_else(wrong)?)?;
        let mut known = vec![0_u32; SET_WORDS];
        for category in bins.f64s()? {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "what is no category falls outside the set"
            )]
            let category = category as usize;
            if let Some(word) = known.get_mut(category / 32) {
                *word |= 1 << (category % 32);
            }
        }
        self.0.insert(feature, known.clone());
        Ok(known)
    }
}

/// The words of an array of 32-bit integers.
fn words(array: &Array<'_>) -> Result<Vec<u32>, EngineError> {
    let words = array.values()?.into_iter().map(|value| {
        let word = value.as_i64().and_then(|word| u32::try_from(word).ok());
        word.ok_or_else(|| malformed("a set of categories is no array of words"))
    });
    words.collect()
}

/// Since 1.4 categorical columns are encoded and come first
/// (`_hist_gradient_boosting/gradient_boosting.py`, `_preprocess_X`).
fn encoded(
    estimator: Estimator<'_>,
    encoder: NodeId,
    features: usize,
) -> Result<(Columns, Vec<Need>), EngineError> {
    let categorical = estimator.array("is_categorical_")?.values()?;
    let categorical: Vec<bool> = categorical
        .iter()
        .map(|v| *v == Value::Bool(true))
        .collect();
    let lists = categories(estimator, encoder)?;
    let columns = categorical.iter().filter(|flag| **flag).count();
    if categorical.len() != features || lists.len() != columns {
        return Err(malformed("its categories are not those of its columns"));
    }
    let mut lists = lists.iter();
    let mut takes = Shape::default();
    let (mut sources, mut numbers) = (Vec::new(), Vec::new());
    let mut needs = Vec::new();
    for is_categorical in categorical {
        let known = if is_categorical { lists.next() } else { None };
        let (source, need) = match known {
            None => (
                Source::Number(takes.numbers),
                Need::numbers(1, Missing::Used),
            ),
            Some(known) => source(estimator, *known, takes)?,
        };
        match &source {
            Source::Text(..) => takes.texts += 1,
            _ => takes.numbers += 1,
        }
        if is_categorical {
            sources.push(source);
        } else {
            numbers.push(source);
        }
        needs.extend(need);
    }
    sources.append(&mut numbers);
    let columns = Columns::new(sources, takes);
    let columns = columns.ok_or_else(|| malformed("its columns are not there"))?;
    Ok((columns, needs))
}

/// `categories_` of the ordinal encoder, which is the first transformer.
fn categories(estimator: Estimator<'_>, encoder: NodeId) -> Result<Vec<NodeId>, EngineError> {
    let arena = estimator.arena();
    let first = || {
        let transformers = arena.members(arena.attribute(encoder, "transformers_")?)?;
        let encoder = *arena.members(*transformers.first()?)?.get(1)?;
        arena.members(arena.attribute(encoder, "categories_")?)
    };
    let lists = first().ok_or_else(|| malformed("its categories are not there"))?;
    Ok(lists.to_vec())
}

/// The source of a categorical column, and what it needs.
fn source(
    estimator: Estimator<'_>,
    known: NodeId,
    takes: Shape,
) -> Result<(Source, Vec<Need>), EngineError> {
    let known = estimator.array_at("categories_", known)?;
    let values = names::values(estimator, &known)?;
    if values.iter().any(|value| matches!(value, Value::Text(_))) {
        let mut codes = HashMap::new();
        for (code, value) in (0_u32..).zip(values) {
            if let Value::Text(text) = value {
                codes.insert(text, f64::from(code));
            }
        }
        let need = Need {
            text: true,
            missing: Missing::Used,
            categories: None,
        };
        return Ok((Source::Text(takes.texts, codes), vec![need]));
    }
    let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
    let mut numbers = numbers.ok_or_else(|| malformed("a category is no value"))?;
    // A missing value may stand last; it is missing in the trees too.
    numbers.retain(|number| !number.is_nan());
    if !numbers.is_sorted() {
        return Err(malformed("the categories of a column are not sorted"));
    }
    let need = Need::numbers(1, Missing::Used);
    let known = numbers.into_iter().zip((0_u32..).map(f64::from));
    Ok((Source::Category(takes.numbers, known.collect()), need))
}
