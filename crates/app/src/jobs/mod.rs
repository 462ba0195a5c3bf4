//! Long work: one durable row each, done at least once, behind everything else.
//!
//! A job is data. Its row is written in the transaction of whoever wants it
//! done; a worker claims it with a lease, renews the lease while it works, and
//! writes result and end in one transaction. A process that dies lets its leases
//! run out, and somebody else begins again: a job may run twice, but it ends once.

mod batch;
mod context;
mod files;
mod manage;
mod queue;
mod worker;

pub use batch::{BatchOptions, BatchRows, BatchTarget, ResultFormat, ResultStream, RowsFormat};
pub use manage::JobQuery;
pub(crate) use queue::Jobs;

use context::JobContext;
use plimsoll_blob::Staged;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use batch::Batch;

/// A type of job.
trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in the database and in the API.
    const NAME: &'static str;
    /// How often it is tried before it is given up.
    const MAX_ATTEMPTS: u32 = 3;

    /// Does it, from the beginning, whatever an earlier attempt has done.
    fn run(self, cx: &JobContext) -> impl Future<Output = Result<Done, Ended>> + Send;
}

/// Every type of job.
async fn run(kind: &str, input: Value, cx: &JobContext) -> Result<Done, Ended> {
    match kind {
        Batch::NAME => read::<Batch>(input)?.run(cx).await,
        other => Err(Ended::failed(
            "unknown-job",
            format!("this program knows no jobs of type {other}"),
        )),
    }
}

fn read<J: Job>(input: Value) -> Result<J, Ended> {
    serde_json::from_value(input).map_err(|error| {
        Ended::failed("unknown-job", format!("the input is not readable: {error}"))
    })
}

/// What a job achieved.
#[derive(Debug)]
struct Done {
    /// What the API shows of it.
    result: Value,
    /// What can be downloaded.
    file: Option<Staged>,
}

/// Why a job came to no result.
#[derive(Debug)]
enum Ended {
    /// Somebody asked for it.
    Cancelled,
    /// It cannot be done; trying again would not help.
    Failed {
        /// Stable word.
        code: &'static str,
        /// Sentence for people.
        message: String,
    },
    /// Something was not there or not in order; it may be done later.
    Broken(Error),
}

impl Ended {
    fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::Failed {
            code,
            message: message.into(),
        }
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        match &error {
            Error::NotFound { .. } => Self::failed("not-found", error.to_string()),
            Error::TooLarge { .. } => Self::failed("too-large", error.to_string()),
            Error::EngineUnavailable { .. } => {
                Self::failed("engine-unavailable", error.to_string())
            }
            Error::ModelBroken { .. } => Self::failed("model-broken", error.to_string()),
            _ => Self::Broken(error),
        }
    }
}
