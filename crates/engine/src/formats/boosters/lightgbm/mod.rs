//! LightGBM's text models (`src/boosting/gbdt_model_text.cpp`), alone or within a pickle.

mod categories;
mod text;
mod trees;

use std::collections::HashMap;

use plimsoll_core::schema::DataType;

use super::{Booster, features, fields, numbered, unserved};
use crate::EngineError;
use crate::kernel::heads::boosting::{Boosting, Ensemble};
use crate::kernel::heads::link::{Label, Link};
use crate::kernel::trees::Trees;
use crate::open::Opened;
use crate::reader::{malformed, printable};

const LIBRARY: &str = "a LightGBM";
const ADVICE: &str = "export it to ONNX with onnxmltools.convert_lightgbm and upload that file";

/// Most sums of a row.
const MAX_SUMS: usize = 10_000;

/// Whether `bytes` begin like a text model.
pub(crate) fn sniff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"tree\nversion=") || bytes.starts_with(b"tree\r\nversion=")
}

/// Reads a model file.
///
/// Errors: [`EngineError::Unsupported`] names a part that is not served;
/// [`EngineError::Malformed`] says where the file breaks.
pub(crate) fn open(bytes: &[u8]) -> Result<Opened, EngineError> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("its text is no UTF-8"))?;
    read(text, None)?.open("lightgbm-text", "Booster")
}

/// Reads a model of which `iterations` count, if not all.
pub(crate) fn read(text: &str, iterations: Option<usize>) -> Result<Booster, EngineError> {
    let (header, blocks) = text::blocks(text)?;
    let version = header.text("version").unwrap_or("");
    if header.text("max_feature_idx").is_none() || version.is_empty() {
        return Err(malformed("its header is not whole"));
    }
    let last = header.size("max_feature_idx")?;
    let count = features(last.checked_add(1))?;
    let sums = header.size("num_tree_per_iteration")?;
    if sums == 0 || sums > MAX_SUMS {
        return Err(malformed(format!("an iteration of {sums} trees")));
    }
    let used = iterations.map_or(usize::MAX, |iterations| iterations.saturating_mul(sums));
    let mut trees = Trees::for_sums(count, sums);
    for (index, block) in blocks.iter().enumerate().take(used) {
        trees.push(&trees::raw(block)?, index % sums)?;
    }
    // Random forests divide by the iterations (`GBDT::PredictRaw`).
    let divisor = header.has("average_output").then(|| trees.count() / sums);
    let objective = header.text("objective").unwrap_or("");
    let mut head = Boosting::new(Ensemble::Double(trees), vec![0.0; sums], link(objective)?)?
        .accepting_missing();
    if let Some(divisor) = divisor.filter(|divisor| *divisor > 0) {
        #[expect(clippy::cast_precision_loss, reason = "iterations are few")]
        let divisor = divisor as f64;
        head = head.divided_by(divisor);
    }
    let names = header.text("feature_names").unwrap_or("");
    let names = names.split(' ').filter(|name| !name.is_empty());
    let mut booster = Booster {
        classes: numbered(head.classes()),
        fields: fields(names.map(str::to_owned).collect(), count)?,
        head,
        values: DataType::Float64,
        objective: match objective.split(' ').next() {
            Some("") | None => "custom".to_owned(),
            Some(name) => printable(name),
        },
        library: format!("lightgbm {}", printable(version)),
        notes: Vec::new(),
    };
    categories::name(&header, text, &mut booster)?;
    Ok(booster)
}

/// What becomes of the sums (`src/objective`, `ConvertOutput`). Without an objective they stay.
fn link(objective: &str) -> Result<Link, EngineError> {
    let mut words = objective.split(' ');
    let name = words.next().unwrap_or("");
    let options: HashMap<&str, &str> = words
        .map(|word| word.split_once(':').unwrap_or((word, "")))
        .collect();
    let scale = options
        .get("sigmoid")
        .map_or(Ok(1.0), |scale| scale.parse::<f64>());
    let scale = scale.ok().filter(|scale| scale.is_finite());
    let scale = scale.ok_or_else(|| malformed("its sigmoid is no number"))?;
    let label = Label::Probability;
    Ok(match name {
        "binary" => Link::Logistic { scale, label },
        "multiclass" | "softmax" => Link::Softmax { label },
        "multiclassova" => Link::OneVsRest { scale },
        "regression" if options.contains_key("sqrt") => Link::Square,
        "cross_entropy" => Link::Sigmoid,
        "cross_entropy_lambda" => Link::SoftPlus,
        "poisson" | "gamma" | "tweedie" => Link::Exp,
        "" | "custom" | "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape"
        | "lambdarank" | "rank_xendcg" => Link::Identity,
        other => {
            let what = format!("with the objective {}", printable(other));
            return Err(unserved(LIBRARY, &what, ADVICE));
        }
    })
}
