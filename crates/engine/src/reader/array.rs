//! An array as a file holds it: type, shape, order, and bytes not yet decoded.

use std::borrow::Cow;

use crate::EngineError;
use crate::reader::element::{Endian, Kind, Value};
use crate::reader::pickle::NodeId;
use crate::reader::{malformed, printable, too_large};

/// The dimensions numpy itself allows.
pub(crate) const MAX_DIMENSIONS: usize = 32;

/// The element type of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DType {
    /// Numbers, truth values or text.
    Plain(Kind, Endian),
    /// References to Python objects.
    Object,
    /// Records of named plain fields, as the nodes of scikit-learn's trees are.
    Record(Vec<RecordField>, usize),
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordField {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) endian: Endian,
    /// Bytes before this field within a record.
    pub(crate) offset: usize,
}

/// Where the elements are.
#[derive(Clone, Debug)]
pub(crate) enum Data<'a> {
    /// Their bytes, in the order of the array.
    Bytes(Cow<'a, [u8]>),
    /// The objects they refer to, in C order.
    Objects(Vec<NodeId>),
}

/// An array whose byte count has been checked against its type and shape.
#[derive(Clone, Debug)]
pub(crate) struct Array<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    fortran: bool,
    data: Data<'a>,
}

impl DType {
    /// Whether the elements are references.
    pub(crate) const fn is_object(&self) -> bool {
        matches!(self, Self::Object)
    }

    /// Bytes one element takes; zero for references.
    pub(crate) const fn size(&self) -> usize {
        match self {
            Self::Plain(kind, _) => kind.size(),
            Self::Object => 0,
            Self::Record(_, size) => *size,
        }
    }
}

/// The elements of an array of this shape, if they can be counted.
pub(crate) fn count(shape: &[usize]) -> Result<usize, EngineError> {
    if shape.len() > MAX_DIMENSIONS {
        return Err(malformed(format!("an array of {} dimensions", shape.len())));
    }
    shape
        .iter()
        .try_fold(1_usize, |product, dim| product.checked_mul(*dim))
        .ok_or_else(|| too_large("the shape of an array overflows"))
}

impl<'a> Array<'a> {
    /// An array of `shape` over `data`, which must hold exactly its elements.
    pub(crate) fn new(
        dtype: DType,
        shape: Vec<usize>,
        fortran: bool,
        data: Data<'a>,
    ) -> Result<Self, EngineError> {
        let elements = count(&shape)?;
        let fits = match &data {
            Data::Bytes(bytes) => {
                dtype != DType::Object && elements.checked_mul(dtype.size()) == Some(bytes.len())
            }
            Data::Objects(objects) => dtype == DType::Object && objects.len() == elements,
        };
        if !fits {
            return Err(malformed("an array does not hold what its shape says"));
        }
        Ok(Self {
            dtype,
            shape,
            fortran,
            data,
        })
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The objects of an array of references.
    pub(crate) fn objects(&self) -> Option<&[NodeId]> {
        match &self.data {
            Data::Objects(objects) => Some(objects),
            Data::Bytes(_) => None,
        }
    }

    /// Every element, in C order.
    pub(crate) fn values(&self) -> Result<Vec<Value>, EngineError> {
        let (kind, endian) = self.plain()?;
        self.collect(|bytes| Value::decode(kind, endian, bytes))
    }

    /// Every element as a number, in C order.
    pub(crate) fn f64s(&self) -> Result<Vec<f64>, EngineError> {
        let (kind, endian) = self.plain()?;
        if matches!(kind, Kind::Unicode(_) | Kind::Bytes(_)) {
            return Err(malformed("text where numbers were expected"));
        }
        self.collect(|bytes| {
            let value = Value::decode(kind, endian, bytes)?;
            value
                .as_f64()
                .ok_or_else(|| malformed("text where numbers were expected"))
        })
    }

    /// One field of every record, in C order; `None` if the records lack it.
    pub(crate) fn record_values(&self, name: &str) -> Result<Option<Vec<Value>>, EngineError> {
        let DType::Record(fields, _) = &self.dtype else {
            return Err(malformed("records were expected in an array"));
        };
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return Ok(None);
        };
        let end = field.offset + field.kind.size();
        self.collect(|bytes| {
            let bytes = bytes.get(field.offset..end);
            let bytes = bytes.ok_or_else(|| malformed("a field lies outside its record"))?;
            Value::decode(field.kind, field.endian, bytes)
        })
        .map(Some)
    }

    fn plain(&self) -> Result<(Kind, Endian), EngineError> {
        match &self.dtype {
            DType::Plain(kind, endian) => Ok((*kind, *endian)),
            DType::Object | DType::Record(..) => {
                Err(malformed("plain values were expected in an array"))
            }
        }
    }

    fn collect<T: Clone>(
        &self,
        decode: impl Fn(&[u8]) -> Result<T, EngineError>,
    ) -> Result<Vec<T>, EngineError> {
        let Data::Bytes(bytes) = &self.data else {
            return Err(malformed("plain values were expected in an array"));
        };
        let size = self.dtype.size();
        let mut stored = Vec::with_capacity(self.len().min(bytes.len()));
        for index in 0..self.len() {
            // An array of empty strings has elements without bytes.
            stored.push(decode(
                bytes.get(index * size..(index + 1) * size).unwrap_or(&[]),
            )?);
            if size == 0 && index > bytes.len() {
                return Err(malformed("an array of elements without bytes"));
            }
        }
        if self.fortran && self.shape.len() > 1 {
            return Ok(to_c_order(&stored, &self.shape));
        }
        Ok(stored)
    }
}

/// Column-major to row-major.
fn to_c_order<T: Clone>(stored: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for dim in shape {
        strides.push(stride);
        stride *= dim;
    }
    let mut index = vec![0_usize; shape.len()];
    let mut sorted = Vec::with_capacity(stored.len());
    for _ in 0..stored.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        sorted.push(stored[at].clone());
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    sorted
}

/// Checks that the fields of a record lie within it.
pub(crate) fn record(fields: Vec<RecordField>, size: usize) -> Result<DType, EngineError> {
    for field in &fields {
        let end = field.offset.checked_add(field.kind.size());
        if end.is_none_or(|end| end > size) {
            let name = printable(&field.name);
            return Err(malformed(format!("field {name:?} lies outside its record")));
        }
    }
    Ok(DType::Record(fields, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const F8: DType = DType::Plain(Kind::Float(8), Endian::Little);

    fn bytes(values: &[f64]) -> Data<'static> {
        Data::Bytes(Cow::Owned(
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ))
    }

    #[test]
    fn fortran_order_is_turned_into_c_order() {
        let data = bytes(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let array = Array::new(F8, vec![2, 3], true, data).unwrap();
        assert_eq!(array.f64s().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_shape_that_overflows_or_lies_is_refused() {
        assert!(count(&[usize::MAX, 2]).is_err());
        assert!(count(&[1; 33]).is_err());
        assert!(Array::new(F8, vec![3], false, bytes(&[1.0, 2.0])).is_err());
        assert!(Array::new(DType::Object, vec![2], false, bytes(&[1.0, 2.0])).is_err());
    }

    #[test]
    fn a_field_of_records_is_read_by_name() {
        let fields = vec![RecordField {
            name: "b".into(),
            kind: Kind::UInt(1),
            endian: Endian::Little,
            offset: 1,
        }];
        let data = Data::Bytes(Cow::Borrowed(&[1, 2, 3, 4]));
        let array = Array::new(record(fields, 2).unwrap(), vec![2], false, data).unwrap();
        let values = array.record_values("b").unwrap().unwrap();
        assert_eq!(values, [Value::Int(2), Value::Int(4)]);
        assert_eq!(array.record_values("c").unwrap(), None);
    }

    #[test]
    fn elements_without_bytes_cannot_be_multiplied() {
        let empty = DType::Plain(Kind::Unicode(0), Endian::Little);
        let data = Data::Bytes(Cow::Borrowed(&[]));
        let array = Array::new(empty, vec![usize::MAX], false, data).unwrap();
        assert!(array.values().is_err());
    }
}
