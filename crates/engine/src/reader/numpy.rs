//! What numpy and joblib write into pickles: types, arrays, scalars.
//!
//! The shapes of these records are those of `numpy/_core/src/multiarray/descriptor.c`
//! (`arraydescr_reduce`), `methods.c` (`array_reduce`, `array_reduce_ex_picklebuffer`)
//! and `joblib/numpy_pickle.py` (`NumpyArrayWrapper`).

use std::borrow::Cow;

use crate::EngineError;
use crate::reader::array::{self, Array, DType, Data, RecordField};
use crate::reader::element::{Endian, Kind, Value};
use crate::reader::pickle::{Arena, Node, NodeId, Object, Role};
use crate::reader::{malformed, printable};

/// More fields than any record that is of interest has.
const MAX_RECORD_FIELDS: usize = 64;
/// The itemsize at which a record is surely hostile.
const MAX_RECORD_BYTES: usize = 1 << 16;

/// What joblib's wrapper says about the bytes that follow it.
pub(crate) struct JoblibHeader {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    pub(crate) fortran: bool,
    /// Whether a padding length and padding precede the bytes (joblib 1.2 and later).
    pub(crate) aligned: bool,
    /// How many bytes follow.
    pub(crate) bytes: usize,
}

/// Reads the state of joblib's array wrapper.
pub(crate) fn joblib_header(
    arena: &Arena<'_>,
    wrapper: NodeId,
) -> Result<JoblibHeader, EngineError> {
    let attribute = |name: &str| {
        let found = arena.attribute(wrapper, name);
        found.ok_or_else(|| malformed(format!("an array of joblib has no {name}")))
    };
    let dtype = dtype(arena, attribute("dtype")?)?;
    let shape = shape(arena, attribute("shape")?)?;
    let bytes = array::count(&shape)?.checked_mul(dtype.size());
    let alignment = arena.attribute(wrapper, "numpy_array_alignment_bytes");
    Ok(JoblibHeader {
        bytes: bytes.ok_or_else(|| malformed("the size of an array overflows"))?,
        fortran: arena.text(attribute("order")?) == Some("F"),
        aligned: alignment.is_some_and(|id| !matches!(arena.get(id), Node::None)),
        dtype,
        shape,
    })
}

/// The array a node is; `None` if it is none.
pub(crate) fn array<'r>(
    arena: &'r Arena<'_>,
    id: NodeId,
) -> Result<Option<Array<'r>>, EngineError> {
    if let Node::Array(array) = arena.get(id) {
        return Ok(Some(array.as_ref().clone()));
    }
    let Some(object) = arena.object(id) else {
        return Ok(None);
    };
    match arena.class(id).map(|class| class.role) {
        Some(Role::Reconstruct) => reconstructed(arena, object).map(Some),
        Some(Role::FromBuffer) => from_buffer(arena, object).map(Some),
        Some(Role::Scalar) => scalar(arena, object).map(Some),
        _ => Ok(None),
    }
}

/// The value a node is, be it Python's or numpy's; `None` for containers and objects.
pub(crate) fn value(arena: &Arena<'_>, id: NodeId) -> Result<Option<Value>, EngineError> {
    Ok(match arena.get(id) {
        Node::Bool(value) => Some(Value::Bool(*value)),
        Node::Int(value) => Some(Value::Int(*value)),
        Node::Float(value) => Some(Value::Float(*value)),
        Node::Text(text) => Some(Value::Text(text.clone().into_owned())),
        Node::Object(_) | Node::Array(_) => match array(arena, id)? {
            Some(array) if array.len() == 1 && array.objects().is_none() => {
                array.values()?.into_iter().next()
            }
            _ => None,
        },
        _ => None,
    })
}

/// `_reconstruct(ndarray, (0,), b'b')` with state (version, shape, dtype, is_fortran, data).
fn reconstructed<'r>(arena: &'r Arena<'_>, object: &Object) -> Result<Array<'r>, EngineError> {
    let state = object.states.last().and_then(|state| arena.members(*state));
    let Some(&[_, shape_id, dtype_id, fortran, data]) = state else {
        return Err(malformed("an array has no state of five parts"));
    };
    let dtype = dtype(arena, dtype_id)?;
    let data = match arena.get(data) {
        Node::List(objects) => Data::Objects(objects.clone()),
        _ => Data::Bytes(bytes(arena, data)?),
    };
    let fortran = matches!(arena.get(fortran), Node::Bool(true) | Node::Int(1));
    Array::new(dtype, shape(arena, shape_id)?, fortran, data)
}

/// `_frombuffer(buffer, dtype, shape, order[, axis_order])`.
fn from_buffer<'r>(arena: &'r Arena<'_>, object: &Object) -> Result<Array<'r>, EngineError> {
    let Some([buffer, dtype_id, shape_id, order, ..]) = arena.arguments(object).first_chunk::<4>()
    else {
        return Err(malformed("an array has no four arguments"));
    };
    let fortran = match arena.text(*order) {
        Some("C") => false,
        Some("F") => true,
        _ => return Err(malformed("an array is neither in C nor in Fortran order")),
    };
    let data = Data::Bytes(bytes(arena, *buffer)?);
    Array::new(
        dtype(arena, *dtype_id)?,
        shape(arena, *shape_id)?,
        fortran,
        data,
    )
}

/// `scalar(dtype, bytes)`.
fn scalar<'r>(arena: &'r Arena<'_>, object: &Object) -> Result<Array<'r>, EngineError> {
    let Some([dtype_id, data]) = arena.arguments(object).first_chunk::<2>() else {
        return Err(malformed("a scalar has no two arguments"));
    };
    let dtype = dtype(arena, *dtype_id)?;
    if dtype.is_object() {
        return Array::new(dtype, Vec::new(), false, Data::Objects(vec![*data]));
    }
    let data = Data::Bytes(bytes(arena, *data)?);
    Array::new(dtype, Vec::new(), false, data)
}

/// Bytes, or what protocols 0 to 2 write in their place: `_codecs.encode(text, 'latin1')`.
fn bytes<'r>(arena: &'r Arena<'_>, id: NodeId) -> Result<Cow<'r, [u8]>, EngineError> {
    if let Node::Bytes(bytes) = arena.get(id) {
        return Ok(Cow::Borrowed(bytes));
    }
    let wrong = || malformed(format!("{} where bytes were expected", arena.describe(id)));
    let object = arena.object(id).ok_or_else(wrong)?;
    match arena.class(id).map(|class| class.role) {
        Some(Role::Encode) => {}
        // `bytes()` and `bytearray()` without arguments are how no bytes are written.
        Some(Role::Inert) if arena.arguments(object).is_empty() => return Ok(Cow::Borrowed(&[])),
        _ => return Err(wrong()),
    }
    let text = arena.arguments(object).first();
    let text = text.and_then(|text| arena.text(*text)).ok_or_else(wrong)?;
    let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    Ok(Cow::Owned(latin1.ok_or_else(wrong)?))
}

fn shape(arena: &Arena<'_>, id: NodeId) -> Result<Vec<usize>, EngineError> {
    let dims = arena
        .members(id)
        .ok_or_else(|| malformed("a shape is no tuple"))?;
    if dims.len() > array::MAX_DIMENSIONS {
        return Err(malformed(format!("an array of {} dimensions", dims.len())));
    }
    dims.iter().map(|dim| arena.size(*dim)).collect()
}

/// `dtype(code, align, copy)` with state
/// (version, byte order, subarray, names, fields, item size, alignment, flags).
fn dtype(arena: &Arena<'_>, id: NodeId) -> Result<DType, EngineError> {
    let object = dtype_object(arena, id)?;
    let state = object.states.last().and_then(|state| arena.members(*state));
    let code = arena
        .arguments(object)
        .first()
        .and_then(|code| arena.text(*code));
    let code = code.ok_or_else(|| malformed("a dtype has no code"))?;
    if let Some(&[_, _, _, names, fields, size, ..]) = state
        && let Some(names) = arena.members(names)
    {
        let size = arena.size(size)?;
        return record(arena, names, fields, size);
    }
    if code.starts_with('O') {
        return Ok(DType::Object);
    }
    let (kind, endian) = plain(arena, id)?;
    Ok(DType::Plain(kind, endian))
}

fn dtype_object<'r>(arena: &'r Arena<'_>, id: NodeId) -> Result<&'r Object, EngineError> {
    let is_dtype = arena
        .class(id)
        .is_some_and(|class| class.role == Role::Dtype);
    let object = arena.object(id).filter(|_| is_dtype);
    object.ok_or_else(|| malformed(format!("{} where a dtype was expected", arena.describe(id))))
}

fn plain(arena: &Arena<'_>, id: NodeId) -> Result<(Kind, Endian), EngineError> {
    let object = dtype_object(arena, id)?;
    let code = arena
        .arguments(object)
        .first()
        .and_then(|code| arena.text(*code));
    let kind = Kind::parse(code.ok_or_else(|| malformed("a dtype has no code"))?)?;
    let state = object.states.last().and_then(|state| arena.members(*state));
    let order = state.and_then(|state| arena.text(*state.get(1)?));
    // '=' and '|' stand for the machine that wrote the file; numpy writes '<' for itself.
    let endian = if order == Some(">") {
        Endian::Big
    } else {
        Endian::Little
    };
    Ok((kind, endian))
}

fn record(
    arena: &Arena<'_>,
    names: &[NodeId],
    fields: NodeId,
    size: usize,
) -> Result<DType, EngineError> {
    if names.len() > MAX_RECORD_FIELDS || size > MAX_RECORD_BYTES {
        return Err(malformed("a record is wider than any that is known"));
    }
    let mut parsed = Vec::with_capacity(names.len());
    for name in names {
        let name = arena
            .text(*name)
            .ok_or_else(|| malformed("a field has no name"))?;
        let entry = arena
            .entry(fields, name)
            .and_then(|field| arena.members(field));
        let Some([field_type, offset, ..]) = entry.and_then(|entry| entry.first_chunk::<2>())
        else {
            return Err(malformed(format!(
                "field {:?} is not described",
                printable(name)
            )));
        };
        let (kind, endian) = plain(arena, *field_type)?;
        parsed.push(RecordField {
            name: name.to_owned(),
            kind,
            endian,
            offset: arena.size(*offset)?,
        });
    }
    array::record(parsed, size)
}
