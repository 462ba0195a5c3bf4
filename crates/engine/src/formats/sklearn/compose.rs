//! Transformers side by side: `ColumnTransformer` and `FeatureUnion`.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::pipeline::{self, Parts};
use super::plan::{Missing, Need, StepPlan};
use crate::EngineError;
use crate::kernel::step::Step;
use crate::kernel::steps::columns::{Branch, Columns};
use crate::reader::pickle::{Node, NodeId};
use crate::reader::{malformed, numpy};

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.compose._column_transformer",
        "ColumnTransformer",
        Reader::Step(column_transformer),
    ),
    (
        "sklearn.pipeline",
        "FeatureUnion",
        Reader::Step(feature_union),
    ),
];

/// Branches of one estimator.
const MAX_BRANCHES: usize = 1024;

/// A branch before it is known which columns of the input are texts.
struct Side<'r> {
    /// Columns of the input, in the order the branch takes them.
    columns: Vec<usize>,
    /// What the branch needs each to be.
    needs: Vec<Need>,
    steps: Vec<Step>,
    weight: Option<f64>,
    /// The first estimator of the branch.
    first: Option<Estimator<'r>>,
}

/// `ColumnTransformer`. Selectors of all kinds were resolved when it was fitted: `_transformer_to_input_indices` holds
/// the columns of each transformer by its name, `remainder` among them (`_column_transformer.py`, 1.2 to 1.9).
fn column_transformer(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let indices = small(
        estimator,
        estimator.fitted("_transformer_to_input_indices")?,
    )?;
    let mut sides = Vec::new();
    for entry in members(estimator, "transformers_")? {
        let (name, transformer) = match estimator.arena().members(*entry) {
            Some([name, transformer, _]) => (*name, *transformer),
            _ => return Err(estimator.wrong("transformers_", *entry)),
        };
        if estimator.arena().text(transformer) == Some("drop") {
            continue;
        }
        let columns = match estimator.arena().text(name) {
            Some(name) => estimator.arena().entry(indices, name),
            None => None,
        };
        let columns = columns.ok_or_else(|| estimator.wrong("transformers_", name))?;
        let columns = places(estimator, columns, features)?;
        if !columns.is_empty() {
            let weight = weight(estimator, name)?;
            sides.push(side(estimator, transformer, columns, weight)?);
        }
    }
    let (step, needs) = joined(estimator, features, sides)?;
    Ok(StepPlan {
        from: estimator,
        step,
        needs,
    })
}

/// `FeatureUnion`: every transformer takes all columns. Those that are dropped stand in the list as `"drop"`.
fn feature_union(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let mut sides: Vec<Side<'_>> = Vec::new();
    let mut passed = Vec::new();
    for entry in members(estimator, "transformer_list")? {
        let (name, transformer) = match estimator.arena().members(*entry) {
            Some([name, transformer]) => (*name, *transformer),
            _ => return Err(estimator.wrong("transformer_list", *entry)),
        };
        if estimator.arena().text(transformer) == Some("drop") {
            continue;
        }
        let weight = weight(estimator, name)?;
        let side = side(estimator, transformer, Vec::new(), weight)?;
        if side.needs.is_empty() {
            passed.push(sides.len());
        }
        sides.push(side);
    }
    // The union itself knows neither the number of columns nor their names before 1.9.
    let known = sides.iter().map(|side| side.needs.len());
    let features = known.max().filter(|features| *features > 0);
    let features = match (features, estimator.attribute("n_features_in_")) {
        (Some(features), _) => features,
        (None, Some(_)) => estimator.features()?,
        (None, None) => return Err(estimator.unserved("that only hands columns on")),
    };
    for index in passed {
        sides[index].needs = Need::numbers(features, Missing::Kept);
    }
    for side in &mut sides {
        side.columns = (0..features).collect();
    }
    let first = sides.iter().find_map(|side| side.first);
    let (step, needs) = joined(estimator, features, sides)?;
    let from = first.unwrap_or(estimator);
    Ok(StepPlan { from, step, needs })
}

/// The branch that `transformer` is, over `columns`.
fn side(
    estimator: Estimator<'_>,
    transformer: NodeId,
    columns: Vec<usize>,
    weight: Option<f64>,
) -> Result<Side<'_>, EngineError> {
    let parts = if passes_through(estimator, transformer)? {
        Parts::default()
    } else {
        pipeline::parts(estimator.child(transformer)?)?
    };
    if let Some(head) = &parts.head {
        return Err(head.from.unserved("among transformers"));
    }
    let first = parts.first();
    let needs = parts.needs();
    let needs = needs.unwrap_or_else(|| Need::numbers(columns.len(), Missing::Kept));
    Ok(Side {
        columns,
        needs,
        steps: parts.steps.into_iter().map(|plan| plan.step).collect(),
        weight,
        first,
    })
}

/// Whether a transformer hands its columns on: `"passthrough"`, or the
/// `FunctionTransformer` without a function that 1.4 and later put in its place.
fn passes_through(estimator: Estimator<'_>, transformer: NodeId) -> Result<bool, EngineError> {
    if pipeline::passes_through(estimator, transformer) {
        return Ok(true);
    }
    let child = estimator.child(transformer)?;
    Ok(child.class == "FunctionTransformer" && child.attribute("func").is_none())
}

/// The step that `sides` are together, and what it needs of each of its columns.
fn joined(
    estimator: Estimator<'_>,
    features: usize,
    sides: Vec<Side<'_>>,
) -> Result<(Step, Vec<Need>), EngineError> {
    let mut found: Vec<Option<Need>> = vec![None; features];
    for side in &sides {
        if side.needs.len() != side.columns.len() {
            let (takes, given) = (side.needs.len(), side.columns.len());
            return Err(malformed(format!(
                "a transformer of {takes} columns is given {given}"
            )));
        }
        for (column, need) in side.columns.iter().zip(&side.needs) {
            let both = match found[*column].take() {
                Some(other) => other.and(need).ok_or_else(|| {
                    estimator.unserved("with a column that is a text here and a number there")
                })?,
                None => need.clone(),
            };
            found[*column] = Some(both);
        }
    }
    let needs: Vec<Need> = found.into_iter().map(Option::unwrap_or_default).collect();
    let (shape, place) = Need::places(&needs);
    let branches = sides.into_iter().map(|side| branch(side, &needs, &place));
    let columns = Columns::new(shape, branches.collect())?;
    Ok((Step::Columns(columns), needs))
}

fn branch(side: Side<'_>, needs: &[Need], place: &[usize]) -> Branch {
    let (texts, numbers): (Vec<usize>, Vec<usize>) = side
        .columns
        .iter()
        .copied()
        .partition(|column| needs[*column].text);
    let places = |columns: Vec<usize>| columns.into_iter().map(|column| place[column]).collect();
    Branch {
        numbers: places(numbers),
        texts: places(texts),
        steps: side.steps,
        weight: side.weight,
    }
}

/// The members of the list `name`.
fn members<'r>(estimator: Estimator<'r>, name: &str) -> Result<&'r [NodeId], EngineError> {
    let list = estimator.fitted(name)?;
    let members = estimator.arena().members(list);
    let members = members.ok_or_else(|| estimator.wrong(name, list))?;
    if members.len() > MAX_BRANCHES {
        return Err(estimator.unserved(&format!("of more than {MAX_BRANCHES} transformers")));
    }
    Ok(members)
}

/// A dictionary by name of transformer, which is searched for each of them.
fn small(estimator: Estimator<'_>, id: NodeId) -> Result<NodeId, EngineError> {
    match estimator.arena().get(id) {
        Node::Dict(entries) if entries.len() <= 2 * MAX_BRANCHES => Ok(id),
        _ => Err(estimator.wrong("a table of transformers", id)),
    }
}

/// The columns of a branch: integers of Python or numpy below `features`.
fn places(
    estimator: Estimator<'_>,
    list: NodeId,
    features: usize,
) -> Result<Vec<usize>, EngineError> {
    let wrong = || estimator.wrong("_transformer_to_input_indices", list);
    let members = estimator.arena().members(list).ok_or_else(wrong)?;
    if members.len() > features {
        return Err(estimator.unserved("with more columns in a transformer than there are"));
    }
    let each = members.iter().map(|member| {
        let value = numpy::value(estimator.arena(), *member)?;
        let place = value.and_then(|value| usize::try_from(value.as_i64()?).ok());
        place.filter(|place| *place < features).ok_or_else(wrong)
    });
    each.collect()
}

/// What the outputs of the transformer `name` are multiplied by.
fn weight(estimator: Estimator<'_>, name: NodeId) -> Result<Option<f64>, EngineError> {
    let weights = estimator.attribute("transformer_weights");
    let name = estimator.arena().text(name);
    if let Some(weights) = weights {
        small(estimator, weights)?;
    }
    let found = weights.zip(name);
    let found = found.and_then(|(weights, name)| estimator.arena().entry(weights, name));
    let Some(id) = found else { return Ok(None) };
    if matches!(estimator.arena().get(id), Node::None) {
        return Ok(None);
    }
    let weight = numpy::value(estimator.arena(), id)?.and_then(|value| value.as_f64());
    let weight = weight.filter(|weight| weight.is_finite());
    let wrong = || estimator.wrong("transformer_weights", id);
    weight.map(Some).ok_or_else(wrong)
}
