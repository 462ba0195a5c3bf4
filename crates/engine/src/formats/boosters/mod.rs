//! Models of the gradient boosting libraries, read from their own files.
//!
//! Their parts become the trees and links of [`crate::kernel`]. What a file is
//! read as does not depend on whether it stands alone or within a pickle.

pub(crate) mod catboost;
pub(crate) mod lightgbm;
pub(crate) mod xgboost;

use plimsoll_core::schema::{ClassLabel, DataType, Field, Schema, Task};

use crate::EngineError;
use crate::kernel::head::{Answering, Head};
use crate::kernel::heads::boosting::Boosting;
use crate::kernel::model::Model;
use crate::kernel::native::Native;
use crate::kernel::trees::Columns;
use crate::open::{Description, Opened};
use crate::reader::malformed;

/// Most columns of a row: nodes of trees count them in 16 bits.
const MAX_FEATURES: usize = 65_535;
/// Longest name of a feature.
const MAX_NAME_BYTES: usize = 4096;

/// A model as its file has it.
pub(crate) struct Booster {
    /// Its trees.
    pub(crate) head: Boosting,
    /// A field for each column, in order.
    pub(crate) fields: Vec<Field>,
    /// Classes of a classifier, in the order of its probabilities; none otherwise.
    pub(crate) classes: Vec<ClassLabel>,
    /// The type of its values, if it answers values.
    pub(crate) values: DataType,
    /// What it learned, in the words of its library.
    pub(crate) objective: String,
    /// The library and version that wrote it, if it says so.
    pub(crate) library: String,
    /// Remarks the owner should read.
    pub(crate) notes: Vec<String>,
}

impl Booster {
    /// What it answers if it is no classifier.
    pub(crate) fn outputs(&self) -> (Task, Vec<Field>) {
        let mut field = Field::scalar("prediction", self.values);
        let values = self.head.gives().values;
        if values != 1 {
            field.shape = vec![Some(values)];
        }
        (Task::Regression, vec![field])
    }

    /// Makes its trees look at other columns than those of the rows.
    fn over(&mut self, columns: Columns) -> Result<(), EngineError> {
        self.head.over(columns)
    }

    /// The model, ready to predict, as a file of `format` that holds an `algorithm`.
    pub(crate) fn open(self, format: &str, algorithm: &str) -> Result<Opened, EngineError> {
        let schema = Schema::packed(self.fields.clone());
        let schema = schema.map_err(|error| malformed(error.to_string()))?;
        let schema = if self.classes.is_empty() {
            let (task, outputs) = self.outputs();
            schema.answering(task, outputs, Vec::new())
        } else {
            schema.answering(Task::Classification, Vec::new(), self.classes)
        };
        let model = Model::new(Vec::new(), Head::Boosting(self.head))?;
        Ok(Opened {
            predictor: Box::new(Native::new(schema, model)?),
            description: Description {
                format: format.to_owned(),
                algorithm: format!("{algorithm} ({})", self.objective),
                library: Some(self.library),
                notes: self.notes,
            },
        })
    }
}

/// Classes that were never named: 0, 1, ….
fn numbered(count: usize) -> Vec<ClassLabel> {
    (0_i64..).take(count).map(ClassLabel::Int).collect()
}

/// A number that may be missing for each of `names`, or for each of `count` columns called `x0…`.
fn fields(names: Vec<String>, count: usize) -> Result<Vec<Field>, EngineError> {
    let names = if names.is_empty() {
        (0..count).map(|index| format!("x{index}")).collect()
    } else {
        names
    };
    if names.len() != count || names.iter().any(|name| name.len() > MAX_NAME_BYTES) {
        return Err(malformed("its names are not those of its columns"));
    }
    let field = |name| Field::scalar(name, DataType::Float64).nullable();
    Ok(names.into_iter().map(field).collect())
}

/// A count of columns that trees can tell apart.
fn features(count: Option<usize>) -> Result<usize, EngineError> {
    match count {
        None | Some(0) => Err(malformed("a model without columns")),
        Some(count @ 1..=MAX_FEATURES) => Ok(count),
        Some(count) => Err(EngineError::Unsupported {
            what: format!("a model of {count} features"),
            advice: format!("at most {MAX_FEATURES} are served"),
        }),
    }
}

/// A part of a model that is not served.
fn unserved(library: &str, what: &str, advice: &str) -> EngineError {
    EngineError::Unsupported {
        what: format!("{library} model {what}"),
        advice: advice.to_owned(),
    }
}
