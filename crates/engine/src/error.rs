//! What can go wrong between a model file and an answer.

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
    #[error("the file refers to {global}, which is not a known estimator; nothing in it was run")]
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
    /// The prediction was given up before it was done.
    #[error("the prediction was stopped")]
    Stopped(Stop),
}
