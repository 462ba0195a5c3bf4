//! Names of features and classes, in the types they were trained with.

use plimsoll_core::schema::{ClassLabel, Field};

use super::estimator::Estimator;
use super::plan::{Missing, Need};
use super::text;
use crate::EngineError;
use crate::reader::array::Array;
use crate::reader::element::Value;
use crate::reader::pickle::NodeId;
use crate::reader::{malformed, numpy, too_large};

/// Longest name of a feature or class.
const MAX_NAME_BYTES: usize = 4096;
/// Most names of one kind, which is also the most features.
const MAX_NAMES: usize = 65_535;
/// Most outputs of a classifier: each is a field of the answer.
const MAX_OUTPUTS: usize = 1000;
/// Most classes: each takes a column of every answer.
const MAX_CLASSES: usize = 10_000;

/// One field for each column of a model whose first estimator is `first`: the
/// names it was fitted with, else `x0…`.
pub(super) fn fields(first: Estimator<'_>, needs: Vec<Need>) -> Result<Vec<Field>, EngineError> {
    let count = needs.len();
    if count > MAX_NAMES {
        return Err(EngineError::Unsupported {
            what: format!("a model of {count} features"),
            advice: format!("at most {MAX_NAMES} are served"),
        });
    }
    let names = match first.attribute("feature_names_in_") {
        None if text::takes_texts(first.class) => vec!["text".to_owned()],
        None => (0..count).map(|index| format!("x{index}")).collect(),
        Some(_) => texts(first, &first.array("feature_names_in_")?)?,
    };
    if names.len() != count {
        return Err(malformed(format!(
            "{} names for {count} features",
            names.len()
        )));
    }
    let named = first.attribute("feature_names_in_").is_some();
    let mut columns: Vec<_> = names.into_iter().zip(needs).collect();
    columns.retain(|(_, need)| !named || need.missing != Missing::Unseen);
    let fields = columns.into_iter().map(|(name, need)| Field {
        nullable: need.missing != Missing::Refused,
        categories: need.categories.clone(),
        ..Field::scalar(name, need.data_type())
    });
    Ok(fields.collect())
}

/// The classes of a classifier, in the order of its probabilities.
pub(super) fn classes(estimator: Estimator<'_>) -> Result<Vec<ClassLabel>, EngineError> {
    labels(estimator, "classes_")
}

/// The classes that the attribute `name` holds.
pub(super) fn labels(estimator: Estimator<'_>, name: &str) -> Result<Vec<ClassLabel>, EngineError> {
    labels_at(estimator, name, estimator.fitted(name)?)
}

/// The classes of each output, if there are several: `classes_` is a list then.
pub(super) fn classes_of_outputs(
    estimator: Estimator<'_>,
) -> Result<Option<Vec<Vec<ClassLabel>>>, EngineError> {
    let id = estimator.fitted("classes_")?;
    let Some(outputs) = estimator.arena().members(id) else {
        return Ok(None);
    };
    if outputs.len() > MAX_OUTPUTS {
        return Err(estimator.unserved(&format!("with more than {MAX_OUTPUTS} outputs")));
    }
    let each = outputs.iter();
    let each = each.map(|output| labels_at(estimator, "classes_", *output));
    each.collect::<Result<_, _>>().map(Some)
}

fn labels_at(
    estimator: Estimator<'_>,
    name: &str,
    id: NodeId,
) -> Result<Vec<ClassLabel>, EngineError> {
    let Some(array) = numpy::array(estimator.arena(), id)? else {
        // A list of arrays: one for each of several outputs.
        return Err(estimator.unserved("with several outputs"));
    };
    if array.shape.len() != 1 {
        return Err(estimator.wrong(name, id));
    }
    if array.len() > MAX_CLASSES {
        return Err(too_large(format!("more than {MAX_CLASSES} classes")));
    }
    let labels = values(estimator, &array)?
        .into_iter()
        .map(|value| match value {
            Value::Bool(label) => ClassLabel::Bool(label),
            Value::Int(label) => ClassLabel::Int(label),
            Value::Float(label) => ClassLabel::Float(label),
            Value::Text(label) => ClassLabel::Text(label),
        });
    let labels: Vec<_> = labels.collect();
    if labels.len() < 2 {
        return Err(estimator.unserved("with fewer than two classes"));
    }
    Ok(labels)
}

fn texts(estimator: Estimator<'_>, array: &Array<'_>) -> Result<Vec<String>, EngineError> {
    let texts = values(estimator, array)?
        .into_iter()
        .map(|value| match value {
            Value::Text(text) => Ok(text),
            _ => Err(malformed("the name of a feature is no text")),
        });
    texts.collect()
}

/// The elements of an array of plain values or of references to such, each of bounded length.
pub(super) fn values(
    estimator: Estimator<'_>,
    array: &Array<'_>,
) -> Result<Vec<Value>, EngineError> {
    if array.len() > MAX_NAMES || array.dtype.size() > 4 * MAX_NAME_BYTES {
        return Err(too_large("too many names, or too long ones"));
    }
    let Some(objects) = array.objects() else {
        return array.values();
    };
    let values = objects.iter().map(|id| {
        let too_long = estimator
            .arena()
            .text(*id)
            .is_some_and(|text| text.len() > MAX_NAME_BYTES);
        if too_long {
            return Err(too_large("the name of a feature or class is too long"));
        }
        let value = numpy::value(estimator.arena(), *id)?;
        value.ok_or_else(|| malformed(format!("{} is no name", estimator.arena().describe(*id))))
    });
    values.collect()
}
