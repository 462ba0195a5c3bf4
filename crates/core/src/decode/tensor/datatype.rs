//! The element types of tensors.

use crate::schema::DataType;

/// Element type of a tensor on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the protocol's own names")]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

/// Each type, its name, and the bytes of one element; texts say their own length.
const TABLE: [(Datatype, &str, Option<usize>); 14] = [
    (Datatype::Bool, "BOOL", Some(1)),
    (Datatype::Uint8, "UINT8", Some(1)),
    (Datatype::Uint16, "UINT16", Some(2)),
    (Datatype::Uint32, "UINT32", Some(4)),
    (Datatype::Uint64, "UINT64", Some(8)),
    (Datatype::Int8, "INT8", Some(1)),
    (Datatype::Int16, "INT16", Some(2)),
    (Datatype::Int32, "INT32", Some(4)),
    (Datatype::Int64, "INT64", Some(8)),
    (Datatype::Fp16, "FP16", Some(2)),
    (Datatype::Bf16, "BF16", Some(2)),
    (Datatype::Fp32, "FP32", Some(4)),
    (Datatype::Fp64, "FP64", Some(8)),
    (Datatype::Bytes, "BYTES", None),
];

impl Datatype {
    /// The type with this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut rows = TABLE.iter();
        rows.find(|(_, known, _)| *known == name)
            .map(|(datatype, ..)| *datatype)
    }

    /// The protocol's name.
    pub const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Bytes of one element in binary data; `None` where each says its own.
    pub const fn size(self) -> Option<usize> {
        TABLE[self as usize].2
    }
}

impl From<DataType> for Datatype {
    fn from(data_type: DataType) -> Self {
        match data_type {
            DataType::Float32 => Self::Fp32,
            DataType::Float64 => Self::Fp64,
            DataType::Int64 => Self::Int64,
            DataType::Bool => Self::Bool,
            DataType::String => Self::Bytes,
        }
    }
}
