//! Rates of many callers who have no place of their own: people, addresses.

use std::hash::Hash;

use plimsoll_core::time::Timestamp;

use crate::table::{Expires, Table};
use crate::{Decision, Gcra, Rate};

/// What each caller has taken of one [`Rate`]. Memory is bounded, however many
/// callers somebody invents: those who come free first are forgotten.
#[derive(Debug)]
pub struct Rates<K> {
    callers: Table<K, Gcra>,
}

impl Expires for Gcra {
    fn expires_at(&self) -> Timestamp {
        self.whole_at()
    }
}

impl<K: Hash + Eq + Clone> Rates<K> {
    /// Remembers about `capacity` callers.
    pub fn new(capacity: usize) -> Self {
        Self {
            callers: Table::new(capacity),
        }
    }

    /// Takes one request of `caller`, or refuses.
    pub fn take(&self, caller: &K, rate: &Rate, now: Timestamp) -> Decision {
        self.callers
            .update(caller, now, Gcra::default, |gcra| gcra.take(rate, now))
    }

    /// What [`Rates::take`] would say, without taking.
    pub fn peek(&self, caller: &K, rate: &Rate, now: Timestamp) -> Decision {
        let look = |gcra: Option<&Gcra>| match gcra {
            Some(gcra) => gcra.peek(rate, now),
            None => Gcra::default().peek(rate, now),
        };
        self.callers.read(caller, look)
    }

    /// Forgets callers whose whole burst is free.
    pub fn sweep(&self, now: Timestamp) {
        self.callers.sweep(now);
    }

    /// How many callers are remembered.
    pub fn len(&self) -> usize {
        self.callers.len()
    }

    /// Whether no caller is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn callers_have_a_rate_each() {
        let (rates, rate) = (Rates::new(100), Rate::new(1, Duration::from_mins(1)));
        assert!(rates.take(&"ann", &rate, NOW).allowed);
        assert!(!rates.take(&"ann", &rate, NOW).allowed);
        assert!(!rates.peek(&"ann", &rate, NOW).allowed);
        assert!(rates.peek(&"bob", &rate, NOW).allowed);
        assert!(rates.take(&"bob", &rate, NOW).allowed);
    }

    #[test]
    fn invented_callers_cannot_fill_the_memory() {
        let (rates, rate) = (Rates::new(160), Rate::new(1, Duration::from_mins(1)));
        for caller in 0..100_000_u32 {
            assert!(rates.take(&caller, &rate, NOW).allowed);
        }
        assert!(rates.len() <= 160, "{}", rates.len());
        rates.sweep(NOW.plus(Duration::from_mins(1)));
        assert!(rates.is_empty());
    }
}
