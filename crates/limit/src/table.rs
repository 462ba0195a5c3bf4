//! A bounded hash map behind several locks.
//!
//! Each key lives in one shard, so its entry is read and changed under one
//! lock, while different keys rarely wait for each other. Full shards drop
//! what has expired, then what expires first: memory stays bounded however
//! many addresses somebody invents.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use plimsoll_core::time::Timestamp;

const SHARDS: usize = 16;

/// An entry that stops mattering at some point.
pub(crate) trait Expires {
    /// From when on the entry may be forgotten without any effect.
    fn expires_at(&self) -> Timestamp;
}

#[derive(Debug)]
pub(crate) struct Table<K, V> {
    shards: Vec<Mutex<HashMap<K, V>>>,
    hasher: RandomState,
    shard_capacity: usize,
}

impl<K: Hash + Eq + Clone, V: Expires> Table<K, V> {
    /// A table for about `capacity` keys, at least one per shard.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shard_capacity: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Runs `change` on the entry of `key`, made by `first` if there is none.
    pub(crate) fn update<R>(
        &self,
        key: &K,
        now: Timestamp,
        first: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> R {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.get_mut(key) {
            return change(entry);
        }
        if shard.len() >= self.shard_capacity {
            make_room(&mut shard, now);
        }
        change(shard.entry(key.clone()).or_insert_with(first))
    }

    /// Runs `look` on the entry of `key`.
    pub(crate) fn read<R>(&self, key: &K, look: impl FnOnce(Option<&V>) -> R) -> R {
        look(self.shard(key).get(key))
    }

    /// Forgets `key`.
    pub(crate) fn remove(&self, key: &K) {
        self.shard(key).remove(key);
    }

    /// Forgets everything that has expired.
    pub(crate) fn sweep(&self, now: Timestamp) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, entry| entry.expires_at() > now);
        }
    }

    /// How many keys are remembered.
    pub(crate) fn len(&self) -> usize {
        let lengths = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.len()
        });
        lengths.sum()
    }

    fn shard(&self, key: &K) -> std::sync::MutexGuard<'_, HashMap<K, V>> {
        // A multiply-shift of the hash's upper half is below SHARDS by construction.
        let upper = (self.hasher.hash_one(key) >> 32) as usize;
        let shard = &self.shards[(upper * SHARDS) >> 32];
        // Nothing in here leaves an entry half-changed when it panics.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what has expired; if nothing has, the eighth that expires first, so
/// that the next insertions find room without another scan.
fn make_room<K: Hash + Eq + Clone, V: Expires>(shard: &mut HashMap<K, V>, now: Timestamp) {
    let before = shard.len();
    shard.retain(|_, entry| entry.expires_at() > now);
    if shard.len() < before {
        return;
    }
    let mut ends: Vec<Timestamp> = shard.values().map(Expires::expires_at).collect();
    let mut excess = ends.len().div_ceil(8);
    let (_, last, _) = ends.select_nth_unstable(excess - 1);
    let last = *last;
    shard.retain(|_, entry| {
        let goes = excess > 0 && entry.expires_at() <= last;
        excess -= usize::from(goes);
        !goes
    });
}
