//! Vectorizers of texts.

use std::collections::{HashMap, HashSet};

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use super::scale;
use crate::EngineError;
use crate::kernel::model::MAX_WIDTH;
use crate::kernel::step::Step;
use crate::kernel::steps::stop_words::ENGLISH;
use crate::kernel::steps::terms::{Accents, Cut, Unit};
use crate::kernel::steps::words::{Weighed, Weights, WordColumns, Words};
use crate::reader::element::Value;
use crate::reader::pickle::Node;
use crate::reader::{malformed, numpy};

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.feature_extraction.text",
        "CountVectorizer",
        Reader::Step(counts),
    ),
    (
        "sklearn.feature_extraction.text",
        "TfidfVectorizer",
        Reader::Step(weighed_counts),
    ),
    (
        "sklearn.feature_extraction.text",
        "HashingVectorizer",
        Reader::Step(hashes),
    ),
    (
        "sklearn.feature_extraction.text",
        "TfidfTransformer",
        Reader::Step(weighed),
    ),
];

/// Whether a class takes texts rather than rows, so that its column has no name.
pub(super) fn takes_texts(class: &str) -> bool {
    matches!(
        class,
        "CountVectorizer" | "TfidfVectorizer" | "HashingVectorizer"
    )
}

/// `CountVectorizer`.
fn counts(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    step(estimator, vocabulary(estimator)?, Weights::default())
}

/// `TfidfVectorizer`: what it counts is weighed by the transformer within it.
fn weighed_counts(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let columns = vocabulary(estimator)?;
    let within = estimator.child(estimator.fitted("_tfidf")?)?;
    let weights = weights(within)?;
    step(estimator, columns, weights)
}

/// `HashingVectorizer`.
fn hashes(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let width = estimator.size("n_features")?;
    if width > MAX_WIDTH {
        return Err(estimator.unserved(&format!("of more than {MAX_WIDTH} columns")));
    }
    let columns = WordColumns::Hashed {
        width,
        signed: estimator.flag("alternate_sign", true)?,
    };
    let norm = match estimator.attribute("norm") {
        None => None,
        Some(_) => Some(scale::norm(estimator)?),
    };
    let weights = Weights {
        norm,
        ..Weights::default()
    };
    step(estimator, columns, weights)
}

/// `TfidfTransformer`, by itself.
fn weighed(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let weights = weights(estimator)?;
    if !weights.factors.is_empty() && weights.factors.len() != features {
        return Err(malformed("the weights of words do not fit the columns"));
    }
    Ok(StepPlan {
        from: estimator,
        step: Step::Weigh(Weighed { features, weights }),
        needs: Need::numbers(features, Missing::Refused),
    })
}

fn step(
    estimator: Estimator<'_>,
    columns: WordColumns,
    weights: Weights,
) -> Result<StepPlan<'_>, EngineError> {
    let words = Words {
        cut: cut(estimator)?,
        columns,
        binary: estimator.flag("binary", false)?,
        weights,
    };
    let text = Need {
        text: true,
        missing: Missing::Refused,
        categories: None,
    };
    Ok(StepPlan {
        from: estimator,
        step: Step::Words(words.checked()?),
        needs: vec![text],
    })
}

/// `vocabulary_`: the column of each term.
fn vocabulary(estimator: Estimator<'_>) -> Result<WordColumns, EngineError> {
    let id = estimator.fitted("vocabulary_")?;
    let Node::Dict(entries) = estimator.arena().get(id) else {
        return Err(estimator.wrong("vocabulary_", id));
    };
    estimator
        .graph
        .budget
        .spend_bytes(entries.len().saturating_mul(64))?;
    let each = entries.iter().map(|(term, column)| {
        let term = estimator.arena().text(*term);
        let value = numpy::value(estimator.arena(), *column)?;
        let column = value.and_then(|value| usize::try_from(value.as_i64()?).ok());
        match (term, column) {
            (Some(term), Some(column)) => Ok((term.to_owned(), column)),
            _ => Err(estimator.wrong("vocabulary_", id)),
        }
    });
    let columns: HashMap<String, usize> = each.collect::<Result<_, EngineError>>()?;
    Ok(WordColumns::Known(columns))
}

/// How texts become terms. Python's regular expressions and functions are not served, but for the usual patterns.
fn cut(estimator: Estimator<'_>) -> Result<Cut, EngineError> {
    for name in ["preprocessor", "tokenizer"] {
        if estimator.attribute(name).is_some() {
            return Err(estimator.unserved(&format!("with a {name}")));
        }
    }
    let unserved = |name: &str| {
        let found = estimator.text(name).unwrap_or("a function");
        estimator.unserved(&format!("with {name}={found:?}"))
    };
    if estimator.text("input") != Some("content") {
        return Err(unserved("input"));
    }
    let unit = match estimator.text("analyzer") {
        Some("word") => Unit::Words,
        Some("char") => Unit::Characters,
        Some("char_wb") => Unit::WithinWords,
        _ => return Err(unserved("analyzer")),
    };
    let shortest = match estimator.text("token_pattern") {
        Some(r"(?u)\b\w\w+\b" | r"\b\w\w+\b" | r"(?u)\b\w{2,}\b" | r"\b\w{2,}\b" | r"\w\w+") => 2,
        Some(r"(?u)\b\w+\b" | r"\b\w+\b" | r"(?u)\w+" | r"\w+") => 1,
        _ if unit != Unit::Words => 1,
        other => {
            let found = other.unwrap_or("None");
            return Err(estimator.unserved(&format!("with token_pattern={found:?}")));
        }
    };
    let accents = match (
        estimator.attribute("strip_accents"),
        estimator.text("strip_accents"),
    ) {
        (None, _) => Accents::Stay,
        (_, Some("ascii")) => Accents::Ascii,
        (_, Some("unicode")) => Accents::Unicode,
        _ => return Err(estimator.unserved("with a function for strip_accents")),
    };
    Ok(Cut {
        lowercase: estimator.flag("lowercase", true)?,
        accents,
        unit,
        shortest,
        left_out: left_out(estimator)?,
        terms: terms(estimator)?,
    })
}

/// `ngram_range`.
fn terms(estimator: Estimator<'_>) -> Result<(usize, usize), EngineError> {
    let name = "ngram_range";
    let size = |id| -> Result<Option<usize>, EngineError> {
        let value = numpy::value(estimator.arena(), id)?;
        let size = value.as_ref().and_then(Value::as_i64);
        Ok(size.and_then(|size| usize::try_from(size).ok()))
    };
    match estimator.list(name)? {
        [shortest, longest] => match (size(*shortest)?, size(*longest)?) {
            (Some(shortest), Some(longest)) if longest <= MAX_TERM => Ok((shortest, longest)),
            _ => Err(estimator.unserved(&format!("with terms of more than {MAX_TERM} words"))),
        },
        _ => Err(estimator.wrong(name, estimator.fitted(name)?)),
    }
}

/// Words of the longest term.
const MAX_TERM: usize = 16;

/// `stop_words`: the English ones, or a list.
fn left_out(estimator: Estimator<'_>) -> Result<HashSet<String>, EngineError> {
    let Some(id) = estimator.attribute("stop_words") else {
        return Ok(HashSet::new());
    };
    match estimator.arena().text(id) {
        Some("english") => return Ok(ENGLISH.split(' ').map(str::to_owned).collect()),
        Some(_) => return Err(estimator.wrong("stop_words", id)),
        None => {}
    }
    // Protocols before 4 write a set as a call over a list.
    let call = estimator.arena().object(id);
    let list = match call.map(|call| estimator.arena().arguments(call)) {
        Some([list]) => *list,
        _ => id,
    };
    let words = estimator.arena().members(list);
    let words = words.ok_or_else(|| estimator.wrong("stop_words", id))?;
    let each = words.iter().map(|word| {
        let word = estimator.arena().text(*word).map(str::to_owned);
        word.ok_or_else(|| estimator.wrong("stop_words", id))
    });
    each.collect()
}

/// What a `TfidfTransformer` does. Before 1.4 its factors are the diagonal of a sparse matrix, `_idf_diag`.
fn weights(estimator: Estimator<'_>) -> Result<Weights, EngineError> {
    let factors = if !estimator.flag("use_idf", true)? {
        Vec::new()
    } else if estimator.attribute("idf_").is_some() {
        estimator.numbers("idf_")?
    } else {
        let diagonal = estimator.fitted("_idf_diag")?;
        let data = estimator.arena().attribute(diagonal, "data");
        let data = data.ok_or_else(|| estimator.wrong("_idf_diag", diagonal))?;
        let factors = estimator.array_at("_idf_diag", data)?.f64s()?;
        if factors.len() != estimator.features()? || !factors.iter().all(|f| f.is_finite()) {
            return Err(malformed("the weights of words do not fit the columns"));
        }
        factors
    };
    let norm = match estimator.attribute("norm") {
        None => None,
        Some(_) => Some(scale::norm(estimator)?),
    };
    Ok(Weights {
        sublinear: estimator.flag("sublinear_tf", false)?,
        factors,
        norm,
    })
}
