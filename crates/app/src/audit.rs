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

#[cfg(test)]
mod tests {
    use std::iter::{empty, once};

    use plimsoll_core::time::Timestamp;

    use super::*;

    const ROWS: usize = 1000;

    /// Rows as they were written, and the end of the chain after so many of them.
    struct Log {
        rows: Vec<AuditRow>,
        heads: Vec<AuditHead>,
    }

    impl Log {
        fn new() -> Self {
            let mut log = Self {
                rows: Vec::new(),
                heads: vec![AuditHead::START],
            };
            for seq in 1..=i64::try_from(ROWS).unwrap() {
                let mut row = AuditRow {
                    seq,
                    at: Timestamp::from_micros(seq * 1000),
                    via: "api".to_owned(),
                    user_id: Some(format!("usr_{}", seq % 7)),
                    key_id: (seq % 2 == 0).then(|| format!("key_{}", seq % 5)),
                    address: Some("127.0.0.1".to_owned()),
                    action: "key.created".to_owned(),
                    object_kind: "key".to_owned(),
                    object_id: format!("key_{seq}"),
                    details: format!("{{\"row\":{seq}}}"),
                    request_id: Some(format!("req_{seq}")),
                    hash: Vec::new(),
                };
                let before = log.heads[log.rows.len()].hash;
                let hash = row.seal(&before);
                row.hash = hash.as_bytes().to_vec();
                log.heads.push(AuditHead { seq, hash });
                log.rows.push(row);
            }
            log
        }

        fn end(&self) -> AuditHead {
            self.heads[ROWS]
        }

        /// Whether a check finds something wrong if the first `whole` rows, which are as
        /// they were, are followed by `rest`. The end of the chain is known from elsewhere.
        fn is_found<'a>(
            &self,
            whole: usize,
            rest: impl IntoIterator<Item = &'a AuditRow>,
            recorded: &AuditHead,
        ) -> bool {
            let checkpoint = self.end();
            let mut chain = Chain {
                head: self.heads[whole],
                checkpoint: Some(&checkpoint),
            };
            rest.into_iter().any(|row| chain.extend(row).is_err())
                || !matches!(chain.end(recorded), Checked::Intact(_))
        }

        /// The row at `index` under the number `seq`, sealed after `whole` rows by
        /// somebody who knows how.
        fn forged(&self, index: usize, seq: i64, whole: usize) -> AuditRow {
            let mut row = AuditRow {
                seq,
                ..self.rows[index].clone()
            };
            row.hash = row.seal(&self.heads[whole].hash).as_bytes().to_vec();
            row
        }
    }

    /// Another value in one column; `which` goes through all of them.
    fn edit(row: &mut AuditRow, which: usize) {
        match which % 12 {
            0 => row.seq += 1,
            1 => row.at = Timestamp::from_micros(row.at.as_micros() + 1),
            2 => row.via.push('x'),
            3 => row.user_id = None,
            4 => row.key_id = Some("key_x".to_owned()),
            5 => row.address = Some("127.0.0.2".to_owned()),
            6 => row.action = "key.revoked".to_owned(),
            7 => row.object_kind = "model".to_owned(),
            8 => row.object_id.push('0'),
            9 => row.details = "{}".to_owned(),
            10 => row.request_id = None,
            _ => row.hash[31] ^= 1,
        }
    }

    /// P29
    #[test]
    fn whatever_is_done_to_any_of_a_thousand_rows_is_found() {
        let log = Log::new();
        let (rows, end) = (&log.rows, log.end());
        assert!(!log.is_found(0, rows, &end), "nothing was done");
        for index in 0..ROWS {
            let (seq, after) = (rows[index].seq, &rows[index + 1..]);
            for which in 0..12 {
                let mut edited = rows[index].clone();
                edit(&mut edited, which);
                assert!(
                    log.is_found(index, once(&edited).chain(after), &end),
                    "{seq}, {which}"
                );
            }
            assert!(log.is_found(index, after, &end), "{seq} deleted");
            let copy = log.forged(index, seq + 1, index + 1);
            assert!(
                log.is_found(index + 1, once(&copy).chain(after), &end),
                "{seq} doubled"
            );
            // Who mends the recorded end as well is found by the checkpoint.
            assert!(
                log.is_found(index, empty(), &log.heads[index]),
                "cut before {seq}"
            );
        }
        for index in 1..ROWS {
            let (first, second) = (rows[index - 1].seq, rows[index].seq);
            let later = log.forged(index, first, index - 1);
            let earlier = log.forged(index - 1, second, index);
            let exchanged = [&later, &earlier].into_iter().chain(&rows[index + 1..]);
            assert!(
                log.is_found(index - 1, exchanged, &end),
                "{first} and {second}"
            );
        }
    }
}
