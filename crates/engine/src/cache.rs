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
        let replaced = self
            .entries
            .get(&key)
            .map_or((0, 0), |old| (old.bytes, old.pins));
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
        self.entries.insert(
            key,
            Entry {
                value,
                bytes,
                pins,
                used: self.clock,
            },
        );
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
        CacheStats {
            entries: self.entries.len(),
            ..self.stats
        }
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
        assert_eq!(
            (stats.evictions, stats.entries, stats.resident_bytes),
            (1, 2, 8)
        );
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
        assert_eq!(
            cache.insert("d", Arc::new(0), 5),
            Err(DoesNotFit {
                bytes: 5,
                available: 4
            })
        );
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

    /// What the cache should do, in the simplest way: a list by last use.
    #[derive(Default)]
    struct Naive {
        entries: Vec<(u8, u64, u32)>,
        evictions: u64,
    }

    impl Naive {
        fn position(&self, key: u8) -> Option<usize> {
            self.entries.iter().position(|(other, ..)| *other == key)
        }

        fn bytes(&self) -> u64 {
            self.entries.iter().map(|(_, bytes, _)| bytes).sum()
        }

        fn get(&mut self, key: u8) -> bool {
            let found = self.position(key);
            if let Some(at) = found {
                let entry = self.entries.remove(at);
                self.entries.push(entry);
            }
            found.is_some()
        }

        fn insert(&mut self, key: u8, bytes: u64, limit: u64) -> bool {
            let others = self
                .entries
                .iter()
                .filter(|(other, _, pins)| *other != key && *pins > 0);
            if others.map(|(_, bytes, _)| bytes).sum::<u64>() + bytes > limit {
                return false;
            }
            let old = self.position(key).map(|at| self.entries.remove(at));
            while self.bytes() + bytes > limit {
                let oldest = self
                    .entries
                    .iter()
                    .position(|(.., pins)| *pins == 0)
                    .unwrap();
                self.entries.remove(oldest);
                self.evictions += 1;
            }
            self.entries
                .push((key, bytes, old.map_or(0, |(.., pins)| pins)));
            true
        }
    }

    proptest::proptest! {
        #[test]
        fn the_cache_does_what_a_list_by_last_use_does(
            operations in proptest::collection::vec((0_u8..5, 0_u8..6, 0_u64..14), 0..80),
        ) {
            let (mut cache, mut naive) = (Cache::new(20), Naive::default());
            for (operation, key, bytes) in operations {
                let at = naive.position(key);
                match operation {
                    0 => assert_eq!(cache.get(&key).is_some(), naive.get(key)),
                    1 => {
                        let fits = cache.insert(key, Arc::new(bytes), bytes).is_ok();
                        assert_eq!(fits, naive.insert(key, bytes, 20));
                    }
                    2 => {
                        assert_eq!(cache.pin(&key), at.is_some());
                        at.inspect(|at| naive.entries[*at].2 += 1);
                    }
                    3 => {
                        cache.unpin(&key);
                        at.inspect(|at| {
                            let pins = &mut naive.entries[*at].2;
                            *pins = pins.saturating_sub(1);
                        });
                    }
                    _ => {
                        let removed = cache.remove(&key);
                        assert_eq!(removed.as_deref(), at.map(|at| naive.entries[at].1).as_ref());
                        if let Some(at) = at {
                            naive.entries.remove(at);
                        }
                    }
                }
                let stats = cache.stats();
                assert_eq!(stats.entries, naive.entries.len());
                assert_eq!(stats.resident_bytes, naive.bytes());
                assert_eq!(stats.evictions, naive.evictions);
                assert!(stats.resident_bytes <= 20);
            }
        }
    }
}
