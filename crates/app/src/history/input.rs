//! The input of a record as the JSON a client would have sent it: one object,
//! or a list of objects, in the order of the schema.

use plimsoll_core::column::{Batch, Column, Values};
use plimsoll_core::record::{RedactedView, Redaction};
use plimsoll_core::schema::{Field, Schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// All rows of an input. A dropped field is absent; a masked one is the text
/// that stands in for it.
pub(super) struct InputJson<'a> {
    schema: &'a Schema,
    batch: &'a Batch,
    /// What hides each field of the schema, if anything does.
    hidden: Vec<Option<&'a RedactedView<'a>>>,
}

impl<'a> InputJson<'a> {
    /// The rows of `batch`, which has the blocks of `schema`.
    pub(super) fn new(
        schema: &'a Schema,
        batch: &'a Batch,
        redacted: &'a [RedactedView<'a>],
    ) -> Self {
        // Nothing is hidden as a rule, and then nothing is allocated.
        let fields = if redacted.is_empty() {
            0
        } else {
            schema.inputs().len()
        };
        let mut hidden = vec![None; fields];
        for field in redacted {
            let place = usize::try_from(field.field).ok();
            if let Some(place) = place.and_then(|index| hidden.get_mut(index)) {
                *place = Some(field);
            }
        }
        Self {
            schema,
            batch,
            hidden,
        }
    }
}

impl Serialize for InputJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = |row| Row { input: self, row };
        match self.batch.rows {
            1 => row(0).serialize(serializer),
            rows => serializer.collect_seq((0..rows).map(row)),
        }
    }
}

struct Row<'a> {
    input: &'a InputJson<'a>,
    row: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let InputJson {
            schema,
            batch,
            hidden,
        } = self.input;
        let mut map = serializer.serialize_map(None)?;
        for (index, (field, slot)) in schema.inputs().iter().zip(schema.slots()).enumerate() {
            let column = &batch.columns[slot.block];
            let width = field.width().unwrap_or(column.width);
            if let Some(Some(hidden)) = hidden.get(index) {
                let start = self.row * width;
                stand_in(&mut map, field, hidden, start..start + width)?;
                continue;
            }
            let start = self.row * column.width + slot.offset;
            map.serialize_entry(
                &field.name,
                &Cell {
                    column,
                    at: start..start + width,
                    is_scalar: field.is_scalar(),
                },
            )?;
        }
        map.end()
    }
}

/// Writes what is kept of a redacted field in one row, if anything.
fn stand_in<M: SerializeMap>(
    map: &mut M,
    field: &Field,
    hidden: &RedactedView<'_>,
    at: std::ops::Range<usize>,
) -> Result<(), M::Error> {
    if hidden.redaction == Redaction::Drop {
        return Ok(());
    }
    let one = |at: usize| hidden.stand_ins.get(at).copied().flatten();
    if field.is_scalar() {
        return map.serialize_entry(&field.name, &one(at.start));
    }
    let all: Vec<Option<&str>> = at.map(one).collect();
    map.serialize_entry(&field.name, &all)
}

/// One value of one row: a scalar, or a flat list. A missing number is null.
struct Cell<'a> {
    column: &'a Column,
    at: std::ops::Range<usize>,
    is_scalar: bool,
}

impl Cell<'_> {
    fn of<T: Serialize, S: Serializer>(
        &self,
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match &values[self.at.clone()] {
            [scalar] if self.is_scalar => scalar.serialize(serializer),
            list => list.serialize(serializer),
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.column.values {
            Values::Float32(values) => self.of(values, serializer),
            Values::Float64(values) => self.of(values, serializer),
            Values::Int64(values) => self.of(values, serializer),
            Values::Bool(values) => self.of(values, serializer),
            Values::Text(values) => self.of(values, serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::schema::DataType;

    use super::*;

    #[test]
    fn fields_stand_in_the_order_of_the_schema_and_missing_is_null() {
        let mut list = Field::scalar("list", DataType::Int64);
        list.shape = vec![Some(2)];
        let schema = Schema::packed(vec![
            Field::scalar("x10", DataType::Float64),
            list,
            Field::scalar("city", DataType::String),
            Field::scalar("x2", DataType::Float64),
        ])
        .unwrap();
        let column = |values, width| Column {
            values,
            width,
            shape: Vec::new(),
        };
        let batch = Batch {
            rows: 2,
            columns: vec![
                column(Values::Float64(vec![1.5, f64::NAN, 3.0, 4.0]), 2),
                column(Values::Int64(vec![1, 2, 3, 4]), 2),
                column(Values::Text(vec![Some("Bergen".to_owned()), None]), 1),
            ],
        };
        let text = serde_json::to_string(&InputJson::new(&schema, &batch, &[])).unwrap();
        assert_eq!(
            text,
            r#"[{"x10":1.5,"list":[1,2],"city":"Bergen","x2":null},{"x10":3.0,"list":[3,4],"city":null,"x2":4.0}]"#
        );
    }
}
