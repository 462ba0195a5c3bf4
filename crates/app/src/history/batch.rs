//! A batch of journal records on its way to becoming rows of the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use plimsoll_core::id::{KeyId, ModelId, UserId, VersionId};
use plimsoll_core::record::{OutcomeView, RecordHead, RecordView};
use plimsoll_core::time::Timestamp;
use plimsoll_journal::{Cursor, JournalError, Reader, Records};
use plimsoll_store::{KeyUsage, PredictionRow, VersionCounts, VersionRow};

use super::render::{Meaning, row};
use crate::capture::CaptureKeys;
use crate::live::Live;

/// Bytes of records read at once.
const BATCH_BYTES: usize = 1 << 20;

/// A journal being read, and what its records mean.
pub(super) struct Source {
    reader: Reader,
    records: Records,
    /// Whether the records were read and not yet handed out.
    waiting: bool,
    /// By version, which never changes; `None` for one that is gone.
    meanings: HashMap<VersionId, Option<Meaning>>,
}

/// What is next in a journal.
pub(super) enum Next {
    /// Records as rows.
    Batch(Batch),
    /// Versions to be learned before the records can be read as rows.
    Unknown(BTreeSet<(ModelId, VersionId)>),
}

/// What is written to the log in one transaction.
pub(super) struct Batch {
    /// One row per request.
    pub(super) rows: Vec<PredictionRow>,
    /// Requests per version.
    pub(super) versions: Vec<VersionCounts>,
    /// Requests per key.
    pub(super) keys: Vec<KeyUsage>,
    /// Whose keys they are, in the same order.
    users: Vec<UserId>,
    /// When the newest request was answered.
    pub(super) newest: Option<Timestamp>,
    /// Where the journal goes on.
    pub(super) cursor: Cursor,
    /// Whether there is nothing more for now.
    pub(super) at_end: bool,
    /// Places that could not be read.
    pub(super) damaged: u64,
    /// Records whose numbers were skipped.
    pub(super) missing: u64,
}

impl Source {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            records: Records::new(),
            waiting: false,
            meanings: HashMap::new(),
        }
    }

    /// Reads the next records and turns them into rows. What had to be learned
    /// first is learned, and then asked for again.
    pub(super) fn next(&mut self) -> Result<Next, JournalError> {
        if !self.waiting {
            self.reader.read(&mut self.records, BATCH_BYTES)?;
            for damage in self.records.damage() {
                tracing::error!(?damage, "a part of the journal is damaged and was skipped");
            }
        }
        let next = self.render();
        self.waiting = matches!(next, Next::Unknown(_));
        Ok(next)
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

    fn render(&self) -> Next {
        let mut unknown = BTreeSet::new();
        let mut rows = Vec::with_capacity(self.records.len());
        let mut counts = Counts::default();
        let mut damaged = self.records.damage().len() as u64;
        for record in self.records.iter() {
            let Ok(view) = RecordView::decode(record.payload) else {
                damaged += 1;
                continue;
            };
            counts.add(&view);
            match self.meanings.get(&view.head.version) {
                Some(Some(meaning)) if unknown.is_empty() => rows.extend(row(&view, meaning)),
                // A model deleted meanwhile takes its predictions with it.
                Some(_) => {}
                None => {
                    unknown.insert((view.head.model, view.head.version));
                }
            }
        }
        if !unknown.is_empty() {
            return Next::Unknown(unknown);
        }
        let (users, keys) = counts.keys.into_values().unzip();
        Next::Batch(Batch {
            rows,
            versions: counts.versions.into_values().collect(),
            keys,
            users,
            newest: counts.newest,
            cursor: self.records.cursor(),
            at_end: self.records.at_end(),
            damaged,
            missing: self.records.missing(),
        })
    }
}

impl Batch {
    /// Leaves out what belongs to models and people that are gone.
    pub(super) fn keep_living(&mut self, live: &Live) {
        let lives = |model: ModelId| live.model_by_id(model).is_some();
        self.rows.retain(|row| lives(row.model_id));
        self.versions.retain(|counts| lives(counts.model_id));
        let mut users = self.users.iter();
        self.keys
            .retain(|_| users.next().is_some_and(|user| live.user(*user).is_some()));
    }
}

/// What the requests of a batch add up to.
#[derive(Default)]
struct Counts {
    versions: BTreeMap<VersionId, VersionCounts>,
    keys: BTreeMap<KeyId, (UserId, KeyUsage)>,
    newest: Option<Timestamp>,
}

impl Counts {
    fn add(&mut self, view: &RecordView<'_>) {
        let head: &RecordHead<'_> = &view.head;
        self.newest = self.newest.max(Some(head.at));
        // What nobody got is no use of a version or a key.
        if head.shadow {
            return;
        }
        let version = self
            .versions
            .entry(head.version)
            .or_insert_with(|| VersionCounts {
                model_id: head.model,
                version_id: head.version,
                predictions: 0,
                failures: 0,
            });
        match view.outcome {
            OutcomeView::Answered(_) => version.predictions += 1,
            OutcomeView::Failed { .. } => version.failures += 1,
        }
        let Some(key) = head.key else { return };
        let (_, usage) = self.keys.entry(key).or_insert_with(|| {
            let usage = KeyUsage {
                key,
                requests: 0,
                last_used_at: head.at,
            };
            (head.user, usage)
        });
        usage.requests += 1;
        usage.last_used_at = usage.last_used_at.max(head.at);
    }
}
