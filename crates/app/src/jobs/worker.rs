//! The worker: claims one job after the other and sees it to its end.

use std::time::Duration;

use plimsoll_core::time::Timestamp;
use plimsoll_store::{Claim, JobFileRole, JobOutcome, JobRow};
use serde_json::{Value, json};

use super::context::JobContext;
use super::{Done, Ended, run};
use crate::{App, Error};

/// How long a worker that is not heard of keeps its job.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is heard of.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often a worker looks for jobs nobody told it of: those whose time has
/// come, those of other processes.
const POLL: Duration = Duration::from_millis(500);
/// Pause before the second attempt; each further one is four times as long.
const BACK_OFF: Duration = Duration::from_secs(5);

impl App {
    /// Works on jobs until the server stops.
    pub(crate) async fn work_on_jobs(&self) {
        loop {
            let told = self.jobs().wake.notified();
            match self.work_on_next_job().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = ?error, "a job waits for its next attempt");
                }
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Frees what an earlier process of this data directory was working on when
    /// it died. Where several processes share a database, the leases tell.
    pub(crate) async fn free_abandoned_jobs(&self) -> Result<(), Error> {
        if self.db().kind() != "sqlite" {
            return Ok(());
        }
        let mut tx = self.db().begin().await?;
        tx.expire_leases().await?;
        Ok(tx.commit().await?)
    }

    /// Gives back what this process was working on, when it stops in order.
    pub(crate) async fn release_jobs(&self) -> Result<(), Error> {
        if self.history().is_none() {
            // A command beside the server works on nothing.
            return Ok(());
        }
        let mut tx = self.db().begin().await?;
        tx.release_jobs(self.jobs().worker, self.clock().now())
            .await?;
        Ok(tx.commit().await?)
    }

    /// Claims a job and runs it; false if there was none.
    async fn work_on_next_job(&self) -> Result<bool, Error> {
        let now = self.clock().now();
        if !self.db().is_job_due(now).await? {
            return Ok(false);
        }
        let mut tx = self.db().begin().await?;
        let worker = self.jobs().worker;
        let Some(row) = tx.claim_job(worker, now, now.plus(LEASE)).await? else {
            return Ok(false);
        };
        let started = format!("attempt {}", row.attempt);
        tx.insert_job_event(row.id, now, ("started", &started))
            .await?;
        tx.commit().await?;
        let claim = Claim {
            job: row.id,
            worker,
            attempt: row.attempt,
        };
        let cx = JobContext::new(self.clone(), &row, claim);
        let working = Working::on(&cx);
        let attempted = self.attempt(&row, &cx).await;
        drop(working);
        match attempted {
            Some(outcome) => self.end(&row, &cx, outcome).await.map(|()| true),
            // Somebody else has it, and ends it.
            None => Ok(true),
        }
    }

    /// Runs a job while renewing its lease; nothing if the lease was lost.
    async fn attempt(&self, row: &JobRow, cx: &JobContext) -> Option<Result<Done, Ended>> {
        if row.cancel_requested {
            return Some(Err(Ended::Cancelled));
        }
        if row.attempt > row.max_attempts {
            let message = "no attempt came to an end; the server may have been killed by it";
            return Some(Err(Ended::failed("abandoned", message)));
        }
        let mut running = Box::pin(run(&row.kind, row.input.clone(), cx));
        loop {
            tokio::select! {
                outcome = &mut running => return Some(outcome),
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            match self.renew(cx).await {
                Ok(Some(false)) => {}
                Ok(Some(true)) => cx.cancellation().cancel(),
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(job = %row.id, error = ?error, "a lease could not be renewed");
                }
            }
        }
    }

    async fn renew(&self, cx: &JobContext) -> Result<Option<bool>, Error> {
        let until = self.clock().now().plus(LEASE);
        let mut tx = self.db().begin().await?;
        let stop = tx.renew_job(cx.claim, until, &cx.progress()).await?;
        tx.commit().await?;
        Ok(stop)
    }

    /// Writes down how an attempt ended, with its result's content.
    async fn end(
        &self,
        row: &JobRow,
        cx: &JobContext,
        ended: Result<Done, Ended>,
    ) -> Result<(), Error> {
        let now = self.clock().now();
        let (outcome, staged) = match ended {
            Ok(Done { result, file }) => (JobOutcome::Succeeded(result), file),
            Err(ended) => (outcome(row, ended, now), None),
        };
        let _naming = self.jobs().naming_files().await;
        let file = match staged {
            Some(staged) => Some(self.put_job_file(staged).await?),
            None => None,
        };
        let mut tx = self.db().begin().await?;
        if !tx.end_job(cx.claim, &outcome, &cx.progress(), now).await? {
            return Ok(());
        }
        if let Some(file) = file {
            tx.put_job_file(row.id, JobFileRole::Result, file).await?;
        }
        let (event, detail) = event(&outcome);
        tx.insert_job_event(row.id, now, (event, &detail)).await?;
        tx.commit().await?;
        self.meters().job_ended(&row.kind, event);
        tracing::info!(job = %row.id, kind = row.kind, attempt = row.attempt, event, detail, "a job's attempt ended");
        Ok(())
    }
}

/// While a job is worked on it can be cancelled and is counted, however that ends.
struct Working<'a>(&'a JobContext);

impl<'a> Working<'a> {
    fn on(cx: &'a JobContext) -> Self {
        let cancellation = cx.cancellation().clone();
        cx.app().jobs().running().insert(cx.id(), cancellation);
        cx.app().meters().running_jobs.inc();
        Self(cx)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let Self(cx) = self;
        cx.app().jobs().running().remove(&cx.id());
        cx.app().meters().running_jobs.dec();
    }
}

/// What follows from an attempt without a result.
fn outcome(row: &JobRow, ended: Ended, now: Timestamp) -> JobOutcome {
    match ended {
        Ended::Cancelled => JobOutcome::Cancelled,
        Ended::Failed { code, message } => JobOutcome::Failed(error(code, &message)),
        Ended::Broken(cause) => {
            tracing::warn!(job = %row.id, error = ?cause, "a job could not be done");
            if row.attempt < row.max_attempts {
                let doublings = u32::try_from(row.attempt - 1).unwrap_or(0).min(8) * 2;
                return JobOutcome::Again(now.plus(BACK_OFF * (1 << doublings)));
            }
            JobOutcome::Failed(error("internal", &cause.to_string()))
        }
    }
}

/// The error of a job as the API shows it.
fn error(code: &str, message: &str) -> Value {
    let hint = match code {
        "internal" => "the server's log says more; retry the job once that is mended",
        "not-found" => "the model or version was archived or deleted",
        "engine-unavailable" => "install what the message names, then retry the job",
        _ => "correct the input and send a new job",
    };
    json!({"code": code, "message": message, "hint": hint})
}

fn event(outcome: &JobOutcome) -> (&'static str, String) {
    match outcome {
        JobOutcome::Succeeded(_) => ("succeeded", String::new()),
        JobOutcome::Failed(error) => {
            let message = error["message"].as_str().unwrap_or_default();
            ("failed", message.to_owned())
        }
        JobOutcome::Cancelled => ("cancelled", String::new()),
        JobOutcome::Again(at) => ("postponed", format!("to be tried again at {at}")),
    }
}
