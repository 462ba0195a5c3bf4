//! Whether a running prediction is still wanted.

use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_core::time::{Clock, Monotonic};

/// Why a prediction should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its deadline has passed.
    Deadline,
    /// Nobody waits for the answer any more.
    Cancelled,
}

/// Deadline and cancel flag of one prediction.
#[derive(Clone, Copy, Debug)]
pub struct Control<'a> {
    clock: &'a dyn Clock,
    deadline: Option<Monotonic>,
    cancelled: Option<&'a AtomicBool>,
}

impl<'a> Control<'a> {
    /// A control that stops at `deadline` or once `cancelled` is set.
    pub fn new(clock: &'a dyn Clock, deadline: Monotonic, cancelled: &'a AtomicBool) -> Self {
        Self {
            clock,
            deadline: Some(deadline),
            cancelled: Some(cancelled),
        }
    }

    /// A control that never stops.
    pub fn unlimited(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            deadline: None,
            cancelled: None,
        }
    }

    /// Why to stop now, if there is a reason. Costs a clock read: ask per block of rows.
    pub fn stop(&self) -> Option<Stop> {
        if self
            .cancelled
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
        {
            return Some(Stop::Cancelled);
        }
        let passed = self.deadline.is_some_and(|at| self.clock.monotonic() >= at);
        passed.then_some(Stop::Deadline)
    }

    /// Time on the clock that the deadline is measured with.
    pub fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    /// Time of the deadline, if there is one.
    pub fn deadline(&self) -> Option<Monotonic> {
        self.deadline
    }
}
