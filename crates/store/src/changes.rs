//! The tables `changes` (a counter that tells a running server that the control
//! plane changed, in this process or another) and `change_subjects` (what the
//! last changes were about, so that a server need not read everything again).

use std::collections::HashSet;

use plimsoll_core::id::{EndpointId, ModelId};

use crate::pools::on;
use crate::{Db, Result, Tx};

/// Changes that are remembered; who is further behind reads everything again.
const REMEMBERED: i64 = 1024;
const ACCOUNTS: &str = "accounts";
const MODE: &str = "mode";

/// What a change of the control plane was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// People and keys.
    Accounts,
    /// The platform's mode.
    Mode,
    /// One model and its versions.
    Model(ModelId),
    /// One endpoint and what it serves.
    Endpoint(EndpointId),
}

impl Db {
    /// How often [`Tx::touch`] and [`Tx::touch_only`] were committed.
    pub async fn change_counter(&self) -> Result<i64> {
        Ok(on!(self, |c| {
            sqlx::query_scalar("select counter from changes where id = 1")
                .fetch_one(c)
                .await?
        }))
    }

    /// What the changes after `from`, up to `to`, were about; nothing if one of
    /// them was about anything or is forgotten.
    pub async fn subjects_changed(&self, from: i64, to: i64) -> Result<Option<HashSet<Subject>>> {
        let texts: Vec<String> = on!(self, |c| {
            sqlx::query_scalar(
                "select subject from change_subjects where counter > $1 and counter <= $2 \
                 order by counter",
            )
            .bind(from)
            .bind(to)
            .fetch_all(c)
            .await?
        });
        if i64::try_from(texts.len()).unwrap_or(i64::MAX) < to - from {
            return Ok(None);
        }
        // A word of a newer program is a change about anything.
        Ok(texts.iter().map(|text| parse(text)).collect())
    }
}

impl Tx {
    /// Announces that keys, people, models, versions or endpoints changed. Call it last:
    /// until the commit, other writers that call it wait.
    pub async fn touch(&mut self) -> Result<()> {
        self.next_change().await.map(drop)
    }

    /// Like [`touch`](Self::touch), for a change that was about nothing else.
    pub async fn touch_only(&mut self, subject: Subject) -> Result<()> {
        let counter = self.next_change().await?;
        let text = match subject {
            Subject::Accounts => ACCOUNTS.to_owned(),
            Subject::Mode => MODE.to_owned(),
            Subject::Model(id) => id.to_string(),
            Subject::Endpoint(id) => id.to_string(),
        };
        on!(self, |c| {
            sqlx::query("insert into change_subjects (counter, subject) values ($1, $2)")
                .bind(counter)
                .bind(&text)
                .execute(&mut *c)
                .await?;
            sqlx::query("delete from change_subjects where counter <= $1")
                .bind(counter - REMEMBERED)
                .execute(c)
                .await?;
        });
        Ok(())
    }

    async fn next_change(&mut self) -> Result<i64> {
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "update changes set counter = counter + 1 where id = 1 returning counter",
            )
            .fetch_one(c)
            .await?
        }))
    }
}

fn parse(text: &str) -> Option<Subject> {
    match text {
        ACCOUNTS => Some(Subject::Accounts),
        MODE => Some(Subject::Mode),
        id => {
            let model = id.parse().map(Subject::Model).ok();
            model.or_else(|| id.parse().map(Subject::Endpoint).ok())
        }
    }
}
