//! The tables `audit` and `audit_head`: who changed what, each row sealed by a
//! hash that covers it and, through the hash before it, every earlier row.
//!
//! Rows are written by [`AuditedTx`](crate::AuditedTx) in the transaction of the change they are
//! about, and never changed.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plimsoll_core::audit::Action;
use plimsoll_core::digest::Digest;
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::pools::on;
use crate::{Db, InvalidCursor, Result, Tx};

/// One row of the log, as it is stored: the seal is over these very texts.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AuditRow {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// When it happened.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
    /// `api`, `cli` or `system`.
    pub via: String,
    /// Who did it, if anybody is known.
    pub user_id: Option<String>,
    /// The key used, if one was.
    pub key_id: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// What was done, e.g. `key.revoked`.
    pub action: String,
    /// The kind of object, e.g. `key`.
    pub object_kind: String,
    /// Its id.
    pub object_id: String,
    /// Facts about it, as JSON.
    pub details: String,
    /// The name under which the request is logged.
    pub request_id: Option<String>,
    /// SHA-256 over the hash before it and this row.
    pub hash: Vec<u8>,
}

impl AuditRow {
    /// The hash the row should have after `previous`: SHA-256 over the 32 bytes
    /// of `previous` and the other columns as a JSON list in their order.
    pub fn seal(&self, previous: &Digest) -> Digest {
        let place = (self.seq, self.at.as_micros(), &self.via);
        let actor = (&self.user_id, &self.key_id, &self.address);
        let object = (&self.action, &self.object_kind, &self.object_id);
        let columns = (place, actor, object, &self.details, &self.request_id);
        let mut sealed = previous.as_bytes().to_vec();
        serde_json::to_writer(&mut sealed, &columns)
            .expect("invariant: numbers and texts always serialise");
        Digest::of(&sealed)
    }
}

/// The end of the chain at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Number of the last row; 0 if there is none.
    pub seq: i64,
    /// Its hash; 32 zero bytes if there is none.
    pub hash: Digest,
}

impl AuditHead {
    /// Before the first row.
    pub const START: Self = Self {
        seq: 0,
        hash: Digest::from_bytes([0; 32]),
    };
}

/// Which rows a list shows, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only by this person or with this key.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<Action>,
    /// Only about objects of this kind, or the one with this id.
    pub object: Option<String>,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub to: Option<Timestamp>,
    /// Only after this place.
    pub after: Option<AuditCursor>,
    /// Most rows.
    pub limit: u32,
}

/// A place in the list: everything after it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCursor(pub i64);

/// First byte of every cursor; another layout gets another number.
const FORMAT: u8 = 1;

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [FORMAT; 9];
        bytes[1..].copy_from_slice(&self.0.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for AuditCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        match bytes.split_first() {
            Some((&FORMAT, seq)) => {
                let seq = i64::from_be_bytes(seq.try_into().map_err(|_| InvalidCursor)?);
                if seq > 0 {
                    Ok(Self(seq))
                } else {
                    Err(InvalidCursor)
                }
            }
            _ => Err(InvalidCursor),
        }
    }
}

macro_rules! columns {
    () => {
        "seq, at, via, user_id, key_id, address, action, object_kind, object_id, details, \
         request_id, hash"
    };
}

impl Db {
    /// Rows that match, newest first.
    pub async fn audit_page(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from audit where seq < $1 and at >= $2 and at < $3 \
             and (cast($4 as text) is null or user_id = $4 or key_id = $4) \
             and (cast($5 as text) is null or action = $5) \
             and (cast($6 as text) is null or object_kind = $6 or object_id = $6) \
             order by seq desc limit $7"
        );
        let after = filter.after.map_or(i64::MAX, |cursor| cursor.0);
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(after)
                .bind(filter.from.map_or(i64::MIN, Timestamp::as_micros))
                .bind(filter.to.map_or(i64::MAX, Timestamp::as_micros))
                .bind(&filter.actor)
                .bind(filter.action.map(Action::name))
                .bind(&filter.object)
                .bind(i64::from(filter.limit))
                .fetch_all(c)
                .await?
        }))
    }

    /// The next `limit` rows after number `seq`, oldest first.
    pub async fn audit_after(&self, seq: i64, limit: u32) -> Result<Vec<AuditRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from audit where seq > $1 order by seq limit $2"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(seq)
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?
        }))
    }

    /// The end of the chain.
    pub async fn audit_head(&self) -> Result<AuditHead> {
        let (seq, hash) = on!(self, |c| {
            sqlx::query_as("select seq, hash from audit_head where id = 1")
                .fetch_one(c)
                .await?
        });
        head(seq, hash)
    }
}

impl Tx {
    /// Takes the next `rows` numbers; the row of the chain's end stays locked
    /// until the transaction ends. Answers the end before them.
    pub(crate) async fn extend_audit(&mut self, rows: i64) -> Result<AuditHead> {
        let (seq, hash): (i64, Vec<u8>) = on!(self, |c| {
            sqlx::query_as(
                "update audit_head set seq = seq + $1 where id = 1 returning seq - $1, hash",
            )
            .bind(rows)
            .fetch_one(c)
            .await?
        });
        head(seq, hash)
    }

    pub(crate) async fn insert_audit(&mut self, row: &AuditRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into audit (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(row.seq)
                .bind(row.at.as_micros())
                .bind(&row.via)
                .bind(&row.user_id)
                .bind(&row.key_id)
                .bind(&row.address)
                .bind(&row.action)
                .bind(&row.object_kind)
                .bind(&row.object_id)
                .bind(&row.details)
                .bind(&row.request_id)
                .bind(&row.hash)
                .execute(c)
                .await?;
        });
        Ok(())
    }

    pub(crate) async fn seal_audit(&mut self, hash: &Digest) -> Result<()> {
        on!(self, |c| {
            sqlx::query("update audit_head set hash = $1 where id = 1")
                .bind(hash.as_bytes().as_slice())
                .execute(c)
                .await?;
        });
        Ok(())
    }
}

fn head(seq: i64, hash: Vec<u8>) -> Result<AuditHead> {
    let hash: std::result::Result<[u8; 32], _> = hash.try_into();
    let hash = hash.map_err(|_| sqlx::Error::Decode("expected a hash of 32 bytes".into()))?;
    Ok(AuditHead {
        seq,
        hash: Digest::from_bytes(hash),
    })
}
