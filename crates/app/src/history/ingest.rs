//! The ingester: journal → log, exactly once.
//!
//! Rows, usage and the cursor are one transaction, so a crash repeats a batch
//! or does not, and never counts it twice. The journal of the running process
//! is followed; what earlier processes left is finished first. Reading and
//! rendering run off the async threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plimsoll_journal::{BootId, Cursor, JournalError};
use plimsoll_store::{JournalCursor, LogDb};

use super::History;
use super::batch::{Batch, Source};
use crate::{App, Error};

/// How long the ingester rests when there is nothing to read.
const REST: Duration = Duration::from_millis(50);
/// How long it rests after the database refused a batch.
const RETRY: Duration = Duration::from_secs(1);

/// One journal on its way into the log.
struct Ingester {
    source: Arc<Mutex<Source>>,
    /// Everything before this is in the log.
    done: Cursor,
}

impl App {
    /// Moves records into the log until the server stops.
    pub(crate) async fn ingest(&self) {
        let Some(history) = self.history() else {
            return;
        };
        for boot in history.journal.leftovers() {
            while let Err(error) = self.finish_leftover(history, boot).await {
                tracing::warn!(?boot, error = ?error, "an earlier journal could not be finished yet");
                tokio::time::sleep(RETRY).await;
            }
        }
        let mut ingester = Ingester::follow(history, Cursor::start(history.journal.boot()));
        loop {
            match self.ingest_batch(history, &mut ingester).await {
                Ok(false) => {}
                Ok(true) => tokio::time::sleep(REST).await,
                Err(error) => {
                    tracing::warn!(error = ?error, "predictions could not be moved into the log; they wait in the journal");
                    tokio::time::sleep(RETRY).await;
                    ingester = Ingester::follow(history, ingester.done);
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
        let (cursor, _) = cursor_of(&history.log, boot).await?;
        let mut ingester = Ingester::follow(history, cursor);
        while !self.ingest_batch(history, &mut ingester).await? {}
        Ok(())
    }

    /// Reads what an earlier process left to its end and removes it.
    async fn finish_leftover(&self, history: &History, boot: BootId) -> Result<(), Error> {
        let name = boot.to_string();
        let (cursor, closed) = cursor_of(&history.log, boot).await?;
        if !closed {
            let mut ingester = Ingester::follow(history, cursor);
            while !self.ingest_batch(history, &mut ingester).await? {}
            let mut tx = history.log.begin().await?;
            tx.close_boot(&name, self.clock().now()).await?;
            tx.commit().await?;
        }
        if history.log.sync().await? {
            history.journal.remove_boot(boot).map_err(internal)?;
            let mut tx = history.log.begin().await?;
            tx.forget_boot(&name).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Moves one batch; says whether there is nothing more for now.
    async fn ingest_batch(
        &self,
        history: &History,
        ingester: &mut Ingester,
    ) -> Result<bool, Error> {
        let unknown = self
            .with_source(ingester, Source::read)
            .await?
            .map_err(internal)?;
        for of in unknown {
            let (model, version) = of;
            let row = self.db().version_by_id(version).await?;
            let model = self.db().model_by_id(model).await?;
            let owner = model.map(|model| model.owner_id);
            let keys = self.capture_keys().clone();
            self.with_source(ingester, move |source| {
                source.learn(version, row.zip(owner), keys);
            })
            .await?;
        }
        let batch = self.with_source(ingester, Source::render).await?;
        self.meters().journal_damage.inc_by(batch.damaged);
        if batch.cursor != ingester.done {
            self.store(history, &batch).await?;
            self.remove_read(history, ingester.done, batch.cursor)
                .await?;
            ingester.done = batch.cursor;
        }
        Ok(batch.at_end)
    }

    async fn store(&self, history: &History, batch: &Batch) -> Result<(), Error> {
        let mut tx = history.log.begin().await?;
        tx.insert_predictions(&batch.rows).await?;
        tx.add_usage(&[], &batch.usage).await?;
        tx.set_cursor(&JournalCursor {
            boot: batch.cursor.boot.to_string(),
            segment: i64::from(batch.cursor.segment),
            byte_offset: i64::try_from(batch.cursor.offset).unwrap_or(i64::MAX),
            closed: false,
            updated_at: self.clock().now(),
        })
        .await?;
        tx.commit().await?;
        self.meters().ingested.inc_by(batch.rows.len() as u64);
        Ok(())
    }

    /// Tells the journal how far it was read. Segments go only once what was
    /// made of them would survive a power failure.
    async fn remove_read(&self, history: &History, from: Cursor, to: Cursor) -> Result<(), Error> {
        if to.segment > from.segment && !history.log.sync().await? {
            return Ok(());
        }
        history.journal.remove_below(to).map(drop).map_err(internal)
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
    /// Reads on from `cursor`.
    fn follow(history: &History, cursor: Cursor) -> Self {
        let source = Source::new(history.journal.reader(cursor));
        Self {
            source: Arc::new(Mutex::new(source)),
            done: cursor,
        }
    }
}

/// How far a journal was read, and whether to its end.
async fn cursor_of(log: &LogDb, boot: BootId) -> Result<(Cursor, bool), Error> {
    let name = boot.to_string();
    let found = log
        .cursors()
        .await?
        .into_iter()
        .find(|cursor| cursor.boot == name);
    Ok(found.map_or((Cursor::start(boot), false), |found| {
        let cursor = Cursor {
            boot,
            segment: u32::try_from(found.segment).unwrap_or(0),
            offset: u64::try_from(found.byte_offset).unwrap_or(0),
        };
        (cursor, found.closed)
    }))
}

fn internal(error: JournalError) -> Error {
    Error::Internal(error.into())
}
