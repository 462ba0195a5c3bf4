//! A batch of journal records on its way to becoming rows of the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use plimsoll_core::id::{ModelId, UserId, VersionId};
use plimsoll_core::record::{OutcomeView, RecordView};
use plimsoll_journal::{Cursor, JournalError, Reader, Records};
use plimsoll_store::{PredictionRow, VersionCounts, VersionRow};

use super::render::{Meaning, row};
use crate::capture::CaptureKeys;

/// Bytes of records read at once.
const BATCH_BYTES: usize = 1 << 20;

/// A journal being read, and what its records mean.
pub(super) struct Source {
    reader: Reader,
    records: Records,
    /// By version, which never changes; `None` for one that is gone.
    meanings: HashMap<VersionId, Option<Meaning>>,
}

/// What is written to the log in one transaction.
pub(super) struct Batch {
    /// One row per request.
    pub(super) rows: Vec<PredictionRow>,
    /// Requests per version.
    pub(super) usage: Vec<VersionCounts>,
    /// Where the journal goes on.
    pub(super) cursor: Cursor,
    /// Whether there is nothing more for now.
    pub(super) at_end: bool,
    /// Places that could not be read.
    pub(super) damaged: u64,
}

impl Source {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            records: Records::new(),
            meanings: HashMap::new(),
        }
    }

    /// Reads the next records; answers the versions whose meaning is unknown.
    pub(super) fn read(&mut self) -> Result<BTreeSet<(ModelId, VersionId)>, JournalError> {
        self.reader.read(&mut self.records, BATCH_BYTES)?;
        for damage in self.records.damage() {
            tracing::error!(?damage, "a part of the journal is damaged and was skipped");
        }
        let views = self
            .records
            .iter()
            .filter_map(|r| RecordView::decode(r.payload).ok());
        let versions = views.map(|view| (view.head.model, view.head.version));
        Ok(versions
            .filter(|(_, version)| !self.meanings.contains_key(version))
            .collect())
    }

    /// Remembers what the records of a version mean, and whose they are.
    pub(super) fn learn(
        &mut self,
        version: VersionId,
        found: Option<(VersionRow, UserId)>,
        keys: Arc<CaptureKeys>,
    ) {
        let meaning = found.and_then(|(row, owner)| Meaning::of(&row, owner, keys));
        self.meanings.insert(version, meaning);
    }

    /// Turns the records that were read into rows.
    pub(super) fn render(&mut self) -> Batch {
        let mut damaged = self.records.damage().len() as u64;
        let mut rows = Vec::with_capacity(self.records.len());
        let mut counts: BTreeMap<(ModelId, VersionId), (i64, i64)> = BTreeMap::new();
        for record in self.records.iter() {
            let Ok(view) = RecordView::decode(record.payload) else {
                damaged += 1;
                continue;
            };
            let count = counts
                .entry((view.head.model, view.head.version))
                .or_default();
            match view.outcome {
                OutcomeView::Answered(_) => count.0 += 1,
                OutcomeView::Failed { .. } => count.1 += 1,
            }
            // A model deleted meanwhile takes its predictions with it.
            if let Some(Some(meaning)) = self.meanings.get(&view.head.version) {
                rows.extend(row(&view, meaning));
            }
        }
        let usage = counts
            .into_iter()
            .map(
                |((model_id, version_id), (predictions, failures))| VersionCounts {
                    model_id,
                    version_id,
                    predictions,
                    failures,
                },
            );
        Batch {
            rows,
            usage: usage.collect(),
            cursor: self.records.cursor(),
            at_end: self.records.at_end(),
            damaged,
        }
    }
}
