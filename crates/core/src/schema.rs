//! The input and output schema of a model, and how its rows lie in memory.
//!
//! A schema names *fields* (what a caller sends) and places each in a *block*
//! (a flat, row-major buffer the engine reads). A scikit-learn model over 30
//! numbers has 30 fields in one block of width 30; an ONNX network over one
//! image has one field that fills its block alone.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Element type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// 64-bit signed integer.
    Int64,
    /// True or false.
    Bool,
    /// UTF-8 text.
    String,
}

impl DataType {
    /// The name used in schemas and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::String => "string",
        }
    }

    /// What a JSON client has to send for this type.
    pub const fn json_name(self) -> &'static str {
        match self {
            Self::Float32 | Self::Float64 => "number",
            Self::Int64 => "integer",
            Self::Bool => "boolean",
            Self::String => "string",
        }
    }
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One of several classes.
    Classification,
    /// One or several numbers.
    Regression,
    /// Future values of a series.
    Forecast,
    /// Normal or not.
    Outlier,
    /// A group the row belongs to.
    Clustering,
    /// A vector that stands for the input.
    Embedding,
    /// None of the above, or unknown.
    Other,
}

impl Task {
    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Regression => "regression",
            Self::Forecast => "forecast",
            Self::Outlier => "outlier",
            Self::Clustering => "clustering",
            Self::Embedding => "embedding",
            Self::Other => "other",
        }
    }
}

/// The text names no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected one of classification, regression, forecast, outlier, clustering, embedding, other"
)]
pub struct UnknownTask;

impl TryFrom<String> for Task {
    type Error = UnknownTask;

    fn try_from(text: String) -> Result<Self, UnknownTask> {
        const ALL: [Task; 7] = [
            Task::Classification,
            Task::Regression,
            Task::Forecast,
            Task::Outlier,
            Task::Clustering,
            Task::Embedding,
            Task::Other,
        ];
        ALL.into_iter()
            .find(|task| task.name() == text)
            .ok_or(UnknownTask)
    }
}

/// A class a classifier can answer, in the type it was trained with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassLabel {
    /// `numpy.bool_` labels.
    Bool(bool),
    /// Integer labels.
    Int(i64),
    /// Floating-point labels.
    Float(f64),
    /// Text labels.
    Text(String),
}

/// One named value of a row, or one named value of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The name a caller uses.
    pub name: String,
    /// Element type.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Whether `null` (missing) is accepted.
    #[serde(default)]
    pub nullable: bool,
    /// Dimensions of one row's value; empty for a scalar, `None` for a length
    /// that each request chooses (equal for all its rows).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shape: Vec<Option<usize>>,
    /// The known values of a categorical field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<String>>,
}

impl Field {
    /// A scalar field that must be present.
    pub fn scalar(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            nullable: false,
            shape: Vec::new(),
            categories: None,
        }
    }

    /// The same field, accepting `null`.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Elements one row's value holds; `None` when the request chooses a length.
    pub fn width(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1_usize, |width, dim| width.checked_mul((*dim)?))
    }

    /// Whether one row's value is a single element.
    pub fn is_scalar(&self) -> bool {
        self.shape.is_empty()
    }
}

/// Where a field's elements lie: in which block, at which offset within a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Index into [`Schema::blocks`].
    pub block: usize,
    /// Elements before this field in one row of the block.
    pub offset: usize,
}

/// A flat, row-major buffer of one element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Element type.
    pub data_type: DataType,
    /// Elements in one row; `None` when the request chooses.
    pub width: Option<usize>,
}

/// A schema that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchema {
    /// Two inputs share a name, so matching by name would be ambiguous.
    #[error("two inputs are called {0:?}")]
    DuplicateName(String),
    /// A shape whose element count does not fit in memory.
    #[error("the shape of input {0:?} is too large")]
    TooLarge(String),
}

/// What a model takes and what it answers.
#[derive(Clone, Debug)]
pub struct Schema {
    inputs: Vec<Field>,
    slots: Vec<Slot>,
    blocks: Vec<Block>,
    by_name: HashMap<String, usize>,
    /// What the model answers, besides class probabilities.
    pub outputs: Vec<Field>,
    /// Classes in the order of the probability columns; empty if not a classifier.
    pub classes: Vec<ClassLabel>,
    /// What the model is for.
    pub task: Task,
}

impl Schema {
    /// Packs all scalar fields of one type into one block, in order of first
    /// appearance, and gives every other field a block of its own.
    ///
    /// A model over 30 numbers gets one block of width 30, in schema order.
    pub fn packed(inputs: Vec<Field>) -> Result<Self, InvalidSchema> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut slots = Vec::with_capacity(inputs.len());
        let mut shared: Vec<(DataType, usize)> = Vec::new();
        for field in &inputs {
            if !field.is_scalar() {
                slots.push(Slot {
                    block: blocks.len(),
                    offset: 0,
                });
                blocks.push(Block {
                    data_type: field.data_type,
                    width: field_width(field)?,
                });
                continue;
            }
            let found = shared
                .iter()
                .find(|(data_type, _)| *data_type == field.data_type);
            let block = if let Some((_, block)) = found {
                *block
            } else {
                shared.push((field.data_type, blocks.len()));
                blocks.push(Block {
                    data_type: field.data_type,
                    width: Some(0),
                });
                blocks.len() - 1
            };
            let width = blocks[block].width.unwrap_or(0);
            slots.push(Slot {
                block,
                offset: width,
            });
            blocks[block].width = Some(width + 1);
        }
        Self::assemble(inputs, slots, blocks)
    }

    /// Gives every field a block of its own, as ONNX graphs with several inputs need.
    pub fn separate(inputs: Vec<Field>) -> Result<Self, InvalidSchema> {
        let mut blocks = Vec::with_capacity(inputs.len());
        for field in &inputs {
            blocks.push(Block {
                data_type: field.data_type,
                width: field_width(field)?,
            });
        }
        let slots = (0..inputs.len())
            .map(|block| Slot { block, offset: 0 })
            .collect();
        Self::assemble(inputs, slots, blocks)
    }

    fn assemble(
        inputs: Vec<Field>,
        slots: Vec<Slot>,
        blocks: Vec<Block>,
    ) -> Result<Self, InvalidSchema> {
        let mut by_name = HashMap::with_capacity(inputs.len());
        for (index, field) in inputs.iter().enumerate() {
            if by_name.insert(field.name.clone(), index).is_some() {
                return Err(InvalidSchema::DuplicateName(field.name.clone()));
            }
        }
        Ok(Self {
            inputs,
            slots,
            blocks,
            by_name,
            outputs: Vec::new(),
            classes: Vec::new(),
            task: Task::Other,
        })
    }

    /// The same schema with what the model answers.
    #[must_use]
    pub fn answering(mut self, task: Task, outputs: Vec<Field>, classes: Vec<ClassLabel>) -> Self {
        self.task = task;
        self.outputs = outputs;
        self.classes = classes;
        self
    }

    /// Input fields, in schema order.
    pub fn inputs(&self) -> &[Field] {
        &self.inputs
    }

    /// Where each input field lies, in schema order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The buffers one batch consists of.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Index of the input field called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

fn field_width(field: &Field) -> Result<Option<usize>, InvalidSchema> {
    let width = field.width();
    if width.is_none() && field.shape.iter().all(Option::is_some) {
        return Err(InvalidSchema::TooLarge(field.name.clone()));
    }
    Ok(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_of_one_type_share_a_block_in_order() {
        let schema = Schema::packed(vec![
            Field::scalar("age", DataType::Float64),
            Field::scalar("city", DataType::String),
            Field::scalar("income", DataType::Float64),
        ])
        .unwrap();
        assert_eq!(schema.blocks().len(), 2);
        assert_eq!(schema.blocks()[0].width, Some(2));
        assert_eq!(
            schema.slots()[2],
            Slot {
                block: 0,
                offset: 1
            }
        );
        assert_eq!(schema.position("city"), Some(1));
    }

    #[test]
    fn a_duplicate_name_is_refused() {
        let twice = vec![
            Field::scalar("a", DataType::Bool),
            Field::scalar("a", DataType::Bool),
        ];
        assert_eq!(
            Schema::packed(twice).unwrap_err(),
            InvalidSchema::DuplicateName("a".into())
        );
    }

    #[test]
    fn a_shape_that_overflows_is_refused() {
        let mut field = Field::scalar("x", DataType::Float32);
        field.shape = vec![Some(usize::MAX), Some(2)];
        assert_eq!(
            Schema::separate(vec![field]).unwrap_err(),
            InvalidSchema::TooLarge("x".into())
        );
    }
}
