//! A chunk of records to the lines of the result.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::column::Batch as Rows;
use plimsoll_core::decode::{DecodeError, Header, json_row};
use plimsoll_core::field::FieldError;
use plimsoll_core::id::PredictionId;
use plimsoll_core::schema::Schema;
use serde::Serialize;

use super::records::Record;
use super::{Batch, Tally};
use crate::Error;
use crate::jobs::Ended;
use crate::jobs::context::JobContext;
use crate::serving::{AnsweredBehind, BehindCall, BehindTarget, RowJson};

/// How often a chunk waits for a server that is busy, or a model that rests.
const MAX_WAITS: u32 = 60;

/// Records that are answered together.
pub(super) struct Chunk<'a> {
    pub(super) batch: &'a Batch,
    pub(super) cx: &'a JobContext,
    pub(super) header: Option<&'a Header>,
    /// Number of the first of them, from 1.
    pub(super) first_row: u64,
}

/// Rows that can be run together, and their numbers.
struct Group {
    rows: Arc<Rows>,
    numbers: Vec<u64>,
}

/// A line of the result for a row that was not answered.
#[derive(Serialize)]
struct RefusedLine<'a> {
    row: u64,
    errors: &'a [FieldError],
}

/// A line of the result for a row that was answered.
#[derive(Serialize)]
struct AnsweredLine<'a> {
    row: u64,
    #[serde(flatten)]
    prediction: RowJson<'a>,
    prediction_id: PredictionId,
}

/// Lines of the result with the numbers of their rows.
type Lines = Vec<(u64, Vec<u8>)>;

impl Chunk<'_> {
    /// Answers the records; their lines are in their order.
    pub(super) async fn answer(
        &self,
        records: Vec<Record>,
        tally: &mut Tally,
    ) -> Result<Vec<u8>, Ended> {
        // Asked for again with each chunk: what was archived or redacted meanwhile counts.
        let target = self.batch.target(self.cx).await?;
        let (groups, mut lines) = self.decode(records, target.schema());
        tally.refused += lines.len() as u64;
        for group in groups {
            self.answer_group(&target, group, (&mut lines, tally))
                .await?;
        }
        lines.sort_unstable_by_key(|(row, _)| *row);
        Ok(lines.into_iter().flat_map(|(_, line)| line).collect())
    }

    /// Rows that fit the model, in groups of one shape, and lines for the others.
    fn decode(&self, records: Vec<Record>, schema: &Schema) -> (Vec<Group>, Lines) {
        let (mut groups, mut lines) = (Vec::<(Rows, Vec<u64>)>::new(), Vec::new());
        for (number, record) in (self.first_row..).zip(records) {
            let row = match self.decode_row(&record, schema) {
                Ok(row) => row,
                Err(errors) => {
                    lines.push((number, refused(number, &errors)));
                    continue;
                }
            };
            match groups.last_mut() {
                Some((rows, numbers)) if rows.is_alike(&row) => {
                    rows.append(&row);
                    numbers.push(number);
                }
                _ => groups.push((row, vec![number])),
            }
        }
        let group = |(rows, numbers)| Group {
            rows: Arc::new(rows),
            numbers,
        };
        (groups.into_iter().map(group).collect(), lines)
    }

    fn decode_row(&self, record: &Record, schema: &Schema) -> Result<Rows, Vec<FieldError>> {
        let malformed = |detail: String| vec![FieldError::new("", "malformed", detail)];
        let row = match self.header {
            Some(header) => {
                let cells = record.cells();
                let cells =
                    cells.map_err(|at| malformed(format!("cell {} is not UTF-8", at + 1)))?;
                header.row(&cells, schema)
            }
            None => json_row(&record.text, schema),
        };
        row.map_err(|error| match error {
            DecodeError::Invalid(errors) => errors,
            DecodeError::Malformed { detail } => malformed(detail),
            DecodeError::TooManyRows { .. } => malformed("more than one row".to_owned()),
        })
    }

    /// Runs a group. What fails is halved until the rows that fail stand alone.
    async fn answer_group(
        &self,
        target: &BehindTarget,
        group: Group,
        (lines, tally): (&mut Lines, &mut Tally),
    ) -> Result<(), Ended> {
        let mut left = vec![group];
        while let Some(group) = left.pop() {
            match self.run(target, &group.rows).await {
                Ok(answered) => {
                    tally.answered += group.numbers.len() as u64;
                    let schema = target.schema();
                    let line = |row| {
                        (
                            group.numbers[row],
                            self.line(&answered, schema, &group, row),
                        )
                    };
                    lines.extend((0..group.numbers.len()).map(line));
                }
                Err(error) if !is_of_rows(&error) => return Err(error.into()),
                Err(_) if group.numbers.len() > 1 => {
                    let middle = group.numbers.len() / 2;
                    left.push(group.part(middle..group.numbers.len()));
                    left.push(group.part(0..middle));
                }
                Err(error) => {
                    tally.refused += 1;
                    let (row, errors) = (group.numbers[0], row_errors(error));
                    lines.push((row, refused(row, &errors)));
                }
            }
        }
        Ok(())
    }

    /// Runs rows; waits for a server that is busy with requests, or a model that rests.
    async fn run(&self, target: &BehindTarget, rows: &Arc<Rows>) -> Result<AnsweredBehind, Error> {
        let call = BehindCall {
            target,
            user: self.cx.owner,
            key: self.cx.key,
            job: self.cx.id().text(),
        };
        let mut waits = 0;
        loop {
            let pause =
                match self.cx.app().predict_behind(&call, rows).await {
                    Err(
                        Error::Overloaded { retry_after } | Error::ModelResting { retry_after },
                    ) if waits < MAX_WAITS => retry_after,
                    outcome => return outcome,
                };
            waits += 1;
            tokio::time::sleep(pause.max(Duration::from_millis(100))).await;
        }
    }

    /// The line of one row of a group that was answered.
    fn line(
        &self,
        answered: &AnsweredBehind,
        schema: &Schema,
        group: &Group,
        index: usize,
    ) -> Vec<u8> {
        let prediction = RowJson {
            output: &answered.output,
            schema,
            row: index,
            include_probabilities: self.batch.include_probabilities,
        };
        json_line(&AnsweredLine {
            row: group.numbers[index],
            prediction,
            prediction_id: answered.id,
        })
    }
}

impl Group {
    fn part(&self, rows: Range<usize>) -> Self {
        Self {
            numbers: self.numbers[rows.clone()].to_vec(),
            rows: Arc::new(self.rows.part(rows)),
        }
    }
}

fn refused(row: u64, errors: &[FieldError]) -> Vec<u8> {
    json_line(&RefusedLine { row, errors })
}

fn json_line(line: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).expect("invariant: a line has only text keys");
    text.push(b'\n');
    text
}

/// Whether an error is about the rows and not about the server or the model.
fn is_of_rows(error: &Error) -> bool {
    matches!(
        error,
        Error::Invalid(_) | Error::PredictionFailed { .. } | Error::Timeout
    )
}

/// What is said about the one row that an error is about.
fn row_errors(error: Error) -> Vec<FieldError> {
    let code = match error {
        Error::Invalid(mut errors) => {
            for error in &mut errors {
                // The row is the whole input here.
                error.pointer.clear();
            }
            return errors;
        }
        Error::Timeout => "timeout",
        _ => "prediction-failed",
    };
    vec![FieldError::new("", code, error.to_string())]
}
