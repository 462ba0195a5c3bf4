//! A row that any model of a schema accepts: for warm-up and for examples.

use serde_json::{Map, Value, json};

use crate::column::{Batch, Column, Values};
use crate::schema::{Block, DataType, Field, Schema};

/// Length given to a dimension that the request would choose.
const CHOSEN_LEN: usize = 1;

/// One row: of a field with known values the first, else numbers are 0, truth
/// values false and texts empty.
pub fn example_batch(schema: &Schema) -> Batch {
    let mut batch = Batch {
        rows: 1,
        columns: schema.blocks().iter().map(example_column).collect(),
    };
    for (field, slot) in schema.inputs().iter().zip(schema.slots()) {
        let column = &mut batch.columns[slot.block];
        if schema.blocks()[slot.block].width.is_none() {
            let dims: Vec<usize> = field
                .shape
                .iter()
                .map(|dim| dim.unwrap_or(CHOSEN_LEN))
                .collect();
            column.width = dims.iter().product();
            column.shape = dims;
            column.values = filled(field.data_type, column.width);
        }
        match (&mut column.values, first_category(field)) {
            (Values::Text(texts), Some(first)) => texts[slot.offset] = Some(first.to_owned()),
            (Values::Float64(numbers), Some(_)) => numbers[slot.offset] = known_number(field),
            _ => {}
        }
    }
    batch
}

/// The same row as a client would send it: one JSON object.
pub fn example_row(schema: &Schema) -> Value {
    let fields = schema.inputs().iter();
    Value::Object(
        fields
            .map(|field| (field.name.clone(), example_value(field)))
            .collect::<Map<_, _>>(),
    )
}

fn example_column(block: &Block) -> Column {
    let width = block.width.unwrap_or(0);
    Column {
        values: filled(block.data_type, width),
        width,
        shape: Vec::new(),
    }
}

fn filled(data_type: DataType, len: usize) -> Values {
    match data_type {
        DataType::Float32 => Values::Float32(vec![0.0; len]),
        DataType::Float64 => Values::Float64(vec![0.0; len]),
        DataType::Int64 => Values::Int64(vec![0; len]),
        DataType::Bool => Values::Bool(vec![false; len]),
        DataType::String => Values::Text(vec![Some(String::new()); len]),
    }
}

fn first_category(field: &Field) -> Option<&str> {
    field.categories.as_ref()?.first().map(String::as_str)
}

/// The first known value of a field of numbers, which are written as texts; else 0.
fn known_number(field: &Field) -> f64 {
    let first = first_category(field).and_then(|text| text.parse().ok());
    first.unwrap_or_default()
}

fn example_value(field: &Field) -> Value {
    let scalar = match field.data_type {
        DataType::Float32 => json!(0.0),
        DataType::Float64 => json!(known_number(field)),
        DataType::Int64 => json!(0),
        DataType::Bool => json!(false),
        DataType::String => json!(first_category(field).unwrap_or_default()),
    };
    field.shape.iter().rev().fold(scalar, |inner, dim| {
        Value::Array(vec![inner; dim.unwrap_or(CHOSEN_LEN)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Field;

    #[test]
    fn an_example_has_a_value_for_every_field() {
        let mut city = Field::scalar("city", DataType::String);
        city.categories = Some(vec!["Oslo".into()]);
        let mut floor = Field::scalar("floor", DataType::Float64);
        floor.categories = Some(vec!["2".into(), "3".into()]);
        let age = Field::scalar("age", DataType::Float64);
        let schema = Schema::packed(vec![age, city, floor]).unwrap();
        let row = json!({"age": 0.0, "city": "Oslo", "floor": 2.0});
        assert_eq!(example_row(&schema), row);
        let batch = example_batch(&schema);
        assert_eq!(batch.f64_block(0), Some(&[0.0, 2.0][..]));
        assert_eq!(
            batch.columns[1].values,
            Values::Text(vec![Some("Oslo".into())])
        );
    }

    #[test]
    fn chosen_dimensions_get_a_length() {
        let mut tokens = Field::scalar("tokens", DataType::Int64);
        tokens.shape = vec![None, Some(2)];
        let schema = Schema::separate(vec![tokens]).unwrap();
        assert_eq!(example_row(&schema), json!({"tokens": [[0, 0]]}));
        let batch = example_batch(&schema);
        assert_eq!(
            (batch.columns[0].width, batch.columns[0].shape.as_slice()),
            (2, &[1, 2][..])
        );
    }
}
