//! Taking a file in, and making a job of it.

use std::time::Duration;

use plimsoll_blob::Stage;
use plimsoll_core::audit::Action;
use plimsoll_core::id::{JobId, ModelId, VersionId};
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_core::time::Timestamp;
use plimsoll_store::{JobFileRole, JobRow};
use serde_json::json;

use super::{Batch, RowsFormat};
use crate::auth::Caller;
use crate::jobs::queue::Wanted;
use crate::{App, Error};

/// Guessed time for a row of a model that is not in memory, and what reading and
/// writing a row takes.
const USUAL_ROW: Duration = Duration::from_micros(20);
/// A job takes at least so long.
const LEAST: Duration = Duration::from_secs(1);

/// Which version answers a file, settled before the file comes.
#[derive(Clone, Copy, Debug)]
pub struct BatchTarget {
    model: ModelId,
    version: VersionId,
}

/// What a caller wants of the answers.
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    /// How the file is written.
    pub format: RowsFormat,
    /// Whether class probabilities belong into the result.
    pub include_probabilities: bool,
}

/// A file of rows that is coming in. Dropping it forgets it.
#[derive(Debug)]
pub struct BatchRows {
    stage: Stage,
    lines: u64,
    ends_in_line: bool,
}

impl BatchRows {
    /// Adds a piece; too large as soon as `batch.max_bytes` is passed.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let breaks = piece.split(|byte| *byte == b'\n').count() - 1;
        self.lines += breaks as u64;
        self.ends_in_line = piece
            .last()
            .map_or(self.ends_in_line, |byte| *byte != b'\n');
        Ok(self.stage.write(piece).await?)
    }
}

impl App {
    /// Which version a batch is for. What the caller may not see does not exist.
    /// It counts as one of the batches of the caller's hour.
    pub fn batch_target(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<BatchTarget, Error> {
        let (model, version) = self.find_behind(caller, model, version)?;
        self.limits().batch(caller.user, self.clock().now())?;
        Ok(BatchTarget {
            model: model.id,
            version: version.id,
        })
    }

    /// Begins to take a file of rows in.
    pub async fn stage_rows(&self) -> Result<BatchRows, Error> {
        let most = self.settings().jobs.batch_max_bytes;
        Ok(BatchRows {
            stage: self.blobs().stage_at_most(most).await?,
            lines: 0,
            ends_in_line: false,
        })
    }

    /// Makes a job of a file. Answers it with the time it will probably end.
    pub async fn start_batch(
        &self,
        caller: &Caller,
        target: BatchTarget,
        rows: BatchRows,
        options: BatchOptions,
    ) -> Result<(JobRow, Timestamp), Error> {
        if rows.stage.size() == 0 {
            return Err(Error::field(
                "/file",
                "wrong-length",
                "the file is empty",
                "at least 1 row",
            ));
        }
        let expected_rows = rows.lines + u64::from(rows.ends_in_line)
            - u64::from(options.format == RowsFormat::Csv && rows.lines > 0);
        let batch = Batch {
            model: target.model,
            version: target.version,
            format: options.format,
            include_probabilities: options.include_probabilities,
            expected_rows,
        };
        let staged = rows.stage.finish().await?;
        let id = JobId::new(self.ids());
        let _naming = self.jobs().naming_files().await;
        let file = self.put_job_file(staged).await?;
        let mut tx = self.begin(caller).await?;
        let wanted = Wanted {
            id,
            caller,
            model: Some(target.model),
            unique_key: None,
            job: &batch,
        };
        self.enqueue(&mut tx, wanted).await?;
        tx.put_job_file(id, JobFileRole::Input, file).await?;
        let row = tx.job_by_id(id).await?;
        let facts = json!({"kind": "batch", "model": target.model, "version": target.version});
        tx.audit(Action::JobStarted, id, facts);
        tx.commit().await?;
        self.wake_workers();
        let row = row.ok_or(Error::NotFound { what: "job" })?;
        let ends = row.created_at.plus(self.expected(target, expected_rows));
        Ok((row, ends))
    }

    /// The time a batch will take if nothing else is to be done.
    fn expected(&self, target: BatchTarget, rows: u64) -> Duration {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let engine = self.expected_behind(target.version, rows as usize);
        USUAL_ROW
            .saturating_mul(rows)
            .saturating_add(engine)
            .max(LEAST)
    }
}
