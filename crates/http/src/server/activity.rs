//! What a connection is doing, and until when it has to do something else.
//!
//! hyper's own header timeout does not see a silent client, a dribbled HTTP/2
//! preface or a preface without a stream, and counts idle keep-alive time as
//! header time. So the byte stream and the request service report here, and
//! one deadline is derived: for the first request to reach the router, for a
//! later header to be complete, or for an idle connection to do anything.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::config::Limits;

/// What one connection is doing. Times are nanoseconds since it was accepted.
///
/// What happens is only noted; it gets its time when the deadline is asked for,
/// which is after each poll of the connection, so that a request costs one look
/// at the clock.
#[derive(Debug)]
pub(super) struct Activity {
    accepted: Instant,
    /// Requests that reached the router and are not yet answered.
    in_flight: AtomicUsize,
    /// Whether any request reached the router.
    any_request: AtomicBool,
    /// Whether requests come as HTTP/2 streams.
    http2: AtomicBool,
    /// Bytes of a header came since the deadline was last asked for.
    header_moved: AtomicBool,
    /// Anything else happened since then.
    moved: AtomicBool,
    /// When the header now being read began; 0 when none is.
    header_began: AtomicU64,
    /// When bytes last moved or a request was last answered.
    progress: AtomicU64,
    /// Whether the first bytes look like an HTTP/1 request; `None` until any came.
    looks_like_http1: Mutex<Option<bool>>,
    /// Where the stream leaves the socket when hyper drops it.
    returned: Mutex<Option<TcpStream>>,
}

impl Activity {
    pub(super) fn begin() -> Self {
        Self {
            accepted: Instant::now(),
            in_flight: AtomicUsize::new(0),
            any_request: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            header_moved: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            header_began: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            looks_like_http1: Mutex::new(None),
            returned: Mutex::new(None),
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Bytes came from the client.
    pub(super) fn read(&self, bytes: &[u8]) {
        if !self.any_request.load(Ordering::Relaxed) {
            let mut first = lock(&self.looks_like_http1);
            first.get_or_insert(!bytes.starts_with(b"P") || bytes.starts_with(b"PO"));
        }
        if self.http2.load(Ordering::Relaxed) {
            self.moved.store(true, Ordering::Relaxed);
        } else if self.in_flight.load(Ordering::Relaxed) == 0 {
            self.header_moved.store(true, Ordering::Relaxed);
        }
    }

    /// Bytes went to the client.
    pub(super) fn wrote(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    /// A request reached the router.
    pub(super) fn request_began(&self, http2: bool) {
        self.any_request.store(true, Ordering::Relaxed);
        self.http2.store(http2, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.header_moved.store(false, Ordering::Relaxed);
        self.header_began.store(0, Ordering::Relaxed);
    }

    /// A request was answered or given up.
    pub(super) fn request_ended(&self) {
        self.moved.store(true, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Until when something has to happen; `None` while a request is being answered.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return None;
        }
        self.settle();
        let after = |nanos: u64| self.accepted + std::time::Duration::from_nanos(nanos);
        let header_began = self.header_began.load(Ordering::Relaxed);
        Some(if !self.any_request.load(Ordering::Relaxed) {
            self.accepted + limits.first_request
        } else if header_began > 0 && !self.http2.load(Ordering::Relaxed) {
            after(header_began) + limits.header_read
        } else {
            after(self.progress.load(Ordering::Relaxed)) + limits.keep_alive
        })
    }

    /// Gives what was noted its time.
    fn settle(&self) {
        let moved = self.moved.swap(false, Ordering::Relaxed);
        let header_moved = self.header_moved.swap(false, Ordering::Relaxed);
        if !moved && !header_moved {
            return;
        }
        let now = self.elapsed();
        if moved {
            self.progress.store(now, Ordering::Relaxed);
        }
        if header_moved && self.header_began.load(Ordering::Relaxed) == 0 {
            self.header_began.store(now, Ordering::Relaxed);
        }
    }

    /// Whether a cut client would understand an HTTP/1 answer and waits for one.
    pub(super) fn owes_timeout_answer(&self) -> bool {
        let began = self.header_began.load(Ordering::Relaxed) > 0;
        began && lock(&self.looks_like_http1).unwrap_or(false)
    }

    pub(super) fn hand_back(&self, stream: TcpStream) {
        *lock(&self.returned) = Some(stream);
    }

    pub(super) fn take_back(&self) -> Option<TcpStream> {
        lock(&self.returned).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
