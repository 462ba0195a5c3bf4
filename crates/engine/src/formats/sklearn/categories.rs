//! Categories of encoders: numbers, or texts, and perhaps what is missing.

use super::estimator::Estimator;
use crate::EngineError;
use crate::kernel::steps::encode::Categories;
use crate::reader::array::Array;
use crate::reader::element::Value;
use crate::reader::pickle::{Node, NodeId};
use crate::reader::{malformed, numpy, too_large};

/// Longest category.
const MAX_TEXT_BYTES: usize = 4096;

/// The categories of one column.
pub(super) struct Column {
    /// Whether they are texts.
    pub(super) text: bool,
    /// Whether what is missing is one of them.
    pub(super) missing: bool,
    /// As texts, without what is missing.
    pub(super) names: Vec<String>,
    /// With their indexes.
    pub(super) categories: Categories,
}

/// The categories of each column of an encoder: `categories_`.
pub(super) fn of(estimator: Estimator<'_>) -> Result<Vec<Column>, EngineError> {
    let features = estimator.features()?;
    let list = estimator.list("categories_")?;
    if list.len() != features {
        let found = list.len();
        return Err(malformed(format!(
            "categories of {found} columns for {features}"
        )));
    }
    list.iter().map(|id| column(estimator, *id)).collect()
}

fn column(estimator: Estimator<'_>, id: NodeId) -> Result<Column, EngineError> {
    let array = estimator.array_at("categories_", id)?;
    let values = values(estimator, &array)?;
    let missing: Vec<usize> = (0..values.len())
        .filter(|at| values[*at].is_none())
        .collect();
    let missing = match missing[..] {
        [] => None,
        [at] => Some(at),
        _ => return Err(estimator.unserved("that tells None from NaN among its categories")),
    };
    let text = values
        .iter()
        .flatten()
        .any(|value| matches!(value, Value::Text(_)));
    let number = values
        .iter()
        .flatten()
        .any(|value| !matches!(value, Value::Text(_)));
    if text && number {
        return Err(estimator.unserved("with texts and numbers in one column"));
    }
    // Nothing but what is missing: a column of objects is one of texts.
    let text = text || (!number && array.dtype.is_object());
    if text {
        let texts = values.into_iter().map(|value| match value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        });
        let texts: Vec<Option<String>> = texts.collect();
        return Ok(Column {
            text,
            missing: missing.is_some(),
            names: texts.iter().flatten().cloned().collect(),
            categories: Categories::texts(texts),
        });
    }
    let numbers = values
        .into_iter()
        .map(|value| value.and_then(|value| value.as_f64()));
    let numbers: Vec<f64> = numbers.map(|number| number.unwrap_or(f64::NAN)).collect();
    let known = numbers.iter().filter(|number| !number.is_nan());
    Ok(Column {
        text,
        missing: missing.is_some(),
        names: known.map(f64::to_string).collect(),
        categories: Categories::numbers(&numbers, missing),
    })
}

/// The elements of an array of categories; `None` for None and NaN.
pub(super) fn values(
    estimator: Estimator<'_>,
    array: &Array<'_>,
) -> Result<Vec<Option<Value>>, EngineError> {
    if array.dtype.size() > 4 * MAX_TEXT_BYTES {
        return Err(too_large("the name of a category is too long"));
    }
    let present = |value: Value| match value {
        Value::Float(number) if number.is_nan() => None,
        other => Some(other),
    };
    let Some(objects) = array.objects() else {
        return Ok(array.values()?.into_iter().map(present).collect());
    };
    let each = objects.iter().map(|id| {
        let arena = estimator.arena();
        if arena
            .text(*id)
            .is_some_and(|text| text.len() > MAX_TEXT_BYTES)
        {
            return Err(too_large("the name of a category is too long"));
        }
        if matches!(arena.get(*id), Node::None) {
            return Ok(None);
        }
        let value = numpy::value(arena, *id)?;
        let value = value.ok_or_else(|| {
            let found = arena.describe(*id);
            estimator.unserved(&format!("with {found} as a category"))
        })?;
        Ok(present(value))
    });
    each.collect()
}
