//! The ingester: journal → log, exactly once.
//!
//! Rows, usage and the cursor are one transaction, and the cursor moves only
//! from where it was read: a crash, an interruption or an answer that got lost
//! repeats a batch or does not, and never counts it twice. The journal of the
//! running process is followed; what earlier processes left is finished first.
//! Reading and rendering run off the async threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use plimsoll_journal::{BootId, Cursor, JournalError};
use plimsoll_store::{JournalCursor, LogDb};

use super::History;
use super::batch::{Batch, Next, Source};
use crate::{App, Error};

/// How long the ingester rests when there is nothing to read.
const REST: Duration = Duration::from_millis(50);
/// How long it rests after the database refused a batch.
const RETRY: Duration = Duration::from_secs(1);

/// One journal on its way into the log.
struct Ingester {
    source: Arc<Mutex<Source>>,
    /// Everything before this is in the log; `None` if there is no cursor yet.
    stored: Option<Cursor>,
    /// What the journal was told about that.
    told: Option<Cursor>,
}

impl App {
    /// Moves records into the log until the server stops.
    pub(crate) async fn ingest(&self) {
        let Some(history) = self.history() else {
            return;
        };
        let mut leftovers = history.journal.leftovers();
        for boot in &leftovers {
            while let Err(error) = self.finish_leftover(history, *boot).await {
                self.refused(history, &error).await;
            }
        }
        let boot = history.journal.boot();
        let mut ingester = None;
        loop {
            match self.follow(history, boot, &mut ingester).await {
                Ok(false) => {}
                Ok(true) => {
                    self.remove_leftovers(history, &mut leftovers).await;
                    tokio::time::sleep(REST).await;
                }
                Err(error) => {
                    // Whether the batch is in the log, only the log knows.
                    ingester = None;
                    self.refused(history, &error).await;
                }
            }
        }
    }

    /// Moves what is in the journal now; for the end, when nothing is appended any more.
    pub(crate) async fn ingest_rest(&self) -> Result<(), Error> {
        let Some(history) = self.history() else {
            return Ok(());
        };
        history.journal.close().map_err(internal)?;
        let boot = history.journal.boot();
        let mut ingester = None;
        while !self.follow(history, boot, &mut ingester).await? {}
        Ok(())
    }

    /// Moves the next batch of a journal, from where the log says it was left.
    async fn follow(
        &self,
        history: &History,
        boot: BootId,
        ingester: &mut Option<Ingester>,
    ) -> Result<bool, Error> {
        let ingester = if let Some(ingester) = ingester {
            ingester
        } else {
            let (stored, _) = cursor_of(&history.log, boot).await?;
            ingester.insert(Ingester::new(history, boot, stored))
        };
        self.ingest_batch(history, ingester).await
    }

    /// Reads what an earlier process left to its end, and says so in the log.
    async fn finish_leftover(&self, history: &History, boot: BootId) -> Result<(), Error> {
        let (stored, closed) = cursor_of(&history.log, boot).await?;
        if !closed {
            let mut ingester = Ingester::new(history, boot, stored);
            while !self.ingest_batch(history, &mut ingester).await? {}
            let mut tx = history.log.begin().await?;
            tx.close_boot(&boot.to_string(), self.clock().now()).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Removes journals that were read to their end, once what was made of them
    /// would survive a power failure.
    async fn remove_leftovers(&self, history: &History, leftovers: &mut Vec<BootId>) {
        while let Some(boot) = leftovers.last() {
            match self.remove_leftover(history, *boot).await {
                Ok(true) => {
                    leftovers.pop();
                }
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(?boot, error = ?error, "an earlier journal could not be removed yet");
                    return;
                }
            }
        }
    }

    async fn remove_leftover(&self, history: &History, boot: BootId) -> Result<bool, Error> {
        if !history.log.sync().await? {
            return Ok(false);
        }
        history.journal.remove_boot(boot).map_err(internal)?;
        let mut tx = history.log.begin().await?;
        tx.forget_boot(&boot.to_string()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Moves one batch; says whether there is nothing more for now.
    async fn ingest_batch(
        &self,
        history: &History,
        ingester: &mut Ingester,
    ) -> Result<bool, Error> {
        let before = self.clock().now();
        let mut batch = self.next_batch(ingester).await?;
        self.meters().journal.damage.inc_by(batch.damaged);
        self.meters().journal.missing.inc_by(batch.missing);
        if ingester.stored != Some(batch.cursor) {
            self.store(history, ingester.stored, &mut batch).await?;
            ingester.stored = Some(batch.cursor);
        }
        let complete = if batch.at_end {
            Some(before)
        } else {
            batch.newest
        };
        if let Some(until) = complete {
            history.progress.complete(until);
        }
        self.remove_read(history, ingester, batch.cursor).await?;
        Ok(batch.at_end)
    }

    async fn next_batch(&self, ingester: &Ingester) -> Result<Batch, Error> {
        loop {
            let next = self.with_source(ingester, Source::next).await?;
            let unknown = match next.map_err(internal)? {
                Next::Batch(batch) => return Ok(batch),
                Next::Unknown(unknown) => unknown,
            };
            for (model, version) in unknown {
                let row = self.db().version_by_id(version).await?;
                let model = self.db().model_by_id(model).await?;
                let owner = model.map(|model| model.owner_id);
                let keys = self.capture_keys().clone();
                self.with_source(ingester, move |source| {
                    source.learn(version, row.zip(owner), keys);
                })
                .await?;
            }
        }
    }

    /// Writes a batch, unless it was written before.
    async fn store(
        &self,
        history: &History,
        from: Option<Cursor>,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        // Whoever deletes predictions waits until the batch is there to be
        // deleted, or has it left out.
        let _nothing_is_deleted = history.writing.lock().await;
        batch.keep_living(&self.live());
        let to = JournalCursor {
            boot: batch.cursor.boot.to_string(),
            segment: i64::from(batch.cursor.segment),
            byte_offset: offset(batch.cursor),
            closed: false,
            updated_at: self.clock().now(),
        };
        let from = from.map(|from| (i64::from(from.segment), offset(from)));
        let mut tx = history.log.begin().await?;
        if !tx.move_cursor(from, &to).await? {
            return Err(Error::Internal(anyhow!("the batch is in the log already")));
        }
        tx.insert_predictions(&batch.rows).await?;
        tx.add_usage(&batch.keys, &batch.versions).await?;
        tx.commit().await?;
        self.meters().journal.rows.inc_by(batch.rows.len() as u64);
        self.meters().journal.batches.inc();
        Ok(())
    }

    /// Tells the journal how far it was read. Segments go only once what was
    /// made of them would survive a power failure.
    async fn remove_read(
        &self,
        history: &History,
        ingester: &mut Ingester,
        to: Cursor,
    ) -> Result<(), Error> {
        if ingester.told == Some(to) {
            return Ok(());
        }
        let told = ingester.told.map_or(0, |told| told.segment);
        if to.segment > told && !history.log.sync().await? {
            return Ok(());
        }
        history.journal.remove_below(to).map_err(internal)?;
        ingester.told = Some(to);
        Ok(())
    }

    /// Notes that a batch could not be moved, and waits a little.
    async fn refused(&self, history: &History, error: &Error) {
        tracing::warn!(error = ?error, "predictions could not be moved into the log; they wait in the journal");
        history.progress.refused(self.clock().now());
        self.meters().journal.refused_batches.inc();
        tokio::time::sleep(RETRY).await;
    }

    async fn with_source<T: Send + 'static>(
        &self,
        ingester: &Ingester,
        work: impl FnOnce(&mut Source) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let source = ingester.source.clone();
        let work = move || work(&mut source.lock().unwrap_or_else(PoisonError::into_inner));
        self.tasks()
            .blocking(work)
            .await
            .map_err(|error| Error::Internal(error.into()))
    }
}

impl Ingester {
    /// Reads a journal on from what is in the log.
    fn new(history: &History, boot: BootId, stored: Option<Cursor>) -> Self {
        let from = stored.unwrap_or(Cursor::start(boot));
        let source = Source::new(history.journal.reader(from));
        Self {
            source: Arc::new(Mutex::new(source)),
            stored,
            told: None,
        }
    }
}

/// How far a journal was read, if it was, and whether to its end.
async fn cursor_of(log: &LogDb, boot: BootId) -> Result<(Option<Cursor>, bool), Error> {
    let name = boot.to_string();
    let cursors = log.cursors().await?;
    let found = cursors.into_iter().find(|cursor| cursor.boot == name);
    let Some(found) = found else {
        return Ok((None, false));
    };
    let cursor = Cursor {
        boot,
        segment: u32::try_from(found.segment).unwrap_or(0),
        offset: u64::try_from(found.byte_offset).unwrap_or(0),
    };
    Ok((Some(cursor), found.closed))
}

fn offset(cursor: Cursor) -> i64 {
    i64::try_from(cursor.offset).unwrap_or(i64::MAX)
}

fn internal(error: JournalError) -> Error {
    Error::Internal(error.into())
}
