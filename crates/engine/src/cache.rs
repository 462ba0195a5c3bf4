//! Loaded models, bounded by the memory they take together.
//!
//! Least recently used first out, except what is pinned. Purely synchronous:
//! who waits for a load, and how, is decided above.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// What the cache did and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Look-ups that found their entry.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Entries pushed out by others.
    pub evictions: u64,
    /// Entries held.
    pub entries: usize,
    /// Bytes held.
    pub resident_bytes: u64,
}

/// The entry cannot fit, whatever were pushed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes do not fit into the {available} the cache can free")]
pub struct DoesNotFit {
    /// What the entry takes.
    pub bytes: u64,
    /// What could be made free.
    pub available: u64,
}

struct Entry<V> {
    value: Arc<V>,
    bytes: u64,
    pins: u32,
    used: u64,
}

/// A least-recently-used cache bounded by bytes.
pub struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Entries by time of last use, oldest first.
    order: BTreeMap<u64, K>,
    limit: u64,
    clock: u64,
    stats: CacheStats,
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    /// An empty cache that holds at most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            limit,
            clock: 0,
            stats: CacheStats::default(),
        }
    }

    /// The entry of `key`, which becomes the most recently used one.
    pub fn get(&mut self, key: &K) -> Option<Arc<V>> {
        let Some(entry) = self.entries.get_mut(key) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        // The newest entry is asked for most often and stays where it is.
        if entry.used != self.clock
            && let Some(key) = self.order.remove(&entry.used)
        {
            self.clock += 1;
            entry.used = self.clock;
            self.order.insert(self.clock, key);
        }
        Some(entry.value.clone())
    }

    /// Puts an entry in, pushing others out as needed. An entry with the same
    /// key is replaced and keeps its pins.
    pub fn insert(&mut self, key: K, value: Arc<V>, bytes: u64) -> Result<(), DoesNotFit> {
        let replaced = self.entries.get(&key).map_or((0, 0), |old| (old.bytes, old.pins));
        let pinned: u64 = self
            .entries
            .iter()
            .filter(|(other, entry)| entry.pins > 0 && **other != key)
            .map(|(_, entry)| entry.bytes)
            .sum();
        let available = self.limit.saturating_sub(pinned);
        if bytes > available {
            return Err(DoesNotFit { bytes, available });
        }
        let pins = replaced.1;
        self.remove(&key);
        while self.stats.resident_bytes.saturating_add(bytes) > self.limit {
            self.evict_oldest();
        }
        self.clock += 1;
        self.order.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { value, bytes, pins, used: self.clock });
        self.stats.resident_bytes += bytes;
        Ok(())
    }

    /// Keeps an entry from being pushed out, until [`Cache::unpin`] was called
    /// as often. Says whether there is such an entry.
    pub fn pin(&mut self, key: &K) -> bool {
        let entry = self.entries.get_mut(key);
        entry.map(|entry| entry.pins += 1).is_some()
    }

    /// Takes one pin away.
    pub fn unpin(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.pins = entry.pins.saturating_sub(1);
        }
    }

    /// Takes an entry out, pinned or not.
    pub fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.used);
        self.stats.resident_bytes -= entry.bytes;
        Some(entry.value)
    }

    /// What the cache did and holds.
    pub fn stats(&self) -> CacheStats {
        CacheStats { entries: self.entries.len(), ..self.stats }
    }

    fn evict_oldest(&mut self) {
        let oldest = self
            .order
            .values()
            .find(|key| self.entries.get(*key).is_some_and(|entry| entry.pins == 0))
            .cloned()
            .expect("invariant: pinned entries and the new one fit together");
        self.remove(&oldest);
        self.stats.evictions += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Cache<&'static str, u32> {
        Cache::new(10)
    }

    #[test]
    fn the_least_recently_used_entry_goes_first() {
        let mut cache = cache();
        for (key, bytes) in [("a", 4), ("b", 4)] {
            cache.insert(key, Arc::new(0), bytes).unwrap();
        }
        assert!(cache.get(&"a").is_some());
        cache.insert("c", Arc::new(0), 4).unwrap();
        assert!(cache.get(&"b").is_none());
        assert!(cache.get(&"a").is_some());
        let stats = cache.stats();
        assert_eq!((stats.evictions, stats.entries, stats.resident_bytes), (1, 2, 8));
        assert_eq!((stats.hits, stats.misses), (2, 1));
    }

    #[test]
    fn a_pinned_entry_stays_and_what_cannot_fit_is_refused() {
        let mut cache = cache();
        cache.insert("a", Arc::new(0), 6).unwrap();
        assert!(cache.pin(&"a"));
        assert!(!cache.pin(&"missing"));
        cache.insert("b", Arc::new(0), 4).unwrap();
        cache.insert("c", Arc::new(0), 4).unwrap();
        assert!(cache.get(&"a").is_some() && cache.get(&"b").is_none());
        assert_eq!(cache.insert("d", Arc::new(0), 5), Err(DoesNotFit { bytes: 5, available: 4 }));
        cache.unpin(&"a");
        cache.insert("d", Arc::new(0), 10).unwrap();
        assert_eq!(cache.stats().entries, 1);
    }

    #[test]
    fn replacing_an_entry_counts_its_bytes_once() {
        let mut cache = cache();
        cache.insert("a", Arc::new(1), 6).unwrap();
        cache.insert("a", Arc::new(2), 9).unwrap();
        assert_eq!(cache.get(&"a").as_deref(), Some(&2));
        assert_eq!(cache.stats().resident_bytes, 9);
        assert_eq!(cache.remove(&"a").as_deref(), Some(&2));
        assert_eq!(cache.stats().resident_bytes, 0);
    }
}
