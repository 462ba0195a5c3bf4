//! Long work: the states it goes through.

use std::str::FromStr;

use serde::Serialize;

/// Not a state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected queued, running, succeeded, failed or cancelled")]
pub struct UnknownJobState;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for its turn, or for its next attempt.
    Queued,
    /// Somebody works on it.
    Running,
    /// Done; it has a result.
    Succeeded,
    /// Given up; it has an error.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl JobState {
    /// Every state, in the order a job can go through them.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing happens to the job any more by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl FromStr for JobState {
    type Err = UnknownJobState;

    fn from_str(text: &str) -> Result<Self, UnknownJobState> {
        let mut states = Self::ALL.into_iter();
        states
            .find(|state| state.name() == text)
            .ok_or(UnknownJobState)
    }
}

impl TryFrom<String> for JobState {
    type Error = UnknownJobState;

    fn try_from(text: String) -> Result<Self, UnknownJobState> {
        text.parse()
    }
}
