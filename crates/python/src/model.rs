//! A model that a worker answers for, as every other model.

use plimsoll_core::column::{Batch, Column, Output, Values};
use plimsoll_core::schema::{DataType, Field, Schema};
use plimsoll_engine::{Control, Cost, EngineError, Predictor};

use crate::frame::{Broken, Frame, Most};
use crate::message::{Loaded, Said, ask, columns, garbage, said, schema};
use crate::worker::Worker;

/// Most bytes an answer's head may have: it describes columns, not rows.
const HEAD: usize = 1 << 20;
/// Room for one text or one value of a length that only the answer tells, in bytes.
const UNKNOWN: usize = 64 << 10;
/// Most bytes an answer may have, whatever its schema allows.
const BODY: usize = 256 << 20;
/// What a call costs at least: two context switches and a little of Python.
const NANOS_PER_ROW: u64 = 1_000_000;

/// A model that a worker answers for.
#[derive(Debug)]
pub(crate) struct PythonModel {
    schema: Schema,
    worker: Worker,
}

impl PythonModel {
    /// The model of a worker, if what it says of it can be served.
    pub(crate) fn new(worker: Worker) -> Result<Self, Broken> {
        let schema = schema(worker.loaded())?;
        Ok(Self { schema, worker })
    }

    /// The longest answer to `rows` rows that makes sense.
    fn most(&self, rows: usize) -> Most {
        let wide = |field: &Field| match (field.data_type, field.width()) {
            (DataType::String, _) | (_, None) => UNKNOWN,
            (_, Some(width)) => width.saturating_mul(8),
        };
        let labels = 8 + 8 * self.schema.classes.len();
        let row: usize = self.schema.outputs.iter().map(wide).sum();
        Most {
            head: HEAD,
            body: rows.saturating_mul(row.saturating_add(labels)).min(BODY),
        }
    }
}

impl Predictor for PythonModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn cost(&self) -> Cost {
        Cost {
            resident_bytes: self.worker.resident_bytes(),
            nanos_per_row: NANOS_PER_ROW,
        }
    }

    fn waits(&self) -> bool {
        true
    }

    fn predict(
        &self,
        batch: &Batch,
        output: &mut Output,
        control: &Control<'_>,
    ) -> Result<(), EngineError> {
        output.clear();
        if batch.rows == 0 {
            return Ok(());
        }
        let (loaded, rows) = (self.worker.loaded(), batch.rows);
        let read = |frame: &Frame| read_answer(frame, rows, loaded);
        let most = self.most(rows);
        *output = self.worker.ask(&ask(batch), most, control, read)?;
        Ok(())
    }
}

/// What a frame answers for `rows` rows, held against what the model promised.
fn read_answer(frame: &Frame, rows: usize, loaded: &Loaded) -> Result<Output, Broken> {
    let Said::Answer { columns: heads } = said(frame)? else {
        return Err(garbage("no answer"));
    };
    let values = columns(&heads, &frame.body, rows)?;
    if !loaded.classes.is_empty() {
        return labelled(values, rows, loaded);
    }
    let as_promised = |(field, column): (&Field, &Column)| {
        field.data_type == column.values.data_type()
            && field.width().is_none_or(|width| width == column.width)
    };
    let fields = &loaded.outputs;
    if values.len() != fields.len() || !fields.iter().zip(&values).all(as_promised) {
        return Err(garbage("columns of another kind than the model has"));
    }
    Ok(Output {
        rows,
        values,
        ..Output::default()
    })
}

/// Labels, and probabilities where the model has them.
fn labelled(columns: Vec<Column>, rows: usize, loaded: &Loaded) -> Result<Output, Broken> {
    let classes = loaded.classes.len();
    let mut columns = columns.into_iter();
    let labels = columns.next().and_then(|column| labels(&column, classes));
    let labels = labels.ok_or_else(|| garbage("a label that the model does not have"))?;
    let probabilities = match columns.next() {
        None => Vec::new(),
        Some(Column {
            values: Values::Float64(values),
            width,
            ..
        }) if width == classes => values,
        Some(_) => return Err(garbage("probabilities of another kind")),
    };
    if loaded.probabilities == probabilities.is_empty() || columns.next().is_some() {
        return Err(garbage("more or less than labels and probabilities"));
    }
    Ok(Output {
        rows,
        labels,
        probabilities,
        values: Vec::new(),
    })
}

/// Indexes into the classes; `None` if one is outside.
fn labels(column: &Column, classes: usize) -> Option<Vec<u32>> {
    let Values::Int64(indexes) = &column.values else {
        return None;
    };
    let index = |value: &i64| {
        let index = u32::try_from(*value).ok()?;
        ((index as usize) < classes).then_some(index)
    };
    (column.width == 1).then(|| indexes.iter().map(index).collect())?
}

#[cfg(test)]
mod tests {
    use plimsoll_core::schema::{ClassLabel, Task};

    use super::*;

    fn model(classes: usize, probabilities: bool, outputs: Vec<Field>) -> Loaded {
        Loaded {
            algorithm: "A".into(),
            library: "L".into(),
            task: Task::Other,
            inputs: vec![Field::scalar("x0", DataType::Float64)],
            outputs,
            classes: (0..classes).map(|_| ClassLabel::Int(0)).collect(),
            probabilities,
            resident_bytes: 0,
        }
    }

    fn answer(columns: Vec<(Values, usize)>) -> Frame {
        let rows = 2;
        let columns = columns.into_iter().map(|(values, width)| Column {
            values,
            width,
            shape: Vec::new(),
        });
        let asked = ask(&Batch {
            rows,
            columns: columns.collect(),
        });
        let mut head: serde_json::Value = serde_json::from_slice(&asked.head).unwrap();
        head["type"] = "answer".into();
        Frame {
            head: head.to_string().into_bytes(),
            body: asked.body,
        }
    }

    #[test]
    fn labels_and_probabilities_are_held_against_the_classes() {
        let classifier = model(3, true, Vec::new());
        let good = Values::Int64(vec![2, 0]);
        let chances = || Values::Float64(vec![0.0; 6]);
        let read = read_answer(
            &answer(vec![(good.clone(), 1), (chances(), 3)]),
            2,
            &classifier,
        );
        assert_eq!(read.unwrap().labels, [2, 0]);
        for columns in [
            vec![(Values::Int64(vec![3, 0]), 1), (chances(), 3)],
            vec![(Values::Int64(vec![-1, 0]), 1), (chances(), 3)],
            vec![(good.clone(), 1)],
            vec![(good.clone(), 1), (Values::Float64(vec![0.0; 4]), 2)],
            vec![(good.clone(), 1), (chances(), 3), (chances(), 3)],
            vec![],
        ] {
            let shown = format!("{columns:?}");
            assert!(
                read_answer(&answer(columns), 2, &classifier).is_err(),
                "{shown}"
            );
        }
    }

    #[test]
    fn values_are_held_against_the_fields() {
        let fields = vec![Field::scalar("prediction", DataType::Float64)];
        let regressor = model(0, false, fields);
        let good = answer(vec![(Values::Float64(vec![1.0, 2.0]), 1)]);
        assert!(read_answer(&good, 2, &regressor).is_ok());
        for columns in [
            vec![(Values::Int64(vec![1, 2]), 1)],
            vec![(Values::Float64(vec![1.0; 4]), 2)],
            vec![
                (Values::Float64(vec![1.0; 2]), 1),
                (Values::Float64(vec![1.0; 2]), 1),
            ],
        ] {
            let shown = format!("{columns:?}");
            assert!(
                read_answer(&answer(columns), 2, &regressor).is_err(),
                "{shown}"
            );
        }
        assert!(read_answer(&good, 3, &regressor).is_err());
    }
}
