//! How much of the machine one endpoint takes at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll_core::endpoint::WorkloadSize;
use plimsoll_core::id::EndpointId;
use plimsoll_limit::Quota;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::load::locked;
use crate::Error;

/// The slots of one endpoint, the requests that wait for one, and what it
/// counts. It stays the same when what the endpoint serves changes.
#[derive(Debug)]
pub struct Room {
    size: WorkloadSize,
    slots: Semaphore,
    waiting: AtomicUsize,
    /// Requests of the current window, all callers together.
    pub(crate) quota: Quota,
}

/// A slot; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a>(#[expect(dead_code, reason = "held for its drop")] SemaphorePermit<'a>);

/// Nobody waits in a line that is this long, or for this long.
const FULL: Error = Error::Overloaded {
    retry_after: Duration::from_secs(1),
};

/// Leaves the line when dropped, also if the request was given up.
struct InLine<'a>(&'a AtomicUsize);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Room {
    fn new(size: WorkloadSize) -> Self {
        Self {
            size,
            slots: Semaphore::new(size.slots()),
            waiting: AtomicUsize::new(0),
            quota: Quota::default(),
        }
    }

    /// Takes a free slot, or waits for one: at most `patience`, and only if not
    /// too many wait already.
    ///
    /// Errors: [`Error::Overloaded`].
    pub(super) async fn enter(&self, patience: Duration) -> Result<Slot<'_>, Error> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(Slot(slot));
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _in_line = InLine(&self.waiting);
        if before >= self.size.queue() {
            return Err(FULL);
        }
        let waiting = tokio::time::timeout(patience, self.slots.acquire());
        match Box::pin(waiting).await {
            Ok(Ok(slot)) => Ok(Slot(slot)),
            Ok(Err(_)) | Err(_) => Err(FULL),
        }
    }
}

/// The rooms of all endpoints.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<HashMap<EndpointId, Arc<Room>>>);

impl Rooms {
    /// The room of an endpoint: the one it had, unless its size changed.
    pub(crate) fn room(&self, endpoint: EndpointId, size: WorkloadSize) -> Arc<Room> {
        let mut rooms = locked(&self.0);
        let room = rooms
            .entry(endpoint)
            .or_insert_with(|| Arc::new(Room::new(size)));
        if room.size != size {
            *room = Arc::new(Room::new(size));
        }
        room.clone()
    }

    /// Forgets the rooms of endpoints that are gone.
    pub(crate) fn keep_only(&self, is_there: impl Fn(&EndpointId) -> bool) {
        locked(&self.0).retain(|id, _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn slots_and_line_are_bounded_and_come_free_again() {
        let room = Room::new(WorkloadSize::Small);
        let patience = Duration::from_hours(1);
        let first = room.enter(patience).await.unwrap();
        let mut line: Vec<_> = (0..64).map(|_| Box::pin(room.enter(patience))).collect();
        assert!(
            line.iter_mut()
                .all(|waiting| waiting.now_or_never().is_none())
        );
        let refused = room.enter(patience).now_or_never();
        assert!(matches!(refused, Some(Err(Error::Overloaded { .. }))));
        drop(first);
        let second = line.remove(0).await.unwrap();
        assert!(
            room.enter(patience).now_or_never().is_none(),
            "one left the line"
        );
        drop(second);
        drop(line);
        assert!(room.enter(patience).now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_their_patience() {
        let room = Room::new(WorkloadSize::Medium);
        let patience = Duration::ZERO;
        let _both = (
            room.enter(patience).await.unwrap(),
            room.enter(patience).await.unwrap(),
        );
        assert!(matches!(
            room.enter(patience).await,
            Err(Error::Overloaded { .. })
        ));
        assert_eq!(room.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_room_outlives_changes_of_anything_but_its_size() {
        let rooms = Rooms::default();
        let id = EndpointId::from_u128(1);
        let small = rooms.room(id, WorkloadSize::Small);
        assert!(Arc::ptr_eq(&small, &rooms.room(id, WorkloadSize::Small)));
        let large = rooms.room(id, WorkloadSize::Large);
        assert_eq!(large.slots.available_permits(), 4);
        rooms.keep_only(|_| false);
        assert!(!Arc::ptr_eq(&large, &rooms.room(id, WorkloadSize::Large)));
    }
}
