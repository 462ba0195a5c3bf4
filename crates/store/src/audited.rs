//! A transaction that somebody answers for.

use std::fmt::Display;
use std::ops::{Deref, DerefMut};

use plimsoll_core::audit::{Action, Actor};
use plimsoll_core::id::UserId;
use plimsoll_core::time::Timestamp;
use serde_json::Value;

use crate::audit::AuditRow;
use crate::{Db, Result, Tx};

/// A [`Tx`] in somebody's name. What they do with it is written into the audit
/// log by [`AuditedTx::commit`], in the same transaction.
#[derive(Debug)]
pub struct AuditedTx {
    tx: Tx,
    actor: Actor,
    at: Timestamp,
    deeds: Vec<Deed>,
}

#[derive(Debug)]
struct Deed {
    action: Action,
    object: String,
    details: Value,
}

impl Db {
    /// Starts a transaction in the name of `actor`. On SQLite it holds the
    /// write lock from here on.
    pub async fn begin_as(&self, actor: Actor, at: Timestamp) -> Result<AuditedTx> {
        Ok(AuditedTx {
            tx: self.begin().await?,
            actor,
            at,
            deeds: Vec::new(),
        })
    }
}

impl AuditedTx {
    /// Notes that `action` was done to the object with this id. `details` are a
    /// few small facts, as a JSON object; never a secret.
    pub fn audit(&mut self, action: Action, object: impl Display, details: Value) {
        self.deeds.push(Deed {
            action,
            object: object.to_string(),
            details,
        });
    }

    /// Says who it is, where only the transaction showed it.
    pub const fn by(&mut self, user: UserId) {
        self.actor.user = Some(user);
    }

    /// Writes the log and makes everything visible and durable.
    pub async fn commit(mut self) -> Result<()> {
        if let Some(claim) = &self.actor.claim {
            let effect = effect(&self.deeds);
            self.tx.mark_effect(claim, &effect, self.at).await?;
        }
        self.write_deeds().await?;
        self.tx.commit().await
    }

    /// The end of the chain is locked as the last thing before the commit: so
    /// transactions lock it in the same order, and hold it shortly.
    async fn write_deeds(&mut self) -> Result<()> {
        if self.deeds.is_empty() {
            return Ok(());
        }
        let rows = i64::try_from(self.deeds.len()).unwrap_or(i64::MAX);
        let mut head = self.tx.extend_audit(rows).await?;
        for deed in std::mem::take(&mut self.deeds) {
            let mut row = self.row(head.seq + 1, deed);
            head.seq = row.seq;
            head.hash = row.seal(&head.hash);
            row.hash = head.hash.as_bytes().to_vec();
            self.tx.insert_audit(&row).await?;
        }
        self.tx.seal_audit(&head.hash).await
    }

    fn row(&self, seq: i64, deed: Deed) -> AuditRow {
        let actor = &self.actor;
        AuditRow {
            seq,
            at: self.at,
            via: actor.via.name().to_owned(),
            user_id: actor.user.map(|id| id.to_string()),
            key_id: actor.key.map(|id| id.to_string()),
            address: actor.address.map(|address| address.to_string()),
            action: deed.action.name().to_owned(),
            object_kind: deed.action.object().to_owned(),
            object_id: deed.object,
            details: deed.details.to_string(),
            request_id: actor.request_id.as_deref().map(str::to_owned),
            hash: Vec::new(),
        }
    }
}

/// What was done, for whoever asks again and finds no answer.
fn effect(deeds: &[Deed]) -> String {
    let deeds = deeds
        .iter()
        .map(|deed| format!("{} {}", deed.action.name(), deed.object));
    deeds.collect::<Vec<_>>().join(", ")
}

impl Deref for AuditedTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for AuditedTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}
