//! What the wire can be configured to do: limits, timeouts, logging.
//!
//! Defaults are those of the table in `docs/OPERATIONS.md`; tests shorten them.

use std::time::Duration;

/// How the wire behaves.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Sizes and times.
    pub limits: Limits,
    /// Requests that take at least this long are marked in the log.
    pub slow_request: Duration,
    /// Whether each request is logged.
    pub access_log: bool,
    /// Whether callers with limits get the older `X-RateLimit-*` header fields too.
    pub x_ratelimit: bool,
    /// What a proxy puts before our paths, without a slash at its end; links in
    /// our own pages and the OpenAPI document start with it.
    pub base_path: String,
    /// Whether older paths are served.
    pub aliases: bool,
    /// The model that older paths without a model's name mean; `None` for the caller's newest.
    pub default_model: Option<String>,
}

/// Sizes and times that bound what one client can hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections in all; more are refused.
    pub connections: usize,
    /// Open connections of one address; more are answered 429.
    pub connections_per_address: usize,
    /// Whether loopback addresses may pass [`Limits::connections_per_address`]:
    /// behind a proxy on the same machine every client looks local.
    pub loopback_unlimited: bool,
    /// From accepting a connection until its first request has reached the router.
    pub first_request: Duration,
    /// From the first byte of a later request until its header is complete.
    pub header_read: Duration,
    /// How long a connection may stay open without a request or progress.
    pub keep_alive: Duration,
    /// All header fields of one request, in bytes.
    pub header_bytes: usize,
    /// Header fields of one request.
    pub header_count: usize,
    /// Path and query of one request, in bytes.
    pub uri_bytes: usize,
    /// Longest pause within a request body.
    pub body_idle: Duration,
    /// An upload slower than this many bytes per second over
    /// [`Limits::upload_window`] is cut.
    pub upload_rate: u64,
    /// The window over which an upload's speed is judged.
    pub upload_window: Duration,
    /// JSON bodies of control routes, in bytes.
    pub control_body: usize,
    /// JSON bodies of predict routes, in bytes.
    pub predict_body: usize,
    /// Time for one control request.
    pub control_deadline: Duration,
    /// Longest run of a handler that loads models.
    pub load_deadline: Duration,
    /// Concurrent streams of one HTTP/2 connection.
    pub http2_streams: u32,
    /// Requests being answered at the same time; more are answered 503.
    pub in_flight: usize,
    /// Time that requests get to finish once the server is asked to stop.
    pub drain: Duration,
}

const KIB: usize = 1024;

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            slow_request: Duration::from_secs(1),
            access_log: true,
            x_ratelimit: true,
            base_path: String::new(),
            aliases: true,
            default_model: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 512,
            loopback_unlimited: true,
            first_request: Duration::from_secs(10),
            header_read: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            header_bytes: 16 * KIB,
            header_count: 64,
            uri_bytes: 8 * KIB,
            body_idle: Duration::from_secs(15),
            upload_rate: 16 * 1024,
            upload_window: Duration::from_secs(30),
            control_body: 64 * KIB,
            predict_body: 16 * KIB * KIB,
            control_deadline: Duration::from_secs(10),
            load_deadline: Duration::from_mins(5),
            http2_streams: 128,
            in_flight: 4096,
            drain: Duration::from_secs(25),
        }
    }
}
