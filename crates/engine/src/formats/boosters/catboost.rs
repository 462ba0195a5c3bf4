//! CatBoost's JSON export (`catboost/libs/model/model_export/json_model_helpers.cpp`).
//!
//! Its trees are symmetric: all nodes of a level ask the same, and the answers are the bits of the leaf's number.

use std::collections::BTreeMap;

use plimsoll_core::schema::{ClassLabel, DataType};

use super::{Booster, features, fields, numbered, unserved};
use crate::EngineError;
use crate::kernel::heads::boosting::{Boosting, Ensemble};
use crate::kernel::heads::link::{Label, Link};
use crate::kernel::trees::{RawTree, Trees};
use crate::open::Opened;
use crate::reader::document::Document;
use crate::reader::{malformed, printable};

const LIBRARY: &str = "a CatBoost";
const ADVICE: &str =
    "save it as ONNX and upload that file: model.save_model(\"model.onnx\", format=\"onnx\")";
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
    for kind in [
        "categorical_features",
        "text_features",
        "embedding_features",
    ] {
        let found = document.at(&["features_info"])?.get(kind);
        if found
            .and_then(Document::list)
            .is_some_and(|found| !found.is_empty())
        {
            let what = format!("with {}", kind.replace('_', " "));
            return Err(unserved(LIBRARY, &what, ADVICE));
        }
    }
    let Some(trees) = document.get("oblivious_trees") else {
        return Err(unserved(LIBRARY, "whose trees are not symmetric", ADVICE));
    };
    let columns = columns(document)?;
    let (scale, bias) = scale_and_bias(document)?;
    let trees = trees.list();
    let trees = trees.ok_or_else(|| malformed("its trees are no list"))?;
    let mut read = Trees::new(columns.names.len(), bias.len());
    for tree in trees {
        read.push(&raw(tree, &columns, scale, bias.len())?, 0)?;
    }
    let loss = document.at(&["model_info", "params", "loss_function", "type"]);
    let loss = loss.ok().and_then(Document::text).unwrap_or("");
    let head = Boosting::new(Ensemble::Mixed(read), bias, link(loss)?)?.accepting_missing();
    Ok(Booster {
        classes: classes(document, head.classes())?,
        fields: fields(columns.names, head.features())?,
        head,
        values: DataType::Float64,
        objective: printable(loss),
        library: library(document),
        notes: Vec::new(),
    })
}

/// The float features: their names by their places in a row, and for each its place and where NaN goes.
struct Columns {
    names: Vec<String>,
    floats: Vec<(i64, bool)>,
}

fn columns(document: &Document) -> Result<Columns, EngineError> {
    let list = document.at(&["features_info", "float_features"])?.list();
    let list = list.ok_or_else(|| malformed("its float_features are no list"))?;
    let wrong = || malformed("a float feature is not described");
    let place = |feature: &Document| feature.get("flat_feature_index").and_then(Document::size);
    let places: Option<Vec<usize>> = list.iter().map(place).collect();
    let places = places.ok_or_else(wrong)?;
    let last = places.iter().max().copied();
    let count = features(last.and_then(|last| last.checked_add(1)))?;
    let mut names: Vec<String> = (0..count).map(|index| format!("x{index}")).collect();
    let mut floats = Vec::with_capacity(list.len());
    for (feature, place) in list.iter().zip(places) {
        let name = feature.get("feature_id").and_then(Document::text);
        // Features that were never named are called by their place.
        if let Some(name) = name.filter(|name| !name.is_empty() && **name != place.to_string()) {
            name.clone_into(&mut names[place]);
        }
        let treatment = feature.get("nan_value_treatment").and_then(Document::text);
        let place = i64::try_from(place).map_err(|_| wrong())?;
        // `x > border` is false for NaN as it is.
        floats.push((place, treatment != Some("AsTrue")));
    }
    Ok(Columns { names, floats })
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
        let (feature, border, nan_left) = asked(split, columns)?;
        let first = (1_i64 << level) - 1;
        for (node, left) in
            (0..1_i64 << level).map(|place| (first + place, 2 * (first + place) + 1))
        {
            let node = usize::try_from(node).unwrap_or(0);
            (raw.left[node], raw.right[node]) = (left, left + 1);
            (raw.feature[node], raw.threshold[node]) = (feature, border);
            missing_left[node] = nan_left;
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

/// What the nodes of a level ask: column, border, and whether NaN goes left.
fn asked(split: &Document, columns: &Columns) -> Result<(i64, f64, bool), EngineError> {
    match split.get("split_type").and_then(Document::text) {
        Some("FloatFeature") => {}
        other => {
            let what = format!(
                "with splits of type {}",
                printable(other.unwrap_or("unknown"))
            );
            return Err(unserved(LIBRARY, &what, ADVICE));
        }
    }
    let feature = split.get("float_feature_index").and_then(Document::size);
    let feature = feature.and_then(|feature| columns.floats.get(feature));
    let border = split.get("border").and_then(Document::number);
    match (feature, border) {
        (Some((column, nan_left)), Some(border)) => Ok((*column, border, *nan_left)),
        _ => Err(malformed("a tree asks for a feature that is not there")),
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
