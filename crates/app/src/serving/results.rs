//! Answers that were given before, for those who ask the same again.
//!
//! Off unless `predict.result_cache` says how much memory it may take. An answer
//! belongs to a version and to the values of the rows after coercion, so it does
//! not matter how they were written. A remembered answer is recorded, counted and
//! limited like any other.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::column::{Batch, Column, Output, Values};
use plimsoll_core::digest::Digest;
use plimsoll_core::id::VersionId;
use plimsoll_core::time::Monotonic;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::live::VersionEntry;
use crate::meters::Meters;
use crate::{App, PredictSettings};

/// Bytes that an answer takes besides its values.
const OVERHEAD: u64 = 160;

/// What a caller accepts of answers given before (RFC 9111 section 5.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// One that was given before, if there is one.
    #[default]
    Accepted,
    /// A new one, which others may get again: `Cache-Control: no-cache`.
    Fresh,
    /// A new one, which nobody gets again: `Cache-Control: no-store`.
    Never,
}

/// Which answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    version: VersionId,
    rows: Digest,
}

/// An answer and when it was made.
#[derive(Clone)]
struct Remembered {
    output: Arc<Output>,
    at: Monotonic,
}

/// Weighs answers in bytes.
#[derive(Clone)]
struct Bytes;

impl Weighter<Question, Remembered> for Bytes {
    fn weight(&self, _: &Question, remembered: &Remembered) -> u64 {
        OVERHEAD + bytes(&remembered.output)
    }
}

/// The answers of this process; none if none are to be remembered.
pub(super) struct Results {
    cache: Option<Cache<Question, Remembered, Bytes>>,
    ttl: Duration,
}

impl Results {
    pub(super) fn new(settings: &PredictSettings) -> Self {
        let most = settings.result_cache_bytes;
        let items = usize::try_from(most / (2 * OVERHEAD)).unwrap_or(usize::MAX);
        Self {
            cache: (most > 0).then(|| Cache::with_weighter(items.min(1 << 20), most, Bytes)),
            ttl: settings.result_ttl,
        }
    }

    /// What to look up and to remember under; nothing if nothing is remembered.
    pub(super) fn question(
        &self,
        version: &VersionEntry,
        rows: &Batch,
        reuse: Reuse,
    ) -> Option<Question> {
        self.cache.as_ref().filter(|_| reuse != Reuse::Never)?;
        Some(Question {
            version: version.id,
            rows: rows.digest(),
        })
    }

    /// An answer that was given before and is not too old; counted.
    pub(super) fn get(
        &self,
        question: Question,
        now: Monotonic,
        meters: &Meters,
    ) -> Option<Arc<Output>> {
        let remembered = self.cache.as_ref()?.get(&question);
        let fresh = remembered.filter(|remembered| now.since(remembered.at) < self.ttl);
        let counter = match &fresh {
            Some(_) => &meters.result_cache_hits,
            None => &meters.result_cache_misses,
        };
        counter.inc();
        fresh.map(|remembered| remembered.output)
    }

    /// Remembers an answer.
    pub(super) fn keep(&self, question: Question, output: &Output, now: Monotonic) {
        if let Some(cache) = &self.cache {
            let output = Arc::new(output.clone());
            cache.insert(question, Remembered { output, at: now });
        }
    }
}

/// What is known of the rows of one request.
pub(super) struct Recall {
    question: Option<Question>,
    /// What was answered before.
    pub(super) known: Option<Arc<Output>>,
}

impl App {
    /// Looks for an answer that was given before.
    pub(super) fn recall(&self, version: &VersionEntry, rows: &Batch, reuse: Reuse) -> Recall {
        let results = &self.serving().results;
        let question = results.question(version, rows, reuse);
        let known = question
            .filter(|_| reuse == Reuse::Accepted)
            .and_then(|question| results.get(question, self.clock().monotonic(), self.meters()));
        Recall { question, known }
    }

    /// Counts an answer, and remembers it if it is new.
    pub(super) fn count_answer(
        &self,
        version: &VersionEntry,
        recall: &Recall,
        (output, began, ended): (&Output, Monotonic, Monotonic),
    ) {
        if recall.known.is_some() {
            version.meters.repeated(output.rows);
            return;
        }
        version.meters.answered(output.rows, ended.since(began));
        if let Some(question) = recall.question {
            self.serving().results.keep(question, output, ended);
        }
    }
}

/// Memory that an answer's values take.
fn bytes(output: &Output) -> u64 {
    let column = |column: &Column| match &column.values {
        Values::Float32(values) => 4 * values.len(),
        Values::Float64(values) => 8 * values.len(),
        Values::Int64(values) => 8 * values.len(),
        Values::Bool(values) => values.len(),
        Values::Text(values) => {
            let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            24 * values.len() + values.iter().map(text).sum::<usize>()
        }
    };
    let values: usize = output.values.iter().map(column).sum();
    (4 * output.labels.len() + 8 * output.probabilities.len() + values) as u64
}
