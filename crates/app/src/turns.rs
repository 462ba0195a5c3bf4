//! One at a time for each of many things: whoever comes second waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

type Queue = Arc<tokio::sync::Mutex<()>>;

/// Which things somebody works on. Takes no memory for the others.
#[derive(Debug)]
pub(crate) struct Turns<K: Hash + Eq>(Mutex<HashMap<K, Queue>>);

impl<K: Hash + Eq> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Somebody's turn at one thing; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a, K: Hash + Eq> {
    turns: &'a Turns<K>,
    key: K,
    /// Dropped first, so that the count of who waits is right afterwards.
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Hash + Eq + Clone> Turns<K> {
    /// Waits for the turn at `key`.
    pub(crate) async fn take(&self, key: K) -> Turn<'_, K> {
        let mut turn = Turn {
            turns: self,
            key,
            guard: None,
        };
        let queue = self.queues().entry(turn.key.clone()).or_default().clone();
        turn.guard = Some(queue.lock_owned().await);
        turn
    }

    /// Whether somebody works on `key`.
    pub(crate) fn is_taken(&self, key: &K) -> bool {
        self.queues().contains_key(key)
    }
}

impl<K: Hash + Eq> Turns<K> {
    /// Whole after every operation, whatever a panicking thread did.
    fn queues(&self) -> MutexGuard<'_, HashMap<K, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self.turns.queues();
        // Held by the map alone: nobody works on it and nobody waits.
        if queues
            .get(&self.key)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left_behind() {
        let turns = Turns::default();
        let inside = AtomicUsize::new(0);
        let visits = (0..20).map(|index| {
            let (turns, inside) = (&turns, &inside);
            async move {
                let _turn = turns.take(index % 2).await;
                assert!(turns.is_taken(&(index % 2)));
                assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::Relaxed);
            }
        });
        futures_util::future::join_all(visits).await;
        assert!(!turns.is_taken(&0) && !turns.is_taken(&1));
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        assert!(futures_util::FutureExt::now_or_never(turns.take("a")).is_none());
        drop(first);
        assert!(!turns.is_taken(&"a"));
    }
}
