//! The forms rows come in: by name, by position, split into columns and data.

use super::builder::Numbers;
use super::coerce::narrow;
use super::json::Reader;
use super::report::{Report, pointer_to};
use super::{BatchBuilder, DecodeError};
use crate::column::Batch;
use crate::field::FieldError;
use crate::schema::Schema;

/// Reads the value of `inputs` into a batch.
pub(super) struct RowReader<'s, 'r> {
    pub(super) schema: &'s Schema,
    pub(super) builder: BatchBuilder<'s>,
    pub(super) report: &'r mut Report,
    max_rows: usize,
    /// Pointer to the list of rows, or to the only row.
    pub(super) base: String,
    /// Index of the current row in its list; `None` for a row on its own.
    pub(super) row: Option<usize>,
    /// Field at each position of the first object, tried first for the next ones.
    pub(super) order: Vec<usize>,
    /// The field of each position in a row, where the request says so.
    pub(super) columns: Option<Vec<usize>>,
    /// Where inside a tensor reading has arrived.
    pub(super) path: Vec<usize>,
    /// Whether the features have no names but x0, x1, …; found out when needed.
    unnamed: Option<bool>,
}

/// How the client referred to a feature.
#[derive(Clone, Copy)]
pub(super) enum Label<'a> {
    /// By a key.
    Name(&'a str),
    /// By a position in the row.
    Position(usize),
    /// The row is the value itself.
    Whole,
}

impl<'s, 'r> RowReader<'s, 'r> {
    pub(super) fn new(schema: &'s Schema, max_rows: usize, report: &'r mut Report) -> Self {
        Self {
            schema,
            builder: BatchBuilder::new(schema),
            report,
            max_rows,
            base: String::new(),
            row: None,
            order: Vec::new(),
            columns: None,
            path: Vec::new(),
            unnamed: None,
        }
    }

    /// Reads all rows; `key` is the body's name for them.
    pub(super) fn read(mut self, json: &mut Reader<'_>, key: &str) -> Result<Batch, DecodeError> {
        self.base = pointer_to("", key);
        match json.peek()? {
            b'{' if self.is_split(*json)? => self.split(json)?,
            b'{' => self.row_of(json, Self::named_row)?,
            b'[' if self.is_plain_row(*json)? => self.row_of(json, Self::positional_row)?,
            b'[' => self.list(json, Self::any_row)?,
            _ => {
                let got = json.skip()?;
                let detail = || format!("{key:?} takes rows, not {got}");
                self.report
                    .wrong_type(&self.base, detail, "object or array", got);
            }
        }
        Ok(self.builder.finish())
    }

    /// Reads one row on its own, in any form it has in a list of rows.
    pub(super) fn read_row(mut self, json: &mut Reader<'_>) -> Result<Batch, DecodeError> {
        self.row_of(json, Self::any_row)?;
        Ok(self.builder.finish())
    }

    /// Whether the object that comes next is `{"columns": …, "data": …}` and not a row.
    fn is_split(&self, mut json: Reader<'_>) -> Result<bool, DecodeError> {
        json.open()?;
        let is_field = |name: &str| self.schema.position(name).is_some();
        let first = json.key(true)?;
        Ok(first.is_some_and(|key| {
            matches!(&*key, "columns" | "data" | "index") && !is_field(&key) && !is_field("columns")
        }))
    }

    /// Whether the list that comes next is one row of an unnamed model's numbers.
    fn is_plain_row(&mut self, mut json: Reader<'_>) -> Result<bool, DecodeError> {
        json.open()?;
        Ok(self.schema.inputs().len() > 1
            && json.element(true)?
            && !matches!(json.peek()?, b'{' | b'[')
            && self.is_unnamed())
    }

    pub(super) fn is_unnamed(&mut self) -> bool {
        *self.unnamed.get_or_insert_with(|| is_unnamed(self.schema))
    }

    pub(super) fn list<'a>(
        &mut self,
        json: &mut Reader<'a>,
        read: fn(&mut Self, &mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        json.open()?;
        let mut rows = 0;
        while json.element(rows == 0)? {
            self.row = Some(rows);
            rows += 1;
            if rows > self.max_rows {
                return Err(DecodeError::TooManyRows {
                    limit: self.max_rows,
                    at_least: rows,
                });
            }
            self.row_of(json, read)?;
        }
        if rows == 0 {
            let error = FieldError::new(&self.base, "wrong-length", "there is no row to predict");
            self.report
                .add(|| error.expected_got("at least 1 row", "0 rows"));
        }
        Ok(())
    }

    /// Reads one row and keeps it if nothing is wrong with it.
    fn row_of<'a>(
        &mut self,
        json: &mut Reader<'a>,
        read: fn(&mut Self, &mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let errors = self.report.count();
        self.builder.begin_row();
        read(self, json)?;
        if self.report.count() > errors || !self.builder.end_row() {
            // The batch is lost; later rows are only checked, in the same place.
            self.builder.discard_row();
        }
        Ok(())
    }

    fn any_row(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        let only = match self.schema.inputs() {
            [field] => Some(field.shape.len()),
            _ => None,
        };
        match (json.peek()?, only) {
            (b'{', _) => self.named_row(json),
            (b'[', Some(rank)) if rank > 0 => {
                // A row of one tensor is the tensor, or a list around it. Of two
                // readings the one without the extra list wins.
                let brackets = json.leading_brackets();
                if brackets == rank || brackets == 1 {
                    self.value(json, 0, Label::Whole)
                } else {
                    self.positional_row(json)
                }
            }
            (b'[', _) => self.positional_row(json),
            (_, Some(_)) => self.value(json, 0, Label::Whole),
            (_, None) => {
                let got = json.skip()?;
                self.not_a_row("object or array", got);
                Ok(())
            }
        }
    }

    fn named_row(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        json.open()?;
        let mut at = 0;
        while let Some(name) = json.key(at == 0)? {
            let field = self.field_at(at, &name);
            at += 1;
            if let Some(field) = field {
                self.value(json, field, Label::Name(&name))?;
            } else {
                json.skip()?;
                self.unknown_field(&name, None);
            }
        }
        self.report_missing();
        Ok(())
    }

    pub(super) fn positional_row(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        if self.columns.is_none() && self.row_of_numbers(json) {
            return Ok(());
        }
        json.open()?;
        let takes = self
            .columns
            .as_ref()
            .map_or(self.schema.inputs().len(), Vec::len);
        let mut sent = 0;
        while json.element(sent == 0)? {
            if sent < takes {
                let field = self.columns.as_ref().map_or(sent, |columns| columns[sent]);
                self.value(json, field, Label::Position(sent))?;
            } else {
                json.skip()?;
            }
            sent += 1;
        }
        if sent != takes {
            self.wrong_width(takes, sent);
        }
        Ok(())
    }

    /// Reads a row of nothing but numbers in schema order, which is what most
    /// clients send, without a cell for each; `false` if it is no such row.
    fn row_of_numbers(&mut self, json: &mut Reader<'_>) -> bool {
        let is_read = match self.builder.numbers() {
            Some(Numbers::Float64(row)) => json.plain_numbers(row.len(), |place, number| {
                row[place] = number;
                true
            }),
            Some(Numbers::Float32(row)) => json.plain_numbers(row.len(), |place, number| {
                narrow(number).is_ok_and(|single| {
                    row[place] = single;
                    true
                })
            }),
            None => false,
        };
        if is_read {
            self.builder.set_all();
        }
        is_read
    }
}

/// Whether the features have no names but x0, x1, …
pub(super) fn is_unnamed(schema: &Schema) -> bool {
    let mut fields = schema.inputs().iter().enumerate();
    fields.all(|(i, field)| field.name.strip_prefix('x') == Some(i.to_string().as_str()))
}
