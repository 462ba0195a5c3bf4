//! The state the platform is in, and what it keeps from being done.

use serde::{Deserialize, Serialize};

/// The state the platform is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Mode {
    /// The usual one.
    #[default]
    Inference,
    /// Models are being trained; predictions are served all the same.
    Training,
    /// Nothing new is taken in while somebody works on the installation.
    Maintenance,
}

impl Mode {
    /// The name in requests and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Training => "training",
            Self::Maintenance => "maintenance",
        }
    }
}

/// The text names no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of inference, training, maintenance")]
pub struct UnknownMode;

impl TryFrom<String> for Mode {
    type Error = UnknownMode;

    fn try_from(text: String) -> Result<Self, UnknownMode> {
        [Self::Inference, Self::Training, Self::Maintenance]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or(UnknownMode)
    }
}

/// When models may be trained and saved (`modes.training`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrainingPolicy {
    /// In every mode but maintenance: a job never touches what is served.
    #[default]
    Auto,
    /// In training mode only.
    Strict,
}

/// Work that not every mode allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Changing what is served: promotions, deployments, traffic.
    Deploy,
    /// Adding a version by an upload.
    Save,
    /// Starting a training job.
    Train,
}

impl Work {
    /// The modes in which it may be done.
    pub const fn modes(self, policy: TrainingPolicy) -> &'static [Mode] {
        match (self, policy) {
            (Self::Deploy, _) | (_, TrainingPolicy::Auto) => &[Mode::Inference, Mode::Training],
            (Self::Save | Self::Train, TrainingPolicy::Strict) => &[Mode::Training],
        }
    }
}
