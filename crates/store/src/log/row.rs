//! One row of the table `predictions`, in its two directions.

use plimsoll_core::id::{KeyId, ModelId, PredictionId, UserId, VersionId};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;
use sqlx::error::BoxDynError;

use crate::column::Column;

/// One prediction request as the log shows it. In texts from a client a NUL
/// character, which PostgreSQL cannot store, becomes U+FFFD.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct PredictionRow {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: PredictionId,
    /// Who may read it.
    #[sqlx(try_from = "String")]
    pub owner_id: UserId,
    /// The model asked.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// The version that answered.
    #[sqlx(try_from = "String")]
    pub version_id: VersionId,
    /// The version's number within its model.
    pub version_number: i64,
    /// The endpoint called; `None` for a model's implicit one.
    pub endpoint: Option<String>,
    /// The key used; `None` for a person signed in.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub key_id: Option<KeyId>,
    /// The name the client gave the row in the body.
    pub request_id: Option<String>,
    /// The name of the HTTP request.
    pub header_request_id: String,
    /// The slug of the error if the request failed.
    pub error_code: Option<String>,
    /// What the error said.
    pub error_message: Option<String>,
    /// Rows asked about.
    pub row_count: i64,
    /// Length of the whole input, also of what was cut off.
    pub input_bytes: i64,
    /// Whether `input` or `output` was cut.
    pub truncated: bool,
    /// What `input` and `output` hold.
    #[sqlx(try_from = "String")]
    pub payload: Payload,
    /// Mean confidence of the answer, if the model tells one.
    pub confidence: Option<f64>,
    /// From arrival to answer, in microseconds.
    pub latency_us: i64,
    /// When the request was answered.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// The input as JSON text.
    pub input: Option<String>,
    /// The output as JSON text.
    pub output: Option<String>,
    /// Whether a shadow was asked: nobody got this answer.
    pub shadow: bool,
}

impl PredictionRow {
    /// What became of the request.
    pub const fn status(&self) -> PredictionStatus {
        match self.error_code {
            None => PredictionStatus::Success,
            Some(_) => PredictionStatus::Error,
        }
    }
}

/// What became of a prediction request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictionStatus {
    /// The model answered.
    Success,
    /// The model or the server failed.
    Error,
}

impl PredictionStatus {
    /// The name used in the API and in filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

/// What a row keeps of input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The values.
    Full,
    /// A digest of the values.
    Hashed,
    /// Nothing.
    None,
}

impl Payload {
    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Hashed => "hashed",
            Self::None => "none",
        }
    }
}

impl TryFrom<String> for Payload {
    type Error = BoxDynError;

    fn try_from(text: String) -> Result<Self, BoxDynError> {
        match text.as_str() {
            "full" => Ok(Self::Full),
            "hashed" => Ok(Self::Hashed),
            "none" => Ok(Self::None),
            _ => Err("expected one of full, hashed, none".into()),
        }
    }
}

/// The columns of the table in their order there.
macro_rules! columns {
    () => {
        "id, owner_id, model_id, version_id, version_number, endpoint, key_id, request_id, \
         header_request_id, error_code, error_message, row_count, input_bytes, truncated, \
         payload, confidence, latency_us, created_at, input, output, shadow"
    };
}
pub(super) use columns;
