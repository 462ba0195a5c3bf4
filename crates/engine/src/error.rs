//! What can go wrong between a model file and an answer.

use std::time::Duration;

use crate::Stop;

/// What can go wrong between a model file and an answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The content is no format this product knows.
    #[error("this is not a model file of a known format ({found})")]
    Unrecognised {
        /// What the content looks like instead.
        found: String,
    },
    /// A pickle refers to something outside the list of known estimators.
    #[error(
        "the file refers to {global}, which is not a known estimator; nothing in it was run, \
         and only an operator can allow that (engine.python)"
    )]
    Unsafe {
        /// Module and name of the offending global, `os.system` for instance.
        global: String,
    },
    /// The format is known, this part of it is not served.
    #[error("{what} cannot be served; {advice}")]
    Unsupported {
        /// The estimator, option or operator in question.
        what: String,
        /// What the user can do instead.
        advice: String,
    },
    /// The file contradicts its own format.
    #[error("the file is damaged: {detail}")]
    Malformed {
        /// Where and how.
        detail: String,
    },
    /// A limit on size, depth or count was passed while reading.
    #[error("the file exceeds a limit: {detail}")]
    TooLarge {
        /// Which limit.
        detail: String,
    },
    /// The engine this format needs is not installed.
    #[error("{what} is not available here; {advice}")]
    Unavailable {
        /// The missing engine.
        what: String,
        /// How to install it.
        advice: String,
    },
    /// The input cannot be used by this model though it fits the schema.
    #[error("the input cannot be predicted: {detail}")]
    Input {
        /// What is wrong with it.
        detail: String,
    },
    /// The model failed while predicting.
    #[error("the model failed: {detail}")]
    Failed {
        /// What the engine said.
        detail: String,
    },
    /// What runs the model failed too often and is not started again yet.
    #[error("what runs the model failed and rests for {} s", retry_after.as_secs_f64().ceil())]
    Resting {
        /// When to come back.
        retry_after: Duration,
    },
    /// The prediction was given up before it was done.
    #[error("the prediction was stopped")]
    Stopped(Stop),
}

impl EngineError {
    /// Whether the file may be sound and only no reader here serves it.
    pub(crate) fn is_unserved(&self) -> bool {
        matches!(
            self,
            Self::Unsafe { .. } | Self::Unsupported { .. } | Self::TooLarge { .. }
        )
    }

    /// The same refusal, saying that an operator can have such files served.
    pub(crate) fn naming_the_switch(self) -> Self {
        match self {
            Self::Unsupported { what, advice } => Self::Unsupported {
                what,
                advice: format!("{advice}; or an operator lets a Python run it (engine.python)"),
            },
            other => other,
        }
    }
}
