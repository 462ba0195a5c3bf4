//! The audit log.

use plimsoll_app::audit::MAX_PAGE;
use plimsoll_core::audit::Action;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{AuditCursor, AuditFilter, AuditRow};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::page::Reader;
use crate::problem::{Kind, Problem};

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditDto {
    /// Its number, from 1, without gaps.
    seq: i64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `api`, `cli` (whoever can write the data directory) or `system`.
    via: String,
    /// Who did it; nobody for a failed sign-in.
    actor: Option<String>,
    /// The key used; none for a person signed in.
    api_key_id: Option<String>,
    /// The client's address.
    address: Option<String>,
    /// What was done, e.g. `key.revoked`.
    action: String,
    /// The kind of object, e.g. `key`.
    object_kind: String,
    /// Its id.
    object_id: String,
    /// Facts about it, such as what it was before and after.
    #[schema(value_type = serde_json::Value)]
    details: Option<Box<RawValue>>,
    /// The name under which the request is logged.
    request_id: Option<String>,
    /// SHA-256 over the hash of the entry before and this entry.
    hash: String,
}

impl From<AuditRow> for AuditDto {
    fn from(row: AuditRow) -> Self {
        Self {
            seq: row.seq,
            at: row.at,
            via: row.via,
            actor: row.user_id,
            api_key_id: row.key_id,
            address: row.address,
            action: row.action,
            object_kind: row.object_kind,
            object_id: row.object_id,
            details: RawValue::from_string(row.details).ok(),
            request_id: row.request_id,
            hash: row.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// One page of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditList {
    /// The entries.
    items: Vec<AuditDto>,
    /// The cursor of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl AuditList {
    /// The rows of a page that may have had `limit` of them.
    pub(crate) fn new(rows: Vec<AuditRow>, limit: u32) -> Self {
        let is_full = rows.len() >= limit as usize;
        let last = rows.last().filter(|row| is_full && row.seq > 1);
        Self {
            next: last.map(|row| AuditCursor(row.seq).to_string()),
            items: rows.into_iter().map(AuditDto::from).collect(),
        }
    }
}

/// Which entries are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Id of a person or of a key.
    actor: Option<String>,
    /// What was done, e.g. `key.revoked`.
    action: Option<String>,
    /// A kind of object, e.g. `key`, or the id of one.
    object: Option<String>,
    /// From this moment on (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Before this moment (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// Most entries, 1 to 200.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// `next` of the page before, with the same filters.
    cursor: Option<String>,
}

impl AuditQuery {
    /// The filter that the store understands.
    pub(crate) fn filter(self) -> Result<AuditFilter, Problem> {
        let mut errors = Vec::new();
        let mut read = Reader(&mut errors);
        let (from, to) = read.range(self.from.as_deref(), self.to.as_deref());
        let expected = "the name of an action, key.revoked for instance";
        let name = self.action.as_deref();
        let filter = AuditFilter {
            action: read.text("action", name, expected, Action::from_name),
            limit: read.limit(self.limit.as_deref(), MAX_PAGE),
            actor: word(&mut read, "actor", self.actor),
            object: word(&mut read, "object", self.object),
            from,
            to,
            after: None,
        };
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let after = self.cursor.map(|text| text.parse()).transpose();
        let after = after
            .map_err(|_| Problem::new(Kind::MalformedRequest, "the cursor is not one of ours"))?;
        Ok(AuditFilter { after, ..filter })
    }
}

/// Ids and kinds are plain words; PostgreSQL would refuse some others.
fn word(read: &mut Reader<'_>, name: &str, text: Option<String>) -> Option<String> {
    let is_word = |text: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (!text.is_empty() && text.len() <= 128 && text.chars().all(is_plain))
            .then(|| text.to_owned())
    };
    read.text(
        name,
        text.as_deref(),
        "an id or the kind of an object",
        is_word,
    )
}
