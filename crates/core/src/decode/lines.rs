//! Rows that come one at a time, each with its own mistakes: a line of JSON, or
//! the cells of a CSV record under a header.

use std::collections::BTreeMap;

use super::cells::{explain, numbered};
use super::json::Reader;
use super::report::{Report, pointer_to, shortened, suggestion};
use super::rows::{RowReader, is_unnamed};
use super::{BatchBuilder, Cell, DecodeError};
use crate::column::Batch;
use crate::field::FieldError;
use crate::schema::{DataType, Field, Schema};

/// Reads one row in any form it has as an element of `inputs`. Pointers of
/// mistakes begin at the row.
pub fn json_row(line: &[u8], schema: &Schema) -> Result<Batch, DecodeError> {
    let mut json = Reader::new(line)?;
    let mut report = Report::default();
    let batch = RowReader::new(schema, 1, &mut report).read_row(&mut json)?;
    json.end()?;
    report.finish()?;
    Ok(batch)
}

/// Which column of a CSV file is which feature.
#[derive(Clone, Debug)]
pub struct Header {
    /// The feature of each column.
    fields: Vec<usize>,
    /// What the file calls them.
    names: Vec<String>,
}

impl Header {
    /// Finds the features by the names of the columns, in whatever order they
    /// are. A column that is no feature is a mistake, and so is a feature
    /// without a column or with two.
    ///
    /// Errors: the mistakes; pointers begin with `/` and the name of the column.
    pub fn read(names: &[&str], schema: &Schema) -> Result<Self, DecodeError> {
        let mut report = Report::default();
        let mut columns = BTreeMap::new();
        let is_unnamed = is_unnamed(schema);
        let position = |name: &&str| {
            let by_number = || numbered(name, schema).filter(|_| is_unnamed);
            schema.position(name).or_else(by_number)
        };
        for name in names {
            let Some(field) = position(name) else {
                report.add(|| unknown_column(name, schema));
                continue;
            };
            if columns.insert(field, *name).is_some() {
                report.add(|| {
                    let detail = format!("the column {:?} appears twice", shortened(name));
                    FieldError::new(pointer_to("", name), "duplicate-field", detail)
                });
            }
        }
        for (index, field) in schema.inputs().iter().enumerate() {
            if !columns.contains_key(&index) {
                report.add(|| missing_column(field));
            } else if !field.is_scalar() {
                report.add(|| {
                    let detail = "a cell holds one value; send lists as JSON lines";
                    FieldError::new(pointer_to("", &field.name), "wrong-type", detail)
                        .expected_got("array", "string")
                });
            }
        }
        report.finish()?;
        Ok(Self {
            fields: names.iter().filter_map(position).collect(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    /// Reads the cells of one record. An empty cell is a missing value.
    pub fn row(&self, cells: &[&str], schema: &Schema) -> Result<Batch, DecodeError> {
        let (takes, sent) = (self.fields.len(), cells.len());
        if sent != takes {
            let detail = format!("the header has {takes} columns, this row {sent}");
            let error = FieldError::new("", "wrong-length", detail)
                .expected_got(format!("{takes} values"), format!("{sent} values"));
            return Err(DecodeError::Invalid(vec![error]));
        }
        let mut report = Report::default();
        let mut builder = BatchBuilder::new(schema);
        builder.begin_row();
        for ((field, name), text) in self.fields.iter().zip(&self.names).zip(cells) {
            let definition = &schema.inputs()[*field];
            if let Err(found) = builder.set(*field, cell(text, definition.data_type)) {
                report.add(|| explain(pointer_to("", name), "", &definition.name, found));
            }
        }
        builder.end_row();
        report.finish()?;
        Ok(builder.finish())
    }
}

fn unknown_column(name: &str, schema: &Schema) -> FieldError {
    let names = schema.inputs().iter().map(|field| field.name.as_str());
    let hint = suggestion(name, names);
    let detail = format!("the model has no feature {:?}{hint}", shortened(name));
    FieldError::new(pointer_to("", name), "unknown-field", detail)
}

fn missing_column(field: &Field) -> FieldError {
    let detail = format!("there is no column {:?}", shortened(&field.name));
    FieldError::new(pointer_to("", &field.name), "missing-field", detail)
}

/// What a text in a table means for a field of this type. What means nothing
/// stays text, which the field refuses.
fn cell(text: &str, data_type: DataType) -> Cell<'_> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Cell::Null;
    }
    match data_type {
        DataType::Bool if trimmed.eq_ignore_ascii_case("true") || trimmed == "1" => true.into(),
        DataType::Bool if trimmed.eq_ignore_ascii_case("false") || trimmed == "0" => false.into(),
        DataType::Bool | DataType::String => Cell::from(text),
        DataType::Float32 | DataType::Float64 | DataType::Int64 => number(trimmed),
    }
}

/// A number as JSON spells them, or as other programs do: `+1`, `.5`, `nan`.
fn number(text: &str) -> Cell<'_> {
    let as_json = |text: &str| {
        let mut json = Reader::new(text.as_bytes()).ok()?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let cell = digits
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| json.number());
        let cell = cell?.ok().filter(|_| json.is_blank())?;
        // A number borrows nothing from its text.
        match cell {
            Cell::I64(value) => Some(Cell::I64(value)),
            Cell::U64(value) => Some(Cell::U64(value)),
            Cell::F64(value) => Some(Cell::F64(value)),
            _ => Some(Cell::HugeInteger),
        }
    };
    as_json(text).unwrap_or_else(|| match text.parse::<f64>() {
        Ok(value) => Cell::F64(value),
        Err(_) => Cell::from(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    fn schema() -> Schema {
        let field = |name: &str, data_type, nullable| Field {
            nullable,
            ..Field::scalar(name, data_type)
        };
        Schema::packed(vec![
            field("age", DataType::Float64, true),
            field("visits", DataType::Int64, false),
            field("smokes", DataType::Bool, false),
            field("city", DataType::String, true),
        ])
        .unwrap()
    }

    fn mistakes(outcome: Result<Batch, DecodeError>) -> Vec<(String, String)> {
        match outcome {
            Err(DecodeError::Invalid(errors)) => errors
                .into_iter()
                .map(|error| (error.pointer, error.code.into_owned()))
                .collect(),
            Err(DecodeError::Malformed { .. }) => vec![(String::new(), "malformed".to_owned())],
            _ => Vec::new(),
        }
    }

    #[test]
    fn cells_and_lines_become_the_same_rows() {
        let schema = schema();
        let header = Header::read(&["city", "smokes", "age", "visits"], &schema).unwrap();
        for (cells, line) in [
            (
                ["Oslo", "true", "41.5", "3"],
                r#"{"age": 41.5, "visits": 3, "smokes": true, "city": "Oslo"}"#,
            ),
            ([" ", "FALSE", "", " 7 "], r"[null, 7, false, null]"),
            (
                ["a \"b\"", "1", "+.5e1", "-2"],
                r#"[5, -2, true, "a \"b\""]"#,
            ),
            (
                ["x", "0", "nan", "9007199254740993"],
                r#"[null, 9007199254740993, false, "x"]"#,
            ),
        ] {
            let of_cells = header.row(&cells, &schema).unwrap();
            assert_eq!(
                format!("{of_cells:?}"),
                format!("{:?}", json_row(line.as_bytes(), &schema).unwrap())
            );
        }
    }

    #[test]
    fn each_row_has_its_own_mistakes() {
        let schema = schema();
        let header = Header::read(&["age", "visits", "smokes", "city"], &schema).unwrap();
        let named = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        for (cells, expected) in [
            (
                vec!["old", "1.5", "yes", ""],
                named(&[
                    ("/age", "wrong-type"),
                    ("/visits", "not-exact"),
                    ("/smokes", "wrong-type"),
                ]),
            ),
            (
                vec!["inf", "", "true", ""],
                named(&[("/age", "not-exact"), ("/visits", "null-not-allowed")]),
            ),
            (vec!["1", "2", "true"], named(&[("", "wrong-length")])),
            (
                vec!["1", "99999999999999999999", "true", ""],
                named(&[("/visits", "not-exact")]),
            ),
            (vec!["1", "2", "true", ""], vec![]),
        ] {
            assert_eq!(mistakes(header.row(&cells, &schema)), expected, "{cells:?}");
        }
        for (line, expected) in [
            (
                r#"{"age": 1}"#,
                named(&[
                    ("/visits", "missing-field"),
                    ("/smokes", "missing-field"),
                    ("/city", "missing-field"),
                ]),
            ),
            ("[1, 2, true]", named(&[("", "wrong-length")])),
            (r#"["x", 2, true, null]"#, named(&[("/0", "wrong-type")])),
            ("[1, 2, true, null] []", named(&[("", "malformed")])),
            ("7", named(&[("", "wrong-type")])),
            ("", named(&[("", "malformed")])),
        ] {
            assert_eq!(
                mistakes(json_row(line.as_bytes(), &schema)),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn a_header_names_every_feature_once() {
        let schema = schema();
        for (names, expected) in [
            (
                vec!["age", "visits", "smokes", "town"],
                vec![("/town", "unknown-field"), ("/city", "missing-field")],
            ),
            (
                vec!["age", "visits", "smokes", "city", "age"],
                vec![("/age", "duplicate-field")],
            ),
            (
                vec![],
                vec![
                    ("/age", "missing-field"),
                    ("/visits", "missing-field"),
                    ("/smokes", "missing-field"),
                    ("/city", "missing-field"),
                ],
            ),
        ] {
            let refused = Header::read(&names, &schema).map(|_| Batch::empty(&schema));
            let expected: Vec<_> = expected
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            assert_eq!(mistakes(refused), expected, "{names:?}");
        }
    }
}
