//! Categories that pandas knew by name (`python-package/lightgbm/basic.py`, `_data_from_pandas`).
//!
//! The last line of a model lists the categories of each categorical column of
//! the frame; a code is a place in its list. Columns whose categories are on the
//! list take the categories themselves.

use std::collections::HashMap;

use plimsoll_core::schema::{DataType, Field};

use super::Booster;
use super::text::Block;
use crate::EngineError;
use crate::kernel::rows::Shape;
use crate::kernel::trees::{Columns, Source};
use crate::reader::document::Document;
use crate::reader::malformed;

const LINE: &str = "\npandas_categorical:";
/// Longest list.
const MAX_BYTES: usize = 16 << 20;

/// Makes the columns of `booster` take categories by name, if the model has them.
pub(super) fn name(
    header: &Block<'_>,
    text: &str,
    booster: &mut Booster,
) -> Result<(), EngineError> {
    let Some((_, line)) = text.rsplit_once(LINE) else {
        return Ok(());
    };
    let line = line.lines().next().unwrap_or("").trim();
    if line.is_empty() || line.len() > MAX_BYTES || line == "null" || line == "[]" {
        return Ok(());
    }
    let lists = Document::json(line.as_bytes())?;
    let Document::List(lists) = &lists else {
        return Err(malformed("its pandas_categorical is no list of lists"));
    };
    // Numbers have an interval, categories their codes, and what was of no use has nothing.
    let infos: Vec<&str> = header
        .text("feature_infos")
        .unwrap_or("")
        .split(' ')
        .collect();
    let is_category = |info: &&str| !info.starts_with('[') && *info != "none";
    let columns: Vec<usize> = (0..infos.len())
        .filter(|index| is_category(&infos[*index]))
        .collect();
    if columns.len() != lists.len() || infos.len() != booster.fields.len() {
        booster.notes.push(
            "columns that were pandas categories take the codes of their categories".to_owned(),
        );
        return Ok(());
    }
    let lists: HashMap<usize, &Document> = columns.into_iter().zip(lists).collect();
    let mut takes = Shape::default();
    let mut sources = Vec::with_capacity(infos.len());
    for (index, field) in booster.fields.iter_mut().enumerate() {
        sources.push(source(lists.get(&index).copied(), &mut takes, field)?);
    }
    let columns = Columns::new(sources, takes);
    booster.over(columns.ok_or_else(|| malformed("its columns are not there"))?)
}

/// The source of one column, whose field becomes a text if its categories are texts.
fn source(
    list: Option<&Document>,
    takes: &mut Shape,
    field: &mut Field,
) -> Result<Source, EngineError> {
    let codes = 0_u32..;
    match list {
        Some(Document::List(members)) if members.iter().all(|member| member.text().is_some()) => {
            let names = members.iter().filter_map(Document::text);
            field.data_type = DataType::String;
            takes.texts += 1;
            let codes = names
                .zip(codes)
                .map(|(name, code)| (name.to_owned(), f64::from(code)));
            Ok(Source::Text(takes.texts - 1, codes.collect()))
        }
        Some(Document::Numbers(numbers)) => {
            let mut known: Vec<_> = numbers.iter().copied().zip(codes.map(f64::from)).collect();
            known.sort_by(|a, b| a.0.total_cmp(&b.0));
            takes.numbers += 1;
            Ok(Source::Category(takes.numbers - 1, known))
        }
        Some(_) => Err(malformed("a category is neither a text nor a number")),
        None => {
            takes.numbers += 1;
            Ok(Source::Number(takes.numbers - 1))
        }
    }
}
