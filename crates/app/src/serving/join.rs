//! Requests for the same network that wait together run together.
//!
//! Off unless `predict.batch_rows` says otherwise, and only for networks of ONNX
//! Runtime, which answer many rows faster than one after the other. Nobody waits
//! for others to come: a request that gets its turn takes along what is in the
//! queue already, up to so many rows and so much expected time. If the joint run
//! fails, each request runs alone, so that one bad row harms nobody else.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::time::Monotonic;
use tokio::sync::oneshot;

use super::load::{LoadedModel, locked};
use super::predict::{Run, run_model};
use crate::{App, Error};

type Answered = Result<Run, Error>;

/// One request that waits for the engine pool.
struct Waiting {
    batch: Arc<Batch>,
    deadline: Monotonic,
    /// `None` once somebody runs it.
    reply: Mutex<Option<oneshot::Sender<Answered>>>,
}

/// The requests for one model that wait for the engine pool, the oldest first.
#[derive(Default)]
pub(super) struct Line(Mutex<VecDeque<Weak<Waiting>>>);

impl Waiting {
    /// Whoever waits for the answer, to the first that asks.
    fn take(&self) -> Option<oneshot::Sender<Answered>> {
        locked(&self.reply).take()
    }

    /// Whether it is still to be run, and somebody waits for it.
    fn is_open(&self, now: Monotonic) -> bool {
        let reply = locked(&self.reply);
        reply.as_ref().is_some_and(|reply| !reply.is_closed()) && now < self.deadline
    }
}

impl Line {
    fn push(&self, waiting: &Arc<Waiting>) {
        locked(&self.0).push_back(Arc::downgrade(waiting));
    }

    /// Takes the oldest requests out for as long as `fits` says so.
    fn take(&self, now: Monotonic, mut fits: impl FnMut(&Batch) -> bool) -> Vec<Arc<Waiting>> {
        let mut line = locked(&self.0);
        let mut taken = Vec::new();
        while let Some(oldest) = line.front() {
            // What was given up, or is already being run, only has to leave the line.
            if let Some(waiting) = oldest.upgrade().filter(|waiting| waiting.is_open(now)) {
                if !fits(&waiting.batch) {
                    break;
                }
                taken.push(waiting);
            }
            line.pop_front();
        }
        taken
    }
}

impl App {
    /// Whether a request may run together with others.
    pub(super) fn is_joined(&self, loaded: &LoadedModel, batch: &Batch) -> bool {
        loaded.joins && batch.rows < self.settings().predict.batch_rows
    }

    /// Runs a request on the engine pool, perhaps together with others for this model.
    pub(super) async fn run_joined(
        &self,
        loaded: Arc<LoadedModel>,
        batch: Arc<Batch>,
        deadline: Monotonic,
    ) -> Answered {
        let (reply, mut answer) = oneshot::channel();
        let waiting = Arc::new(Waiting {
            batch,
            deadline,
            reply: Mutex::new(Some(reply)),
        });
        loaded.line.push(&waiting);
        let app = self.clone();
        let mut turn = pin!(self.serving().pool.run(move |cancelled| {
            // Somebody who had their turn before may have taken this request along.
            if let Some(reply) = waiting.take() {
                drop(reply.send(app.run_with_others(&loaded, &waiting, cancelled)));
            }
        }));
        let given_up = || Error::Internal(anyhow::anyhow!("a joint run was given up"));
        tokio::select! {
            biased;
            answered = &mut answer => match answered {
                Ok(answered) => answered,
                // The turn was refused, and says why.
                Err(_) => turn.await.and_then(|()| Err(given_up())),
            },
            ran = &mut turn => {
                ran?;
                answer.await.map_err(|_| given_up())?
            }
        }
    }

    /// Runs `own` with what waits behind it, and answers the others.
    fn run_with_others(
        &self,
        loaded: &LoadedModel,
        own: &Waiting,
        cancelled: &AtomicBool,
    ) -> Answered {
        let clock = self.clock().as_ref();
        let settings = &self.settings().predict;
        let mut rows = own.batch.rows;
        let others = loaded.line.take(clock.monotonic(), |batch| {
            rows += batch.rows;
            let in_time = loaded.pace.expected(rows) <= settings.batch_delay;
            rows <= settings.batch_rows && in_time && own.batch.is_alike(batch)
        });
        let others = others
            .into_iter()
            .filter_map(|other| Some((other.take()?, other)));
        let others: Vec<_> = others.collect();
        if others.is_empty() {
            return run_model(loaded, &own.batch, (clock, own.deadline, cancelled));
        }
        let mut all = (*own.batch).clone();
        for (_, other) in &others {
            all.append(&other.batch);
        }
        self.meters().joint_runs.inc();
        let latest = others.iter().map(|(_, other)| other.deadline);
        let latest = latest.fold(own.deadline, Monotonic::max);
        let never = AtomicBool::new(false);
        let joint = run_model(loaded, &all, (clock, latest, &never)).ok();
        let mut first = own.batch.rows;
        for (reply, other) in others {
            let rows = first..first + other.batch.rows;
            first = rows.end;
            let alone = || run_model(loaded, &other.batch, (clock, other.deadline, &never));
            let answered = joint
                .as_ref()
                .map_or_else(alone, |joint| Ok(joint.part(rows)));
            // Whoever left meanwhile is told nothing.
            drop(reply.send(answered));
        }
        let alone = || run_model(loaded, &own.batch, (clock, own.deadline, cancelled));
        joint.map_or_else(alone, |joint| Ok(joint.part(0..own.batch.rows)))
    }
}

/// Whether a model answers each row as if it were alone: two different rows at
/// once, and one after the other. A graph may do otherwise, for instance if it
/// compares the rows of a batch; nobody's answer may depend on another's request.
pub(super) fn rows_are_independent(
    example: &Batch,
    mut predict: impl FnMut(&Batch) -> Option<Output>,
) -> bool {
    let mut other = example.clone();
    for column in &mut other.columns {
        column.values.shift();
    }
    let mut both = example.clone();
    both.append(&other);
    let mut answers = || {
        let both = predict(&both)?;
        let alone = [predict(example)?, predict(&other)?];
        Some(is_near(&both.part(0..1), &alone[0]) && is_near(&both.part(1..2), &alone[1]))
    };
    answers().unwrap_or(false)
}

/// Whether two answers differ by no more than rounding to single precision explains.
fn is_near(a: &Output, b: &Output) -> bool {
    let near =
        |(a, b): (f64, f64)| (a - b).abs() <= 1e-4 * b.abs().max(1.0) || a.is_nan() && b.is_nan();
    let numbers = |output: &Output| -> Vec<f64> {
        let values = output
            .values
            .iter()
            .flat_map(|column| column.values.to_f64());
        output.probabilities.iter().copied().chain(values).collect()
    };
    let (a_numbers, b_numbers) = (numbers(a), numbers(b));
    a.labels == b.labels
        && a_numbers.len() == b_numbers.len()
        && a_numbers.into_iter().zip(b_numbers).all(near)
}
