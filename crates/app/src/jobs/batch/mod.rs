//! Batch predictions: the rows of a file, chunk by chunk, behind the answers to
//! requests. Each row has an answer or its own mistakes; what is wrong with one
//! harms no other.

mod answers;
mod records;
mod results;
mod start;

pub use results::{ResultFormat, ResultStream};
pub use start::{BatchOptions, BatchRows, BatchTarget};

use plimsoll_core::id::{ModelId, VersionId};
use plimsoll_store::{JobFileRole, JobProgress};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::JobContext;
use super::{Done, Ended, Job};
use crate::Error;
use answers::Chunk;
use records::Records;

/// How the rows of a file are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowsFormat {
    /// A header and comma-separated records (RFC 4180).
    Csv,
    /// One JSON value a line.
    Jsonl,
}

/// The job: one file to one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    model: ModelId,
    version: VersionId,
    format: RowsFormat,
    include_probabilities: bool,
    /// Rows as far as counting lines tells.
    expected_rows: u64,
}

/// What became of the rows.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    refused: u64,
}

impl Job for Batch {
    const NAME: &'static str = "batch";

    async fn run(self, cx: &JobContext) -> Result<Done, Ended> {
        let app = cx.app();
        let target = cx.unless_cancelled(self.target(cx)).await?;
        let schema = target.schema();
        let mut records = self.records(cx).await?;
        let header = match self.format {
            RowsFormat::Csv => Some(records.header(schema).await?),
            RowsFormat::Jsonl => None,
        };
        let mut file = app.blobs().stage().await.map_err(Error::from)?;
        let mut tally = Tally::default();
        loop {
            let rows = app.rows_behind(&target);
            let taken = records.take(rows).await?;
            if taken.is_empty() {
                break;
            }
            let first_row = tally.answered + tally.refused + 1;
            let chunk = Chunk {
                batch: &self,
                cx,
                header: header.as_ref(),
                first_row,
            };
            let lines = cx.unless_cancelled(chunk.answer(taken, &mut tally)).await?;
            file.write(&lines).await.map_err(Error::from)?;
            cx.report(self.progress(&tally));
        }
        let staged = file.finish().await.map_err(Error::from)?;
        cx.report(JobProgress {
            total: Some(count(tally.answered + tally.refused)),
            ..self.progress(&tally)
        });
        let result = json!({
            "rows": tally.answered + tally.refused,
            "answered": tally.answered,
            "refused": tally.refused,
            "model": target.model.name,
            "model_version": target.version.number,
            "classes": schema.classes,
            "size_bytes": staged.size,
        });
        Ok(Done {
            result,
            file: Some(staged),
        })
    }
}

impl Batch {
    async fn target(&self, cx: &JobContext) -> Result<crate::serving::BehindTarget, Ended> {
        Ok(cx.app().target_behind(self.model, self.version).await?)
    }

    async fn records(&self, cx: &JobContext) -> Result<Records, Ended> {
        let file = cx.app().db().job_file(cx.id(), JobFileRole::Input).await;
        let Some(file) = file.map_err(Error::from)? else {
            return Err(Ended::failed("not-found", "the job's input is gone"));
        };
        let opened = cx.app().blobs().stream(&file.digest).await;
        let (_, stream) = opened.map_err(Error::from)?;
        Ok(Records::new(self.format, stream))
    }

    fn progress(&self, tally: &Tally) -> JobProgress {
        let done = tally.answered + tally.refused;
        let total = self.expected_rows.max(done);
        JobProgress {
            done: count(done),
            total: Some(count(total)),
            phase: "predicting",
            message: format!("{done} of {total} rows"),
        }
    }
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
