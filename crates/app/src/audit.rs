//! The audit log: who may read it, and whether anybody tampered with it.

use plimsoll_core::audit::Actor;
use plimsoll_store::{AuditFilter, AuditHead, AuditRow, AuditedTx, Db};

use crate::auth::Caller;
use crate::{App, Error};

/// Rows read at once while the chain is checked.
const BATCH: u32 = 1000;
/// Most rows on a page of the list.
pub const MAX_PAGE: u32 = 200;

/// What checking the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Every row is as it was written; this is the end of the chain.
    Intact(AuditHead),
    /// The first place that is not as it was written.
    Broken {
        /// Number of the row.
        seq: i64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl App {
    /// A transaction in the name of `caller`: what they do with it is audited.
    pub async fn begin(&self, caller: &Caller) -> Result<AuditedTx, Error> {
        self.begin_as(caller.actor()).await
    }

    pub(crate) async fn begin_as(&self, actor: Actor) -> Result<AuditedTx, Error> {
        Ok(self.db().begin_as(actor, self.clock().now()).await?)
    }

    /// One page of the audit log, newest first, for administrators. There is
    /// another page if it is full.
    pub async fn audit_log(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditRow>, Error> {
        caller.require_admin_role()?;
        Ok(self.db().audit_page(filter).await?)
    }
}

/// Reads the whole chain and holds each row to its hash, and the chain to
/// `checkpoint`, an end that was written down elsewhere at an earlier time: only
/// against one of those is it noticed that the last rows are gone together with
/// the record of the end, or that the whole chain was made anew.
pub async fn check_audit(db: &Db, checkpoint: Option<&AuditHead>) -> Result<Checked, Error> {
    let mut chain = Chain {
        head: AuditHead::START,
        checkpoint,
    };
    loop {
        let rows = db.audit_after(chain.head.seq, BATCH).await?;
        for row in &rows {
            if let Err(what) = chain.extend(row) {
                let seq = chain.head.seq + 1;
                return Ok(Checked::Broken { seq, what });
            }
        }
        if !rows.is_empty() {
            continue;
        }
        let recorded = db.audit_head().await?;
        // A row that was added meanwhile is read in the next turn.
        if recorded.seq <= chain.head.seq || db.audit_after(chain.head.seq, 1).await?.is_empty() {
            return Ok(chain.end(&recorded));
        }
    }
}

/// The part of the chain that was checked.
struct Chain<'a> {
    head: AuditHead,
    checkpoint: Option<&'a AuditHead>,
}

impl Chain<'_> {
    fn extend(&mut self, row: &AuditRow) -> Result<(), &'static str> {
        if row.seq != self.head.seq + 1 {
            return Err("the row is missing");
        }
        let hash = row.seal(&self.head.hash);
        if row.hash != hash.as_bytes() {
            return Err("the row is not what was written, or not where it was written");
        }
        self.head = AuditHead { seq: row.seq, hash };
        match self.checkpoint {
            Some(known) if known.seq == row.seq && known.hash != hash => {
                Err("the row is not the one of the checkpoint: the chain was made anew")
            }
            _ => Ok(()),
        }
    }

    fn end(&self, recorded: &AuditHead) -> Checked {
        let seq = self.head.seq + 1;
        if let Some(known) = self.checkpoint
            && known.seq > self.head.seq
        {
            let what = "the row is missing, and the checkpoint knows it";
            return Checked::Broken { seq, what };
        }
        if *recorded == self.head {
            return Checked::Intact(self.head);
        }
        let what =
            "the recorded end of the log lies elsewhere: rows at the end were removed or added";
        Checked::Broken {
            seq: seq.min(recorded.seq + 1),
            what,
        }
    }
}
