//! The mode the platform is in: who changes it, and what it keeps from being done.

use std::time::Duration;

use plimsoll_core::audit::Action;
use plimsoll_core::field::FieldError;
use plimsoll_core::key::Scope;
use plimsoll_core::mode::{Mode, Work};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::revision::{IfMatch, Revision};
use plimsoll_core::time::Timestamp;
use plimsoll_store::{ModeRow, Subject};
use serde_json::json;

use crate::auth::Caller;
use crate::error::Require as _;
use crate::live::Live;
use crate::{App, Error};

/// When to come back while predictions are not served.
const COME_BACK: Duration = Duration::from_secs(30);
/// Longest reason, in characters.
const MAX_REASON: usize = 500;

/// Who is told of a change, after it is in force: what it was, and what it is.
const TOLD: [fn(&ModeRow, &ModeRow); 1] = [log_line];

/// What the mode should be.
#[derive(Clone, Debug)]
pub struct ModeChange {
    /// The mode.
    pub mode: Mode,
    /// Whether predictions are served; `false` in maintenance only.
    pub serve: Option<bool>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What the platform is in before anybody changed it.
pub(crate) const fn initial() -> ModeRow {
    ModeRow {
        seq: 0,
        mode: Mode::Inference,
        serve: true,
        reason: None,
        by_user_id: None,
        at: Timestamp::from_micros(0),
    }
}

/// Which state of the mode this is.
pub fn revision(mode: &ModeRow) -> Revision {
    Revision::new(mode.seq)
}

impl Live {
    /// Refuses predictions while maintenance does not serve any.
    pub(crate) fn require_serving(&self) -> Result<(), Error> {
        if self.mode().serve {
            return Ok(());
        }
        Err(Error::Maintenance {
            retry_after: COME_BACK,
        })
    }
}

impl App {
    /// Refuses work that the platform's mode does not allow.
    pub fn require_mode(&self, work: Work) -> Result<(), Error> {
        let current = self.live().mode().mode;
        let required = work.modes(self.settings().training_policy);
        if required.contains(&current) {
            return Ok(());
        }
        Err(Error::WrongMode { current, required })
    }

    /// The mode the platform is in.
    pub fn mode(&self, caller: &Caller) -> Result<ModeRow, Error> {
        caller.require(Scope::Read)?;
        Ok(self.live().mode().clone())
    }

    /// All changes of the mode, newest first.
    pub async fn mode_history(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<ModeRow>, Error> {
        caller.require(Scope::Read)?;
        Ok(self.db().modes_page(page).await?)
    }

    /// Changes the mode; in force for the next request. The mode it is in already
    /// is left as it is.
    pub async fn set_mode(
        &self,
        caller: &Caller,
        change: ModeChange,
        condition: &IfMatch,
    ) -> Result<ModeRow, Error> {
        caller.require_admin_role()?;
        check(&change).map_err(Error::Invalid)?;
        let mut tx = self.begin(caller).await?;
        // First, so that no other change comes between.
        tx.touch_only(Subject::Mode).await?;
        let before = tx.mode().await?.unwrap_or(initial());
        condition.require(&revision(&before))?;
        let serve = change.serve.unwrap_or(true);
        if (before.mode, before.serve) == (change.mode, serve) {
            return Ok(before);
        }
        let after = ModeRow {
            seq: before.seq + 1,
            mode: change.mode,
            serve,
            reason: change.reason,
            by_user_id: Some(caller.user.to_string()),
            at: self.clock().now(),
        };
        tx.insert_mode(&after).await?;
        let states = json!({
            "before": {"mode": before.mode, "serve": before.serve},
            "after": {"mode": after.mode, "serve": after.serve},
            "reason": after.reason,
        });
        tx.audit(Action::ModeChanged, after.seq, states);
        tx.commit().await?;
        self.refresh_live().await?;
        for tell in TOLD {
            tell(&before, &after);
        }
        Ok(after)
    }
}

fn log_line(before: &ModeRow, after: &ModeRow) {
    tracing::info!(
        from = before.mode.name(),
        to = after.mode.name(),
        serve = after.serve,
        by = after.by_user_id,
        "mode changed"
    );
}

fn check(change: &ModeChange) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    if change.serve == Some(false) && change.mode != Mode::Maintenance {
        let detail = "predictions are served in every mode but maintenance";
        let error = FieldError::new("/serve", "invalid-value", detail);
        errors.push(error.expected_got("true, or the mode maintenance", "boolean"));
    }
    let unprintable = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let reason = change.reason.as_deref().unwrap_or_default();
    if reason.chars().count() > MAX_REASON || reason.contains(unprintable) {
        let expected = format!("at most {MAX_REASON} printable characters");
        let error = FieldError::new("/reason", "invalid-value", format!("expected {expected}"));
        errors.push(error.expected_got(expected, "string"));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}
