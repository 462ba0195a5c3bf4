//! Two versions of a model beside each other: figures, size, schemas.

use std::collections::BTreeMap;

use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_store::{PromotionRow, VersionRow};
use serde_json::Value;

use crate::auth::Caller;
use crate::{App, Error};

/// Which way a figure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
}

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It went the way it should.
    Improved,
    /// It went the other way.
    Worse,
    /// It did not move.
    Equal,
    /// One version lacks it, or its name does not say which way is better.
    Unknown,
}

/// One figure of two versions.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricChange {
    /// Its name; members of members are joined by dots.
    pub name: String,
    /// In the first version.
    pub from: Option<f64>,
    /// In the second version.
    pub to: Option<f64>,
    /// By its name.
    pub better: Option<Better>,
}

/// How the fields of two schemas differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaChange {
    /// Names only the second has.
    pub added: Vec<String>,
    /// Names only the first has.
    pub removed: Vec<String>,
    /// Names both have, of another type or otherwise described.
    pub changed: Vec<String>,
}

/// Two versions beside each other.
#[derive(Debug)]
pub struct VersionComparison {
    /// The first one.
    pub from: VersionRow,
    /// The second one.
    pub to: VersionRow,
    /// Every figure that one of them has, by name.
    pub metrics: Vec<MetricChange>,
    /// What goes in.
    pub inputs: SchemaChange,
    /// What comes out.
    pub outputs: SchemaChange,
}

impl App {
    /// Compares two versions of a model.
    pub async fn compare_versions(
        &self,
        caller: &Caller,
        model: &ModelRef,
        from: &VersionRef,
        to: &VersionRef,
    ) -> Result<VersionComparison, Error> {
        let from = self.version(caller, model, from).await?;
        let to = self.version(caller, model, to).await?;
        Ok(VersionComparison {
            metrics: metrics(&from.metrics, &to.metrics),
            inputs: schemas(&from.input_schema, &to.input_schema),
            outputs: schemas(&from.output_schema, &to.output_schema),
            from,
            to,
        })
    }

    /// Who made which versions the production one, newest first.
    pub async fn promotions(
        &self,
        caller: &Caller,
        model: &ModelRef,
        page: PageRequest,
    ) -> Result<Page<PromotionRow>, Error> {
        caller.require(Scope::Read)?;
        let id = self.live().model(caller, model)?.id;
        Ok(self.db().promotions_page(id, page).await?)
    }
}

impl MetricChange {
    /// The second minus the first.
    pub fn difference(&self) -> Option<f64> {
        Some(self.to? - self.from?)
    }

    /// What became of it.
    pub fn verdict(&self) -> Verdict {
        let (Some(difference), Some(better)) = (self.difference(), self.better) else {
            return Verdict::Unknown;
        };
        match (difference.total_cmp(&0.0), better) {
            _ if difference == 0.0 => Verdict::Equal,
            (std::cmp::Ordering::Greater, Better::Higher)
            | (std::cmp::Ordering::Less, Better::Lower) => Verdict::Improved,
            _ => Verdict::Worse,
        }
    }
}

fn metrics(from: &Value, to: &Value) -> Vec<MetricChange> {
    let mut named: BTreeMap<String, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for (name, number) in numbers(from) {
        named.entry(name).or_default().0 = Some(number);
    }
    for (name, number) in numbers(to) {
        named.entry(name).or_default().1 = Some(number);
    }
    let changes = named.into_iter().map(|(name, (from, to))| MetricChange {
        better: better(&name),
        name,
        from,
        to,
    });
    changes.collect()
}

/// The numbers of an object by name, those of its members included.
fn numbers(metrics: &Value) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for (name, value) in metrics.as_object().into_iter().flatten() {
        match value {
            Value::Number(number) => found.extend(number.as_f64().map(|n| (name.clone(), n))),
            Value::Object(_) => {
                let inner = numbers(value).into_iter();
                found.extend(inner.map(|(inner, number)| (format!("{name}.{inner}"), number)));
            }
            _ => {}
        }
    }
    found
}

/// Words of names of figures that should be small; they count before the others.
const LOWER: &[&str] = &[
    "error",
    "errors",
    "loss",
    "logloss",
    "rmse",
    "rmsle",
    "mse",
    "mae",
    "mape",
    "smape",
    "wape",
    "mase",
    "brier",
    "deviance",
    "perplexity",
    "latency",
    "ms",
    "seconds",
    "duration",
    "fpr",
    "fnr",
    "wer",
    "cer",
    "hamming",
    "ece",
    "bias",
];
/// Words of names of figures that should be large.
const HIGHER: &[&str] = &[
    "accuracy",
    "acc",
    "precision",
    "recall",
    "f1",
    "f2",
    "fbeta",
    "auc",
    "roc",
    "auroc",
    "auprc",
    "r2",
    "score",
    "kappa",
    "mcc",
    "ndcg",
    "map",
    "mrr",
    "bleu",
    "rouge",
    "specificity",
    "sensitivity",
    "tpr",
    "tnr",
    "silhouette",
    "iou",
    "dice",
    "gini",
    "likelihood",
    "correlation",
];

/// Which way a figure of this name should go, as far as its words say.
fn better(name: &str) -> Option<Better> {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let found = match (has(LOWER), has(HIGHER)) {
        (true, _) => Better::Lower,
        (_, true) => Better::Higher,
        _ => return None,
    };
    // scikit-learn's `neg_mean_squared_error` is a score: its sign was turned.
    Some(match found {
        Better::Lower if words.contains(&"neg") => Better::Higher,
        found => found,
    })
}

fn schemas(from: &Value, to: &Value) -> SchemaChange {
    let (before, after) = (fields(from), fields(to));
    let only = |one: &BTreeMap<&str, &Value>, other: &BTreeMap<&str, &Value>| {
        let names = one.keys().filter(|name| !other.contains_key(*name));
        names.map(|name| (*name).to_owned()).collect()
    };
    let differs = |(name, field): (&&str, &&Value)| {
        let now = after.get(name)?;
        (now != field).then(|| (*name).to_owned())
    };
    SchemaChange {
        added: only(&after, &before),
        removed: only(&before, &after),
        changed: before.iter().filter_map(differs).collect(),
    }
}

fn fields(schema: &Value) -> BTreeMap<&str, &Value> {
    let fields = schema.as_array().into_iter().flatten();
    let named = fields.filter_map(|field| Some((field["name"].as_str()?, field)));
    named.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_say_which_way_is_better() {
        for (name, expected) in [
            ("accuracy", Some(Better::Higher)),
            ("f1", Some(Better::Higher)),
            ("ROC AUC", Some(Better::Higher)),
            ("test.r2_score", Some(Better::Higher)),
            ("rmse", Some(Better::Lower)),
            ("mean_squared_error", Some(Better::Lower)),
            ("neg_mean_squared_error", Some(Better::Higher)),
            ("log-loss", Some(Better::Lower)),
            ("p99_ms", Some(Better::Lower)),
            ("rows", None),
            ("terror", None),
        ] {
            assert_eq!(better(name), expected, "{name}");
        }
    }

    #[test]
    fn figures_are_compared_by_name_and_judged_by_direction() {
        let (from, to) = (
            json!({"accuracy": 0.9, "rmse": 2, "rows": 10, "gone": 1, "note": "x", "test": {"f1": 0.5}}),
            json!({"accuracy": 0.8, "rmse": 1.5, "rows": 20, "new": true, "test": {"f1": 0.5}}),
        );
        let changes = metrics(&from, &to);
        let found: Vec<_> = changes.iter().map(|c| (&*c.name, c.verdict())).collect();
        assert_eq!(
            found,
            [
                ("accuracy", Verdict::Worse),
                ("gone", Verdict::Unknown),
                ("rmse", Verdict::Improved),
                ("rows", Verdict::Unknown),
                ("test.f1", Verdict::Equal),
            ]
        );
        assert_eq!(changes[2].difference(), Some(-0.5));
    }
}
