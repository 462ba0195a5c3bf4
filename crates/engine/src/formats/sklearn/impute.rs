//! Imputers of single columns, and marks of what is missing.

use super::categories;
use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use super::version::Version;
use crate::EngineError;
use crate::kernel::rows::Column;
use crate::kernel::step::Step;
use crate::kernel::steps::impute::{Imputer, Marker};
use crate::kernel::steps::nearest::Nearest;
use crate::reader::element::Value;
use crate::reader::{malformed, numpy};

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.impute._base",
        "SimpleImputer",
        Reader::Step(simple),
    ),
    (
        "sklearn.impute._base",
        "MissingIndicator",
        Reader::Step(indicator),
    ),
    ("sklearn.impute._knn", "KNNImputer", Reader::Step(nearest)),
];

/// `SimpleImputer`: `statistics_` fills the gaps of each column; a column that
/// had nothing but gaps is dropped, unless it was told otherwise.
fn simple(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let marker = marker(estimator)?;
    let statistics = estimator.array("statistics_")?;
    let statistics = categories::values(estimator, &statistics)?;
    if statistics.len() != features {
        let found = statistics.len();
        return Err(malformed(format!(
            "statistics_ has {found} of {features} values"
        )));
    }
    let needs = statistics.iter().map(|statistic| Need {
        text: matches!(statistic, Some(Value::Text(_))),
        missing: gaps(&marker),
        categories: None,
    });
    let needs: Vec<Need> = needs.collect();
    let (takes, places) = Need::places(&needs);
    let keeps_empty = keeps_empty(estimator)?;
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    for (statistic, place) in statistics.into_iter().zip(&places) {
        match statistic {
            Some(Value::Text(text)) => texts.push((*place, text)),
            Some(number) => numbers.push((*place, number.as_f64().unwrap_or(f64::NAN))),
            None if keeps_empty => numbers.push((*place, f64::NAN)),
            None => {}
        }
    }
    let marked = if estimator.flag("add_indicator", false)? {
        let indicator = estimator.child(estimator.fitted("indicator_")?)?;
        marked(indicator, &needs, &places)?
    } else {
        Vec::new()
    };
    let imputer = Imputer {
        takes,
        marker,
        numbers,
        texts,
        marked,
        whole: Vec::new(),
    };
    Ok(StepPlan {
        from: estimator,
        step: Step::Impute(imputer.checked()?),
        needs,
    })
}

/// `MissingIndicator`. It does not know texts from numbers; numbers it is.
fn indicator(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let marker = marker(estimator)?;
    if matches!(marker, Marker::Text(_)) {
        return Err(estimator.unserved("of texts"));
    }
    let mut needs = Need::numbers(features, gaps(&marker));
    let (takes, places) = Need::places(&needs);
    let marked = marked(estimator, &needs, &places)?;
    let mut whole = Vec::new();
    if estimator.text("features") != Some("all") && estimator.flag("error_on_new", true)? {
        whole = (0..features).map(Column::Number).collect();
        whole.retain(|column| !marked.contains(column));
    }
    for column in &whole {
        if let Column::Number(place) = column {
            needs[*place].missing = Missing::Refused;
        }
    }
    let imputer = Imputer {
        takes,
        marker,
        numbers: Vec::new(),
        texts: Vec::new(),
        marked,
        whole,
    };
    Ok(StepPlan {
        from: estimator,
        step: Step::Impute(imputer.checked()?),
        needs,
    })
}

/// `KNNImputer`: the rows it was fitted on, gaps included.
fn nearest(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    if !matches!(marker(estimator)?, Marker::Missing) {
        return Err(estimator.unserved("with missing values of its own"));
    }
    if estimator.flag("add_indicator", false)? {
        return Err(estimator.unserved("with an indicator"));
    }
    let by_distance = match (estimator.text("metric"), estimator.text("weights")) {
        (Some("nan_euclidean"), Some("uniform")) => false,
        (Some("nan_euclidean"), Some("distance")) => true,
        _ => return Err(estimator.unserved("with a metric or weights of its own")),
    };
    let points = estimator.array("_fit_X")?;
    let fits = matches!(points.shape.as_slice(), [_, width] if *width == features);
    let points = points.f64s()?;
    if !fits || points.iter().any(|x| x.is_infinite()) {
        return Err(malformed("_fit_X does not fit the columns"));
    }
    let count = estimator.size("n_neighbors")?;
    if count == 0 {
        return Err(malformed("no neighbours to fill gaps from"));
    }
    let keeps_empty = estimator.flag("keep_empty_features", false)?;
    let columns = (0..features).map(|column| {
        let known = points.iter().skip(column).step_by(features);
        let known = known.filter(|x| !x.is_nan());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
        // A column that had nothing but gaps has no mean: 0 / 0 is NaN.
        (column, sum / count)
    });
    let columns = columns.filter(|(_, mean)| keeps_empty || !mean.is_nan());
    let columns: Vec<(usize, f64)> = columns.collect();
    if columns.is_empty() {
        return Err(estimator.unserved("that keeps no column"));
    }
    Ok(StepPlan {
        from: estimator,
        step: Step::Nearest(Nearest {
            points,
            features,
            count,
            by_distance,
            columns,
        }),
        needs: Need::numbers(features, Missing::Used),
    })
}

/// The columns whose gaps an indicator marks: `features_`.
fn marked(
    indicator: Estimator<'_>,
    needs: &[Need],
    places: &[usize],
) -> Result<Vec<Column>, EngineError> {
    let features = indicator.array("features_")?.values()?;
    if features.len() > needs.len() {
        return Err(malformed("features_ has more columns than there are"));
    }
    let each = features.into_iter().map(|feature| {
        let feature = feature
            .as_i64()
            .and_then(|feature| usize::try_from(feature).ok());
        let feature = feature.filter(|feature| *feature < needs.len());
        let feature = feature.ok_or_else(|| malformed("features_ names a column too many"))?;
        Ok(if needs[feature].text {
            Column::Text(places[feature])
        } else {
            Column::Number(places[feature])
        })
    });
    each.collect()
}

/// What counts as missing: `missing_values`, where None and NaN are one.
fn marker(estimator: Estimator<'_>) -> Result<Marker, EngineError> {
    let Some(id) = estimator.attribute("missing_values") else {
        return Ok(Marker::Missing);
    };
    match numpy::value(estimator.arena(), id)? {
        Some(Value::Text(text)) => Ok(Marker::Text(text)),
        Some(value) => {
            let number = value.as_f64().filter(|number| !number.is_nan());
            Ok(number.map_or(Marker::Missing, Marker::Number))
        }
        None => Err(estimator.wrong("missing_values", id)),
    }
}

fn gaps(marker: &Marker) -> Missing {
    match marker {
        Marker::Missing => Missing::Used,
        Marker::Number(_) | Marker::Text(_) => Missing::Refused,
    }
}

/// Whether a column that had nothing but gaps stays (`_base.py`, `transform`):
/// a constant was put into it in any case before 1.8.
fn keeps_empty(estimator: Estimator<'_>) -> Result<bool, EngineError> {
    let constant = estimator.text("strategy") == Some("constant");
    let always = constant && estimator.version < Version(1, 8);
    Ok(always || estimator.flag("keep_empty_features", false)?)
}
