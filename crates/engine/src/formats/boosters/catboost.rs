//! CatBoost's JSON export (`catboost/libs/model/model_export/json_model_helpers.cpp`).
//!
//! Its trees are symmetric: all nodes of a level ask the same, and the answers are the bits of the leaf's number.

use std::collections::{BTreeMap, HashMap};

use plimsoll_core::schema::{ClassLabel, DataType, Field};

use super::{Booster, features, fields, numbered, unserved};
use crate::EngineError;
use crate::kernel::heads::boosting::{Boosting, Ensemble};
use crate::kernel::heads::link::{Label, Link};
use crate::kernel::rows::Shape;
use crate::kernel::trees::{self, Node, RawTree, Set, Source, Special, Trees};
use crate::open::Opened;
use crate::reader::document::Document;
use crate::reader::{malformed, printable};

const LIBRARY: &str = "a CatBoost";
const ADVICE: &str =
    "save it as ONNX and upload that file: model.save_model(\"model.onnx\", format=\"onnx\")";
/// Statistics are tables of training data, which the JSON export keeps only in part.
const ONE_HOT: &str = "fit it with one_hot_max_size above its largest number of categories, so that it needs no statistics of them, \
     and save it as JSON again";
/// Deepest tree CatBoost grows (`max_depth`).
const MAX_DEPTH: usize = 16;

/// Whether `bytes` begin like a model in JSON.
pub(crate) fn sniff(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let has = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    bytes.first() == Some(&b'{') && (has(b"\"features_info\"") || has(b"\"oblivious_trees\""))
}

/// Reads a model file.
///
/// Errors: [`EngineError::Unsupported`] names a part that is not served;
/// [`EngineError::Malformed`] says where the file breaks.
pub(crate) fn open(bytes: &[u8]) -> Result<Opened, EngineError> {
    read(&Document::json(bytes)?)?.open("catboost-json", "CatBoost")
}

fn read(document: &Document) -> Result<Booster, EngineError> {
    refuse_features(document)?;
    let Some(trees) = document.get("oblivious_trees") else {
        return Err(unserved(LIBRARY, "whose trees are not symmetric", ADVICE));
    };
    let mut columns = columns(document)?;
    let (scale, bias) = scale_and_bias(document)?;
    let trees = trees.list();
    let trees = trees.ok_or_else(|| malformed("its trees are no list"))?;
    // Columns that are made of texts are not narrowed with their rows, but one by one.
    let ensemble = if columns.categories.is_empty() {
        Ensemble::Mixed(grown(trees, &columns, scale, bias.len())?)
    } else {
        Ensemble::Double(grown(trees, &columns, scale, bias.len())?)
    };
    let loss = document.at(&["model_info", "params", "loss_function", "type"]);
    let loss = loss.ok().and_then(Document::text).unwrap_or("");
    let mut head = Boosting::new(ensemble, bias, link(loss)?)?.accepting_missing();
    let names = std::mem::take(&mut columns.names);
    let mut fields = fields(names, head.features())?;
    if !columns.categories.is_empty() {
        head.over(columns.sources(&mut fields)?)?;
    }
    Ok(Booster {
        classes: classes(document, head.classes())?,
        fields,
        head,
        values: DataType::Float64,
        objective: printable(loss),
        library: library(document),
        notes: Vec::new(),
    })
}

/// Refuses features that are more than numbers and categories of one column.
fn refuse_features(document: &Document) -> Result<(), EngineError> {
    let info = document.at(&["features_info"])?;
    let has = |kind| {
        let found = info.get(kind).and_then(Document::list);
        found.is_some_and(|found| !found.is_empty())
    };
    if has("ctrs") {
        let what = "with statistics of categories (CTR)";
        return Err(unserved(LIBRARY, what, ONE_HOT));
    }
    for kind in ["text_features", "embedding_features"] {
        if has(kind) {
            let what = format!("with {}", kind.replace('_', " "));
            return Err(unserved(LIBRARY, &what, "fit it on columns of numbers"));
        }
    }
    Ok(())
}

/// The columns of a row, by their places in it.
struct Columns {
    names: Vec<String>,
    /// Each float feature: its place, and whether NaN goes left.
    floats: Vec<(i64, bool)>,
    /// Each categorical feature: its place, and the codes of the categories it asks for by their hashes.
    categories: Vec<(i64, HashMap<u32, f64>)>,
}

fn columns(document: &Document) -> Result<Columns, EngineError> {
    let info = document.at(&["features_info"])?;
    let list = |kind| info.get(kind).and_then(Document::list).unwrap_or(&[]);
    let (floats, categories) = (list("float_features"), list("categorical_features"));
    let wrong = || malformed("a feature is not described");
    let place = |feature: &Document| feature.get("flat_feature_index").and_then(Document::size);
    let all = || floats.iter().chain(categories);
    let places: Option<Vec<usize>> = all().map(place).collect();
    let places = places.ok_or_else(wrong)?;
    let last = places.iter().max().copied();
    let count = features(last.and_then(|last| last.checked_add(1)))?;
    let mut names: Vec<String> = (0..count).map(|index| format!("x{index}")).collect();
    for (feature, place) in all().zip(&places) {
        let name = feature.get("feature_id").and_then(Document::text);
        // Features that were never named are called by their place.
        if let Some(name) = name.filter(|name| !name.is_empty() && **name != place.to_string()) {
            name.clone_into(&mut names[*place]);
        }
    }
    let nan_left = |feature: &Document| {
        let treatment = feature.get("nan_value_treatment").and_then(Document::text);
        // `x > border` is false for NaN as it is.
        treatment != Some("AsTrue")
    };
    let places: Result<Vec<i64>, _> = places.into_iter().map(i64::try_from).collect();
    let places = places.map_err(|_| wrong())?;
    let (of_floats, of_categories) = places.split_at(floats.len());
    let of_floats = of_floats.iter().copied();
    let of_categories = of_categories.iter().copied();
    Ok(Columns {
        names,
        floats: of_floats.zip(floats.iter().map(nan_left)).collect(),
        categories: of_categories.zip(categories.iter().map(codes)).collect(),
    })
}

/// The categories a feature asks for: a code for the hash of each.
fn codes(feature: &Document) -> HashMap<u32, f64> {
    let values = feature.get("values").and_then(Document::numbers);
    let hashes = values
        .unwrap_or(&[])
        .iter()
        .filter_map(|value| hash(*value));
    hashes.zip((0_u32..).map(f64::from)).collect()
}

/// The hash of a category, which is written as a signed number.
#[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
fn hash(value: f64) -> Option<u32> {
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    (range.contains(&value) && value.fract() == 0.0).then_some((value as i32).cast_unsigned())
}

impl Columns {
    /// Where the columns of the trees come from. The fields of categories become texts.
    fn sources(self, fields: &mut [Field]) -> Result<trees::Columns, EngineError> {
        let mut categories: HashMap<i64, _> = self.categories.into_iter().collect();
        let mut takes = Shape::default();
        let mut sources = Vec::with_capacity(fields.len());
        for (place, field) in (0..).zip(fields) {
            sources.push(if let Some(codes) = categories.remove(&place) {
                *field = Field::scalar(std::mem::take(&mut field.name), DataType::String);
                takes.texts += 1;
                Source::Hashed(takes.texts - 1, codes)
            } else {
                takes.numbers += 1;
                Source::Single(takes.numbers - 1)
            });
        }
        let columns = trees::Columns::new(sources, takes);
        columns.ok_or_else(|| malformed("its columns are not there"))
    }
}

/// All trees, in the order they are added up.
fn grown<N: Node>(
    trees: &[Document],
    columns: &Columns,
    scale: f64,
    width: usize,
) -> Result<Trees<N, f64>, EngineError> {
    let mut read = Trees::new(columns.names.len(), width);
    for tree in trees {
        read.push(&raw(tree, columns, scale, width)?, 0)?;
    }
    Ok(read)
}

/// The factor of all leaves, and what each sum begins with.
fn scale_and_bias(document: &Document) -> Result<(f64, Vec<f64>), EngineError> {
    let wrong = || malformed("its scale_and_bias are no numbers");
    match document.at(&["scale_and_bias"])? {
        Document::List(parts) => match parts.as_slice() {
            [Document::Number(scale), Document::Numbers(bias)] if !bias.is_empty() => {
                Ok((*scale, bias.clone()))
            }
            _ => Err(wrong()),
        },
        // Versions before 0.25 had one bias.
        Document::Numbers(parts) => match parts.as_slice() {
            [scale, bias] => Ok((*scale, vec![*bias])),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// A symmetric tree as a complete binary one, level by level.
fn raw(
    tree: &Document,
    columns: &Columns,
    scale: f64,
    width: usize,
) -> Result<RawTree, EngineError> {
    let splits = tree.get("splits").and_then(Document::list).unwrap_or(&[]);
    let values = tree.at(&["leaf_values"])?.numbers().unwrap_or(&[]);
    let depth = splits.len();
    if depth > MAX_DEPTH || values.len() != width << depth {
        return Err(malformed("a tree has other leaves than its splits lead to"));
    }
    let inner = (1_usize << depth) - 1;
    let nodes = inner + (1 << depth);
    let mut raw = RawTree {
        left: vec![-1; nodes],
        right: vec![-1; nodes],
        feature: vec![-1; nodes],
        threshold: vec![0.0; nodes],
        missing_left: None,
        values: vec![0.0; inner * width],
        special: BTreeMap::new(),
    };
    let mut missing_left = vec![false; nodes];
    for (level, split) in splits.iter().enumerate() {
        let asked = asked(split, columns)?;
        let first = (1_i64 << level) - 1;
        for (node, left) in
            (0..1_i64 << level).map(|place| (first + place, 2 * (first + place) + 1))
        {
            let node = usize::try_from(node).unwrap_or(0);
            (raw.left[node], raw.right[node]) = (left, left + 1);
            (raw.feature[node], raw.threshold[node]) = (asked.column, asked.border);
            missing_left[node] = asked.nan_left;
            if let Some(set) = &asked.set {
                raw.special.insert(node, Special::In(set.clone()));
            }
        }
    }
    raw.missing_left = Some(missing_left);
    for place in 0..1_usize << depth {
        // The first split is the lowest bit of a leaf's number, and the highest of its place.
        let leaf = (0..depth).fold(0, |leaf, bit| {
            leaf | (place >> (depth - 1 - bit) & 1) << bit
        });
        let values = values[leaf * width..(leaf + 1) * width].iter();
        raw.values.extend(values.map(|value| value * scale));
    }
    Ok(raw)
}

/// What the nodes of a level ask.
struct Asked {
    column: i64,
    /// Values above it go right.
    border: f64,
    nan_left: bool,
    /// Or the category that goes right.
    set: Option<Set>,
}

fn asked(split: &Document, columns: &Columns) -> Result<Asked, EngineError> {
    let index = |name| split.get(name).and_then(Document::size);
    let number = |name| split.get(name).and_then(Document::number);
    let asked = match split.get("split_type").and_then(Document::text) {
        Some("FloatFeature") => {
            let feature = index("float_feature_index").and_then(|at| columns.floats.get(at));
            let asked = feature.zip(number("border"));
            asked.map(|((column, nan_left), border)| Asked {
                column: *column,
                border,
                nan_left: *nan_left,
                set: None,
            })
        }
        Some("OneHotFeature") => {
            let feature = index("cat_feature_index").and_then(|at| columns.categories.get(at));
            feature
                .zip(number("value"))
                .and_then(|((column, codes), value)| {
                    let set = only(*codes.get(&hash(value)?)?);
                    Some(Asked {
                        column: *column,
                        border: 0.0,
                        nan_left: true,
                        set: Some(set),
                    })
                })
        }
        other => {
            let kind = printable(other.unwrap_or("unknown"));
            let what = format!("with splits of type {kind}");
            return Err(unserved(LIBRARY, &what, ONE_HOT));
        }
    };
    asked.ok_or_else(|| malformed("a tree asks for a feature that is not there"))
}

/// The set of one code, which goes right.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "codes were counted"
)]
fn only(code: f64) -> Set {
    let code = code as usize;
    let mut members = vec![0; code / 32 + 1];
    members[code / 32] = 1 << (code % 32);
    Set {
        members,
        members_left: false,
        known: None,
        truncates: false,
    }
}

/// What becomes of the sums, as `CatBoostClassifier` and `CatBoostRegressor` answer.
fn link(loss: &str) -> Result<Link, EngineError> {
    let label = Label::Sum;
    Ok(match loss {
        "Logloss" | "CrossEntropy" => Link::Logistic { scale: 1.0, label },
        "MultiClass" => Link::Softmax { label },
        "MultiClassOneVsAll" => Link::OneVsRest { scale: 1.0 },
        "Poisson" | "Tweedie" => Link::Exp,
        "RMSE" | "MAE" | "Quantile" | "MAPE" | "Huber" | "Expectile" | "Lq" | "LogLinQuantile"
        | "MultiRMSE" | "QueryRMSE" | "YetiRank" | "PairLogit" => Link::Identity,
        other => {
            let what = format!("with the loss {}", printable(other));
            return Err(unserved(LIBRARY, &what, ADVICE));
        }
    })
}

/// The classes in the type they were trained with; numbers if they were never named.
fn classes(document: &Document, count: usize) -> Result<Vec<ClassLabel>, EngineError> {
    let named = document
        .at(&["model_info", "class_params", "class_names"])
        .ok();
    let labels: Vec<ClassLabel> = match named {
        Some(Document::Numbers(numbers)) => numbers.iter().map(|number| label(*number)).collect(),
        Some(Document::List(names)) => {
            let names = names.iter().filter_map(Document::text);
            names
                .map(|name| ClassLabel::Text(name.to_owned()))
                .collect()
        }
        _ => Vec::new(),
    };
    match labels.len() {
        _ if count == 0 => Ok(Vec::new()),
        0 => Ok(numbered(count)),
        found if found == count => Ok(labels),
        found => Err(malformed(format!("{found} names for {count} classes"))),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
fn label(number: f64) -> ClassLabel {
    if number.fract() == 0.0 && number.abs() < 2_f64.powi(53) {
        ClassLabel::Int(number as i64)
    } else {
        ClassLabel::Float(number)
    }
}

fn library(document: &Document) -> String {
    let info = document.at(&["model_info", "catboost_version_info"]).ok();
    let info = info.and_then(Document::text).unwrap_or("");
    let version = info.split("tags/v").nth(1).unwrap_or("");
    let version: String = version
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    format!("catboost {version}").trim_end().to_owned()
}
