//! One answered or failed request into the journal, before anybody hears of it.

use std::cell::RefCell;

use plimsoll_core::column::Batch;
use plimsoll_core::id::{KeyId, PredictionId, UserId};
use plimsoll_core::record::{Outcome, PredictionRecord, RecordHead};
use plimsoll_core::schema::Schema;
use plimsoll_core::time::{Monotonic, Timestamp};
use plimsoll_journal::Appended;

use crate::auth::Caller;
use crate::live::{ModelEntry, VersionEntry};
use crate::{App, Error};

/// What is known of a request once its model has run.
pub(crate) struct Ran<'a> {
    pub(crate) id: PredictionId,
    pub(crate) at: Timestamp,
    pub(crate) started: Monotonic,
    pub(crate) model: &'a ModelEntry,
    pub(crate) version: &'a VersionEntry,
    /// Where the inputs lie in a batch.
    pub(crate) schema: &'a Schema,
    pub(crate) client_request_id: Option<&'a str>,
    /// The name of the HTTP request.
    pub(crate) request_id: &'a str,
    pub(crate) asked: Asked<'a>,
    /// The endpoint called, by name.
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) cached: bool,
    /// Whether the answer was given before.
    pub(crate) result_cached: bool,
}

/// On whose behalf a model ran.
#[derive(Clone, Copy)]
pub(crate) enum Asked<'a> {
    /// Somebody's, who gets the answer.
    By(&'a Caller),
    /// A job's, for this person and with this key.
    Job(UserId, Option<KeyId>),
    /// As a shadow of what this person asked: nobody gets the answer, and it is
    /// no use of a key or a version.
    Shadow(UserId),
}

impl Asked<'_> {
    const fn user(&self) -> UserId {
        match self {
            Self::By(caller) => caller.user,
            Self::Job(user, _) | Self::Shadow(user) => *user,
        }
    }

    const fn key(&self) -> Option<KeyId> {
        match self {
            Self::By(caller) => caller.key,
            Self::Job(_, key) => *key,
            Self::Shadow(_) => None,
        }
    }

    /// The journal has it: whoever reads the journal counts it.
    fn recorded(&self) {
        if let Self::By(caller) = self {
            caller.recorded();
        }
    }

    const fn is_shadow(&self) -> bool {
        matches!(self, Self::Shadow(_))
    }
}

impl Ran<'_> {
    /// Counts what the journal does not have.
    fn count(&self, failed: bool) {
        if !self.asked.is_shadow() {
            self.version.usage.count(failed);
        }
    }
}

thread_local! {
    /// Encoding reuses one buffer per thread: no allocation per request.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl App {
    /// Appends what became of a request. Returns once the configured
    /// durability is reached; a journal that cannot be written drops and
    /// counts, and predictions go on.
    pub(crate) async fn record(
        &self,
        ran: &Ran<'_>,
        input: &Batch,
        outcome: Outcome<'_>,
    ) -> Result<(), Error> {
        let failed = matches!(outcome, Outcome::Failed { .. });
        let Some(history) = self.history() else {
            ran.count(failed);
            return Ok(());
        };
        let (policy, keys) = (&ran.model.capture, self.capture_keys());
        let redactions = ran.version.redactions(policy, ran.schema);
        let stand_ins = redactions.stand_ins(input, keys);
        let redacted = redactions.redacted(input, &stand_ins);
        let latency = self.clock().monotonic().since(ran.started);
        let head = RecordHead {
            prediction: ran.id,
            at: ran.at,
            model: ran.model.id,
            version: ran.version.id,
            version_number: ran.version.number,
            endpoint: ran.endpoint,
            key: ran.asked.key(),
            user: ran.asked.user(),
            request_id: ran.client_request_id,
            header_request_id: ran.request_id,
            latency_us: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            cached: ran.cached,
            result_cached: ran.result_cached,
            shadow: ran.asked.is_shadow(),
            kept: policy.mode.keeps(ran.id, failed),
        };
        let record = PredictionRecord {
            head,
            input,
            redacted: &redacted,
            outcome,
        };
        let appended = BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            record.encode(buffer);
            history.journal.append(buffer)
        });
        match appended {
            Appended::Written { .. } => ran.asked.recorded(),
            Appended::Dropped | Appended::Off => ran.count(failed),
            Appended::SpoolFull => {
                return Err(Error::NotReady {
                    what: "the prediction log",
                });
            }
        }
        match appended.needs_sync() {
            Some(sequence) => self.synced(sequence).await,
            None => Ok(()),
        }
    }

    /// Waits until a record is on disk. Many waiting requests share one sync.
    async fn synced(&self, sequence: u64) -> Result<(), Error> {
        let app = self.clone();
        let work = move || {
            app.history()
                .map(|history| history.journal.sync_up_to(sequence))
        };
        let synced = self.tasks().blocking(work).await;
        match synced.map_err(|error| Error::Internal(error.into()))? {
            Some(Err(error)) => {
                self.fail_for_good("the journal could not be synced");
                Err(Error::Internal(error.into()))
            }
            Some(Ok(())) | None => Ok(()),
        }
    }
}
