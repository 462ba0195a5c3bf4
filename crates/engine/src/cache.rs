//! Loaded models, bounded by the memory they take together and by their number.
//!
//! Least recently used first out, except what has to stay. Purely synchronous:
//! who waits for a load, and how, is decided above.

use std::collections::{BTreeMap, HashMap, HashSet};
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

/// What a cache may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Most bytes of all entries together.
    pub bytes: u64,
    /// Most entries; 0 for any number.
    pub entries: usize,
}

/// The entry cannot fit, whatever were pushed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes do not fit into the {available} the cache can free")]
pub struct DoesNotFit {
    /// What the entry takes.
    pub bytes: u64,
    /// What could be made free; nothing if there is no place for another entry.
    pub available: u64,
}

struct Entry<V> {
    value: Arc<V>,
    bytes: u64,
    used: u64,
}

/// A least-recently-used cache bounded by bytes and by entries.
pub struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Entries by time of last use, oldest first.
    order: BTreeMap<u64, K>,
    limits: CacheLimits,
    clock: u64,
    stats: CacheStats,
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            limits,
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

    /// Puts an entry in, in place of one with the same key, pushing others out
    /// as needed, the least recently used first. What `stays` is not pushed out.
    pub fn insert(
        &mut self,
        key: K,
        value: Arc<V>,
        bytes: u64,
        stays: impl Fn(&K, &V) -> bool,
    ) -> Result<(), DoesNotFit> {
        let held = self.entries.iter();
        let held = held.filter(|(other, entry)| **other != key && stays(other, &entry.value));
        let (staying, taken): (HashSet<K>, Vec<u64>) = held
            .map(|(other, entry)| (other.clone(), entry.bytes))
            .unzip();
        let mut available = self.limits.bytes.saturating_sub(taken.iter().sum());
        if self.limits.entries > 0 && staying.len() >= self.limits.entries {
            available = 0;
        }
        if bytes > available {
            return Err(DoesNotFit { bytes, available });
        }
        self.remove(&key);
        while !self.has_room(bytes) {
            self.evict_oldest(&staying);
        }
        self.clock += 1;
        self.order.insert(self.clock, key.clone());
        let used = self.clock;
        self.entries.insert(key, Entry { value, bytes, used });
        self.stats.resident_bytes += bytes;
        Ok(())
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.used);
        self.stats.resident_bytes -= entry.bytes;
        Some(entry.value)
    }

    /// All entries, in no order; looking at them is no use of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// What the cache did and holds.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            entries: self.entries.len(),
            ..self.stats
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        let is_full = self.limits.entries > 0 && self.entries.len() >= self.limits.entries;
        !is_full && self.stats.resident_bytes.saturating_add(bytes) <= self.limits.bytes
    }

    fn evict_oldest(&mut self, staying: &HashSet<K>) {
        let mut oldest = self.order.values().filter(|key| !staying.contains(*key));
        let oldest = oldest.next().cloned();
        self.remove(&oldest.expect("invariant: what stays and the new one fit together"));
        self.stats.evictions += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: CacheLimits = CacheLimits {
        bytes: 10,
        entries: 0,
    };

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the cache hands over references, whatever it holds"
    )]
    fn nothing_stays(_: &&'static str, _: &u32) -> bool {
        false
    }

    #[test]
    fn the_least_recently_used_entry_goes_first() {
        let mut cache = Cache::new(BYTES);
        for (key, bytes) in [("a", 4), ("b", 4)] {
            let inserted = cache.insert(key, Arc::new(0), bytes, nothing_stays);
            inserted.unwrap();
        }
        assert!(cache.get(&"a").is_some());
        cache.insert("c", Arc::new(0), 4, nothing_stays).unwrap();
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
    fn what_stays_is_not_pushed_out_and_what_cannot_fit_is_refused() {
        let mut cache = Cache::new(BYTES);
        let a_stays = |key: &&'static str, _: &u32| *key == "a";
        for (key, bytes) in [("a", 6), ("b", 4), ("c", 4)] {
            cache.insert(key, Arc::new(0), bytes, a_stays).unwrap();
        }
        assert!(cache.get(&"a").is_some() && cache.get(&"b").is_none());
        let refused = cache.insert("d", Arc::new(0), 5, a_stays);
        let available = 4;
        assert_eq!(
            refused,
            Err(DoesNotFit {
                bytes: 5,
                available
            })
        );
        cache.insert("d", Arc::new(0), 10, nothing_stays).unwrap();
        assert_eq!(cache.stats().entries, 1);
    }

    #[test]
    fn no_more_entries_are_held_than_may_be() {
        let mut cache = Cache::new(CacheLimits {
            bytes: 100,
            entries: 2,
        });
        for key in ["a", "b", "c"] {
            cache.insert(key, Arc::new(0), 1, nothing_stays).unwrap();
        }
        assert!(cache.get(&"a").is_none() && cache.get(&"b").is_some());
        let refused = cache.insert("d", Arc::new(0), 1, |_, _| true);
        assert_eq!(refused.unwrap_err().available, 0);
        cache.insert("c", Arc::new(1), 1, |_, _| true).unwrap();
        assert_eq!(cache.stats().entries, 2);
    }

    #[test]
    fn replacing_an_entry_counts_its_bytes_once() {
        let mut cache = Cache::new(BYTES);
        for (value, bytes) in [(1, 6), (2, 9)] {
            let value = Arc::new(value);
            cache.insert("a", value, bytes, nothing_stays).unwrap();
        }
        assert_eq!(cache.get(&"a").as_deref(), Some(&2));
        assert_eq!(cache.stats().resident_bytes, 9);
        assert_eq!(cache.remove(&"a").as_deref(), Some(&2));
        assert_eq!(cache.stats().resident_bytes, 0);
    }

    /// What the cache should do, in the simplest way: a list by last use.
    #[derive(Default)]
    struct Naive {
        entries: Vec<(u8, u64)>,
        evictions: u64,
    }

    impl Naive {
        fn position(&self, key: u8) -> Option<usize> {
            self.entries.iter().position(|(other, _)| *other == key)
        }

        fn bytes(&self) -> u64 {
            self.entries.iter().map(|(_, bytes)| bytes).sum()
        }

        fn get(&mut self, key: u8) -> bool {
            let found = self.position(key);
            if let Some(at) = found {
                let entry = self.entries.remove(at);
                self.entries.push(entry);
            }
            found.is_some()
        }

        fn insert(&mut self, key: u8, bytes: u64, limits: CacheLimits, stays: u8) -> bool {
            let is_other = |(other, _): &&(u8, u64)| *other != key && stays & 1 << other != 0;
            let staying: Vec<_> = self.entries.iter().filter(is_other).collect();
            let fits = staying.iter().map(|(_, bytes)| bytes).sum::<u64>() + bytes <= limits.bytes;
            if !fits || staying.len() >= limits.entries {
                return false;
            }
            self.position(key).map(|at| self.entries.remove(at));
            while self.bytes() + bytes > limits.bytes || self.entries.len() >= limits.entries {
                let goes = |(key, _): &(u8, u64)| stays & 1 << key == 0;
                let oldest = self.entries.iter().position(goes).unwrap();
                self.entries.remove(oldest);
                self.evictions += 1;
            }
            self.entries.push((key, bytes));
            true
        }
    }

    proptest::proptest! {
        #[test]
        fn the_cache_does_what_a_list_by_last_use_does(
            operations in proptest::collection::vec((0_u8..3, 0_u8..6, 1_u64..14, 0_u8..64), 0..80),
        ) {
            let limits = CacheLimits { bytes: 20, entries: 3 };
            let (mut cache, mut naive) = (Cache::new(limits), Naive::default());
            for (operation, key, bytes, stays) in operations {
                match operation {
                    0 => assert_eq!(cache.get(&key).is_some(), naive.get(key)),
                    1 => {
                        let fits = cache.insert(key, Arc::new(bytes), bytes, |key, _| stays & 1 << key != 0);
                        assert_eq!(fits.is_ok(), naive.insert(key, bytes, limits, stays));
                    }
                    _ => {
                        let at = naive.position(key);
                        let removed = cache.remove(&key);
                        assert_eq!(removed.as_deref(), at.map(|at| naive.entries[at].1).as_ref());
                        at.map(|at| naive.entries.remove(at));
                    }
                }
                let stats = cache.stats();
                assert_eq!(stats.entries, naive.entries.len());
                assert_eq!(stats.resident_bytes, naive.bytes());
                assert_eq!(stats.evictions, naive.evictions);
                assert!(stats.resident_bytes <= 20 && stats.entries <= 3);
            }
        }
    }
}
