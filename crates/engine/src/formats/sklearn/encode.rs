//! Encoders of categories.

use super::categories;
use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use crate::EngineError;
use crate::kernel::rows;
use crate::kernel::step::Step;
use crate::kernel::steps::encode::{Code, Encoded, Encoder, Unknown};
use crate::reader::pickle::{Node, NodeId};
use crate::reader::{malformed, numpy};

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.preprocessing._encoders",
        "OneHotEncoder",
        Reader::Step(one_hot),
    ),
    (
        "sklearn.preprocessing._encoders",
        "OrdinalEncoder",
        Reader::Step(ordinal),
    ),
    (
        "sklearn.preprocessing._target_encoder",
        "TargetEncoder",
        Reader::Step(target),
    ),
];

/// Groups of the categories of a column.
const MAX_GROUPS: usize = 1 << 22;

/// What is done with categories of which there were few.
struct Grouping {
    /// The group of each category.
    groups: Vec<usize>,
    /// The group of all those of which there were few.
    infrequent: usize,
}

/// `OneHotEncoder` (`_encoders.py`, `transform`): rare categories are grouped first, then one is dropped.
fn one_hot(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let columns = categories::of(estimator)?;
    let groupings = groupings(estimator, columns.len())?;
    let drops = drops(estimator, columns.len())?;
    let handling = estimator.text("handle_unknown").unwrap_or("error");
    let codes = columns.iter().zip(groupings).zip(drops);
    let codes = codes.map(|((column, grouping), drop)| {
        let count = column.categories.count();
        let infrequent = grouping.as_ref().map(|grouping| grouping.infrequent);
        let groups = match grouping {
            Some(grouping) => grouping.groups,
            None => (0..count).collect(),
        };
        let width = groups.iter().max().map_or(0, |largest| largest + 1);
        let place = |group: usize| match drop {
            Some(drop) if group == drop => None,
            Some(drop) if group > drop => Some(group - 1),
            _ => Some(group),
        };
        let unknown = match handling {
            "error" => Unknown::Refused,
            "ignore" => Unknown::Becomes(None),
            "infrequent_if_exist" | "warn" => Unknown::Becomes(infrequent.and_then(place)),
            other => return Err(estimator.unserved(&format!("with handle_unknown={other:?}"))),
        };
        Ok(Code::Hot {
            width: width.saturating_sub(usize::from(drop.is_some())),
            places: groups.into_iter().map(place).collect(),
            unknown,
        })
    });
    let codes: Vec<Code> = codes.collect::<Result<_, _>>()?;
    encoder(estimator, columns, codes)
}

/// `OrdinalEncoder`: the index of the category, or of its group.
fn ordinal(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let columns = categories::of(estimator)?;
    let groupings = groupings(estimator, columns.len())?;
    let unknown = match estimator.text("handle_unknown") {
        None | Some("error") => None,
        Some("use_encoded_value") => Some(estimator.number("unknown_value")?),
        Some(other) => {
            return Err(estimator.unserved(&format!("with handle_unknown={other:?}")));
        }
    };
    let missing = missing_indices(estimator, columns.len())?;
    let codes = columns.iter().zip(groupings).zip(missing);
    let codes = codes.map(|((column, grouping), missing)| {
        let encoded_missing = match missing {
            Some(_) => estimator.number("encoded_missing_value")?,
            None => f64::NAN,
        };
        let value = |category: usize| {
            if missing == Some(category) {
                return Some(encoded_missing);
            }
            let group = match &grouping {
                Some(grouping) => *grouping.groups.get(category)?,
                None => category,
            };
            Some(whole(group))
        };
        let values: Option<Vec<f64>> = (0..column.categories.count()).map(value).collect();
        let values = values.ok_or_else(|| malformed("a category without a group"))?;
        Ok(Code::Values {
            width: 1,
            values,
            unknown: unknown.map_or(Unknown::Refused, |value| Unknown::Becomes(vec![value])),
        })
    });
    let codes: Vec<Code> = codes.collect::<Result<_, EngineError>>()?;
    encoder(estimator, columns, codes)
}

/// `TargetEncoder`: the mean of the target for each category, and for each class if there are more than two
/// (`_target_encoder.py`, `_transform_X_ordinal`).
fn target(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let columns = categories::of(estimator)?;
    let means = estimator.numbers("target_mean_")?;
    let width = match estimator.text("target_type_") {
        Some("multiclass") => means.len(),
        _ => 1,
    };
    let encodings = estimator.list("encodings_")?;
    if means.len() != width || encodings.len() != columns.len().saturating_mul(width) {
        return Err(malformed("encodings_ does not fit the columns"));
    }
    let codes = columns.iter().zip(encodings.chunks(width.max(1)));
    let codes = codes.map(|(column, encodings)| {
        let count = column.categories.count();
        let mut values = vec![0.0; count * width];
        for (at, id) in encodings.iter().enumerate() {
            let numbers = estimator.array_at("encodings_", *id)?.f64s()?;
            if numbers.len() != count {
                return Err(malformed("encodings_ does not fit the categories"));
            }
            for (category, number) in numbers.into_iter().enumerate() {
                values[category * width + at] = number;
            }
        }
        Ok(Code::Values {
            width,
            values,
            unknown: Unknown::Becomes(means.clone()),
        })
    });
    let codes: Vec<Code> = codes.collect::<Result<_, _>>()?;
    encoder(estimator, columns, codes)
}

/// The step of one code for each column.
fn encoder(
    estimator: Estimator<'_>,
    columns: Vec<categories::Column>,
    codes: Vec<Code>,
) -> Result<StepPlan<'_>, EngineError> {
    let needs = columns.iter().zip(&codes).map(|(column, code)| {
        let refused = matches!(
            code,
            Code::Hot {
                unknown: Unknown::Refused,
                ..
            } | Code::Values {
                unknown: Unknown::Refused,
                ..
            }
        );
        Need {
            text: column.text,
            missing: if refused && !column.missing {
                Missing::Refused
            } else {
                Missing::Used
            },
            categories: Some(column.names.clone()).filter(|names| !names.is_empty()),
        }
    });
    let needs: Vec<Need> = needs.collect();
    let (shape, places) = Need::places(&needs);
    let encoded = columns.into_iter().zip(places).zip(codes);
    let encoded = encoded.map(|((column, place), code)| Encoded {
        column: if column.text {
            rows::Column::Text(place)
        } else {
            rows::Column::Number(place)
        },
        categories: column.categories,
        code,
    });
    Ok(StepPlan {
        from: estimator,
        step: Step::Encode(Encoder::new(shape, encoded.collect())?),
        needs,
    })
}

/// How each column's rare categories were grouped: `_default_to_infrequent_mappings`.
fn groupings(
    estimator: Estimator<'_>,
    columns: usize,
) -> Result<Vec<Option<Grouping>>, EngineError> {
    if !estimator.flag("_infrequent_enabled", false)? {
        return Ok((0..columns).map(|_| None).collect());
    }
    let name = "_default_to_infrequent_mappings";
    let mappings = estimator.list(name)?;
    let infrequent = estimator.list("_infrequent_indices")?;
    if mappings.len() != columns || infrequent.len() != columns {
        return Err(malformed(format!("{name} does not fit the columns")));
    }
    let each = mappings
        .iter()
        .zip(infrequent)
        .map(|(mapping, infrequent)| {
            if matches!(estimator.arena().get(*mapping), Node::None) {
                return Ok(None);
            }
            let groups = indexes(estimator, name, *mapping)?;
            let rare = indexes(estimator, "_infrequent_indices", *infrequent)?;
            let group = rare.first().and_then(|first| groups.get(*first)).copied();
            let group = group.ok_or_else(|| malformed(format!("{name} has no group")))?;
            Ok(Some(Grouping {
                groups,
                infrequent: group,
            }))
        });
    each.collect()
}

/// The group of each column that is dropped: `_drop_idx_after_grouping`.
fn drops(estimator: Estimator<'_>, columns: usize) -> Result<Vec<Option<usize>>, EngineError> {
    let name = "_drop_idx_after_grouping";
    let Some(id) = estimator.attribute(name) else {
        return Ok(vec![None; columns]);
    };
    let array = estimator.array_at(name, id)?;
    let values = categories::values(estimator, &array)?;
    if values.len() != columns {
        return Err(malformed(format!("{name} does not fit the columns")));
    }
    let each = values.into_iter().map(|value| match value {
        None => Ok(None),
        Some(value) => {
            let index = value.as_i64().and_then(|index| usize::try_from(index).ok());
            index.map(Some).ok_or_else(|| estimator.wrong(name, id))
        }
    });
    each.collect()
}

/// The index of NaN among the categories of each column: `_missing_indices`.
fn missing_indices(
    estimator: Estimator<'_>,
    columns: usize,
) -> Result<Vec<Option<usize>>, EngineError> {
    let name = "_missing_indices";
    let id = estimator.fitted(name)?;
    let Node::Dict(entries) = estimator.arena().get(id) else {
        return Err(estimator.wrong(name, id));
    };
    let mut missing = vec![None; columns];
    for (key, index) in entries {
        let column = numpy::value(estimator.arena(), *key)?.and_then(|key| key.as_i64());
        let column = column.and_then(|column| usize::try_from(column).ok());
        let slot = column.and_then(|column| missing.get_mut(column));
        *slot.ok_or_else(|| estimator.wrong(name, *key))? = Some(estimator.arena().size(*index)?);
    }
    Ok(missing)
}

/// A number of categories as the library gives it.
fn whole(index: usize) -> f64 {
    f64::from(u32::try_from(index).unwrap_or(u32::MAX))
}

fn indexes(estimator: Estimator<'_>, name: &str, id: NodeId) -> Result<Vec<usize>, EngineError> {
    let values = estimator.array_at(name, id)?.values()?;
    let each = values.into_iter().map(|value| {
        let index = value.as_i64().and_then(|index| usize::try_from(index).ok());
        let index = index.filter(|index| *index < MAX_GROUPS);
        index.ok_or_else(|| estimator.wrong(name, id))
    });
    each.collect()
}
