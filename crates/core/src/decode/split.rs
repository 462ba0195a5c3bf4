//! The split form: names once, rows as lists: `{"columns": […], "data": [[…]]}`.

use super::json::Reader;
use super::report::{pointer_to, shortened};
use super::rows::RowReader;
use super::{Cell, DecodeError};
use crate::field::FieldError;

impl RowReader<'_, '_> {
    /// Reads both keys in either order; `index`, which pandas adds, is ignored.
    pub(super) fn split(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        json.open()?;
        let mut data_at = None;
        let (mut has_columns, mut has_data, mut has_index) = (false, false, false);
        let mut first = true;
        while let Some(key) = json.key(first)? {
            first = false;
            let seen = match &*key {
                "columns" => &mut has_columns,
                "data" => &mut has_data,
                "index" => &mut has_index,
                _ => {
                    json.skip()?;
                    self.unknown_split_key(&key);
                    continue;
                }
            };
            if std::mem::replace(seen, true) {
                return Err(json.malformed("a key twice in one object"));
            }
            match &*key {
                "columns" => self.column_names(json)?,
                "data" if has_columns => self.data(json)?,
                "data" => {
                    data_at = Some(*json);
                    json.skip()?;
                }
                _ => {
                    json.skip()?;
                }
            }
        }
        if let (Some(mut earlier), true) = (data_at, has_columns) {
            self.data(&mut earlier)?;
        }
        for (key, given) in [("columns", has_columns), ("data", has_data)] {
            if !given {
                let pointer = pointer_to(&self.base, key);
                let detail = format!("{key:?} is missing beside its counterpart");
                self.report
                    .add(|| FieldError::new(pointer, "missing-field", detail));
            }
        }
        Ok(())
    }

    fn unknown_split_key(&mut self, key: &str) {
        let base = &self.base;
        self.report.add(|| {
            let detail = format!(
                "{:?} does not go with \"columns\" and \"data\"",
                shortened(key)
            );
            FieldError::new(pointer_to(base, key), "unknown-field", detail)
        });
    }

    fn data(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        let base = pointer_to(&self.base, "data");
        if json.peek()? != b'[' {
            let got = json.skip()?;
            let detail = || "\"data\" is a list of lists".to_owned();
            self.report.wrong_type(&base, detail, "array", got);
        } else if self.columns.is_none() {
            // Without sound columns the rows have no meaning to be checked against.
            json.skip()?;
        } else {
            let outer = std::mem::replace(&mut self.base, base);
            self.list(json, Self::data_row)?;
            self.base = outer;
        }
        Ok(())
    }

    fn data_row(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        if json.peek()? == b'[' {
            return self.positional_row(json);
        }
        let got = json.skip()?;
        self.not_a_row("array", got);
        Ok(())
    }

    /// Reads the names and keeps them if each feature is named once and nothing else is.
    fn column_names(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        let base = pointer_to(&self.base, "columns");
        if json.peek()? != b'[' {
            let got = json.skip()?;
            let detail = || "\"columns\" is a list of names".to_owned();
            self.report.wrong_type(&base, detail, "array", got);
            return Ok(());
        }
        let errors = self.report.count();
        let fields = self.schema.inputs();
        let mut columns = Vec::with_capacity(fields.len());
        let mut given = vec![false; fields.len()];
        json.open()?;
        let mut at = 0;
        while json.element(at == 0)? {
            if let Some(field) = self.column_name(json, &base, at)? {
                if std::mem::replace(&mut given[field], true) {
                    self.report.add(|| {
                        let detail =
                            format!("column {:?} is named twice", shortened(&fields[field].name));
                        FieldError::new(format!("{base}/{at}"), "duplicate-field", detail)
                    });
                }
                columns.push(field);
            }
            at += 1;
        }
        for (field, _) in fields.iter().zip(given).filter(|(_, given)| !given) {
            self.report.add(|| {
                let detail = format!(
                    "feature {:?} is not among the columns",
                    shortened(&field.name)
                );
                FieldError::new(&base, "missing-field", detail)
            });
        }
        self.columns = (self.report.count() == errors).then_some(columns);
        Ok(())
    }

    fn column_name(
        &mut self,
        json: &mut Reader<'_>,
        base: &str,
        at: usize,
    ) -> Result<Option<usize>, DecodeError> {
        if json.peek()? != b'"' {
            let got = json.skip()?;
            let detail = || "a column is a name".to_owned();
            self.report
                .wrong_type(&format!("{base}/{at}"), detail, "string", got);
            return Ok(None);
        }
        let Cell::Text(name) = json.scalar()? else {
            return Ok(None);
        };
        let field = self.field_at(at, &name);
        if field.is_none() {
            self.unknown_field(&name, Some(format!("{base}/{at}")));
        }
        Ok(field)
    }
}
