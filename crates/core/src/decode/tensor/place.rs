//! Tensors into the blocks of a schema.

use super::answer::output_specs;
use super::request::{InferRequest, Tensor, refused};
use crate::column::Batch;
use crate::decode::builder::resolve_shape;
use crate::decode::coerce::store;
use crate::decode::report::{shortened, suggestion};
use crate::decode::{DecodeError, Decoded, Mismatch, PredictOptions};
use crate::field::FieldError;
use crate::schema::{Field, Schema};

/// Reads the tensors of a request into the blocks of `schema`.
///
/// Each input is a tensor of its own with the rows as its first dimension, or,
/// where all inputs are scalars, one tensor of any name has a column for each.
pub fn infer_batch(
    request: &InferRequest<'_>,
    schema: &Schema,
    max_rows: usize,
) -> Result<Decoded, DecodeError> {
    expect_outputs(request, schema)?;
    let mut batch = Batch::empty(schema);
    if let Some(tensor) = matrix(&request.tensors, schema) {
        begin(&mut batch, tensor, max_rows)?;
        tensor
            .expect_room()
            .map_err(|wrong| mistake(tensor, None, &wrong))?;
        make_room(&mut batch);
        fill(&mut batch, tensor, schema, Fields::All)?;
    } else {
        separate(&mut batch, &request.tensors, schema, max_rows)?;
    }
    Ok(Decoded {
        batch,
        options: PredictOptions {
            request_id: request.id.clone(),
            ..PredictOptions::default()
        },
    })
}

/// Refuses outputs that the model does not have.
fn expect_outputs(request: &InferRequest<'_>, schema: &Schema) -> Result<(), DecodeError> {
    if request.outputs.is_empty() {
        return Ok(());
    }
    let specs = output_specs(schema, true);
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    for (index, output) in request.outputs.iter().enumerate() {
        if !names.contains(&output.name.as_str()) {
            let pointer = format!("/outputs/{index}/name");
            let name = shortened(&output.name);
            let detail = format!("the model has no output {name:?}");
            let expected = names
                .iter()
                .take(20)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            return Err(refused(&pointer, "unknown-field", detail, &expected));
        }
    }
    Ok(())
}

/// Which fields the elements of a tensor belong to.
#[derive(Clone, Copy)]
enum Fields {
    /// To one field each, again and again.
    All,
    /// To one field, so many for each row.
    One(usize, usize),
}

/// The only tensor, if it has a column for each of several scalars, or for one.
fn matrix<'r, 'a>(tensors: &'r [Tensor<'a>], schema: &Schema) -> Option<&'r Tensor<'a>> {
    let inputs = schema.inputs();
    let ([tensor], true) = (tensors, inputs.iter().all(Field::is_scalar)) else {
        return None;
    };
    matches!(tensor.shape.as_slice(), [_, columns] if *columns == inputs.len()).then_some(tensor)
}

fn separate(
    batch: &mut Batch,
    tensors: &[Tensor<'_>],
    schema: &Schema,
    max_rows: usize,
) -> Result<(), DecodeError> {
    let mut places = Vec::with_capacity(tensors.len());
    let mut is_there = vec![false; schema.inputs().len()];
    for tensor in tensors {
        let field = schema.position(&tensor.name);
        let field = field.ok_or_else(|| unknown(tensor, schema))?;
        if std::mem::replace(&mut is_there[field], true) {
            let detail = format!("two tensors are called {:?}", shortened(&tensor.name));
            let pointer = format!("/inputs/{}", tensor.index);
            return Err(refused(&pointer, "duplicate-field", detail, "one tensor"));
        }
        begin(batch, tensor, max_rows)?;
        let place = shaped(batch, tensor, schema, field);
        let place = place.and_then(|place| tensor.expect_room().map(|()| place));
        places.push(place.map_err(|wrong| mistake(tensor, None, &wrong))?);
    }
    if let Some(missing) = is_there.iter().position(|there| !there) {
        let name = shortened(&schema.inputs()[missing].name);
        let detail = format!("there is no tensor for the input {name:?}");
        let expected = format!("a tensor {name:?}{}", or_matrix(schema));
        return Err(refused("/inputs", "missing-field", detail, &expected));
    }
    make_room(batch);
    let mut pairs = tensors.iter().zip(places);
    pairs.try_for_each(|(tensor, fields)| fill(batch, tensor, schema, fields))
}

/// Takes the number of rows from a tensor, or compares it with that of those before.
fn begin(batch: &mut Batch, tensor: &Tensor<'_>, max_rows: usize) -> Result<(), DecodeError> {
    let rows = tensor.shape.first().copied().unwrap_or(0);
    if rows > max_rows {
        return Err(DecodeError::TooManyRows {
            limit: max_rows,
            at_least: rows,
        });
    }
    let expected = match (rows, batch.rows) {
        (0, _) => "at least 1 row".to_owned(),
        (rows, before) if before != 0 && rows != before => {
            format!("{before} rows, as in the tensors before")
        }
        _ => {
            batch.rows = rows;
            return Ok(());
        }
    };
    let wrong = Mismatch::new(
        "wrong-length",
        expected,
        format!("shape {:?}", tensor.shape),
    );
    Err(mistake(tensor, None, &wrong))
}

/// Checks the shape of a tensor for one field; sets the width of a field whose
/// length the request chooses.
fn shaped(
    batch: &mut Batch,
    tensor: &Tensor<'_>,
    schema: &Schema,
    field: usize,
) -> Result<Fields, Mismatch> {
    let definition = &schema.inputs()[field];
    let row = tensor.shape.get(1..).unwrap_or_default();
    let per_row = row.iter().product();
    let dims = if definition.is_scalar() {
        matches!(row, [] | [1]).then(Vec::new)
    } else {
        resolve_shape(&definition.shape, row, per_row)
    };
    let Some(dims) = dims else {
        return Err(Mismatch::new(
            "wrong-length",
            format!("shape {}", wire_shape(&definition.shape)),
            format!("shape {:?}", tensor.shape),
        ));
    };
    if definition.shape.iter().any(Option::is_none) {
        let column = &mut batch.columns[schema.slots()[field].block];
        (column.width, column.shape) = (per_row, dims);
    }
    Ok(Fields::One(field, per_row))
}

/// Makes room for all elements; data that is far too short was refused before.
fn make_room(batch: &mut Batch) {
    for column in &mut batch.columns {
        column.values.resize(batch.rows * column.width);
    }
}

fn fill(
    batch: &mut Batch,
    tensor: &Tensor<'_>,
    schema: &Schema,
    fields: Fields,
) -> Result<(), DecodeError> {
    let all = schema.inputs().len();
    let filled = tensor.each(|at, cell| {
        let (row, field, offset) = match fields {
            Fields::All => (at / all, at % all, 0),
            Fields::One(field, per_row) => (at / per_row, field, at % per_row),
        };
        let slot = schema.slots()[field];
        let column = &mut batch.columns[slot.block];
        let at = row * column.width + slot.offset + offset;
        store(&mut column.values, at, cell, &schema.inputs()[field])
    });
    filled.map_err(|(at, wrong)| mistake(tensor, Some(at), &wrong))
}

/// What is wrong with a tensor, or with one of its elements.
fn mistake(tensor: &Tensor<'_>, element: Option<usize>, wrong: &Mismatch) -> DecodeError {
    let name = shortened(&tensor.name);
    let datatype = tensor.datatype.name();
    let (place, part) = match element {
        Some(at) if wrong.code != "wrong-length" => (format!("element {at} of "), "data"),
        Some(_) => (String::new(), "data"),
        None => (String::new(), "shape"),
    };
    let detail = format!("{place}tensor {name:?} ({datatype}) does not fit");
    let pointer = format!("/inputs/{}/{part}", tensor.index);
    let error = FieldError::new(pointer, wrong.code, detail);
    let error = error.expected_got(wrong.expected.clone(), wrong.got.clone());
    DecodeError::Invalid(vec![error])
}

fn unknown(tensor: &Tensor<'_>, schema: &Schema) -> DecodeError {
    let names = schema.inputs().iter().map(|field| field.name.as_str());
    let meant = suggestion(&tensor.name, names);
    let name = shortened(&tensor.name);
    let detail = format!("the model has no input {name:?}{meant}");
    let expected = format!("the names of the model's inputs{}", or_matrix(schema));
    let pointer = format!("/inputs/{}/name", tensor.index);
    refused(&pointer, "unknown-field", detail, &expected)
}

/// The other form of a request, where there is one.
fn or_matrix(schema: &Schema) -> String {
    let inputs = schema.inputs();
    if inputs.iter().all(Field::is_scalar) {
        format!(", or one tensor of shape [-1, {}]", inputs.len())
    } else {
        String::new()
    }
}

/// A field's shape as the protocol has it: rows first, -1 where a request chooses.
fn wire_shape(row: &[Option<usize>]) -> String {
    let dim = |dim: &Option<usize>| dim.map_or_else(|| "-1".to_owned(), |dim| dim.to_string());
    let dims: Vec<String> = row.iter().map(dim).collect();
    format!("[{}]", [&["-1".to_owned()], &dims[..]].concat().join(", "))
}
