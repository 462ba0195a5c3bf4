//! Our own accept loop.
//!
//! `axum::serve` sets no timers, so a silent client would hold its connection
//! for ever. Here every connection is watched (see [`activity`]), counted per
//! address and in all, and ends within the drain time once the server stops.

mod activity;
mod connection;
mod door;
mod stream;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use plimsoll_app::App;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{HttpConfig, Limits};
use crate::front::Front;
use crate::metrics::HttpMeters;
use door::Door;

/// Connections the kernel may hold for us before we accept them.
const BACKLOG: u32 = 4096;
/// Pause after an accept error such as running out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What hyper buffers of a head before it answers 431 by itself, without a body;
/// above our own limits, so that ours answer with a problem document.
const HEAD_BUFFER: usize = 64 * 1024;

/// A bound server that is not yet accepting.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    front: Front,
    meters: Arc<HttpMeters>,
    limits: Arc<Limits>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had to be cut because the drain time was over.
    pub cut: usize,
}

impl Server {
    /// Binds `address` (inside a runtime) and builds the routes over `app`.
    #[expect(
        clippy::unused_async,
        reason = "only works inside a runtime, as an async function shows"
    )]
    pub async fn bind(address: SocketAddr, app: App, config: HttpConfig) -> io::Result<Self> {
        let limits = config.limits.clone();
        let (front, meters) = crate::wire::build(app, config);
        Self::with_front(address, front, meters, limits)
    }

    /// The same for any routes: what is served does not matter to the accept loop.
    pub(crate) fn with_front(
        address: SocketAddr,
        front: Front,
        meters: Arc<HttpMeters>,
        limits: Limits,
    ) -> io::Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            front,
            meters,
            limits: Arc::new(limits),
        })
    }

    /// The address that was really bound (the port, if 0 was asked for).
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then stops accepting and lets open
    /// requests finish for at most [`Limits::drain`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Drained {
        let Self {
            listener,
            front,
            meters,
            limits,
            ..
        } = self;
        let (drain, drained_in) = (CancellationToken::new(), limits.drain);
        let door = Door::new(limits.clone(), meters);
        let shared = Arc::new(connection::Shared {
            builder: builder(&limits),
            front,
            limits,
            drain: drain.clone(),
        });
        let mut open = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = open.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        if let Some(place) = door.admit(&stream, peer, open.len()) {
                            open.spawn(connection::serve(stream, peer, shared.clone(), place));
                        }
                    }
                    Err(error) => pause_after(error).await,
                },
            }
        }
        drop(listener);
        drain.cancel();
        finish(open, drained_in).await
    }
}

/// Waits for open connections, then cuts those that are left.
async fn finish(mut open: JoinSet<()>, within: Duration) -> Drained {
    let all_ended = async { while open.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(within, all_ended).await.is_ok();
    let cut = if in_time { 0 } else { open.len() };
    open.shutdown().await;
    if cut > 0 {
        tracing::warn!(
            connections = cut,
            "connections were cut because the drain time was over"
        );
    }
    Drained { cut }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Head and body leave in one buffer, by a plain send.
        .writev(false)
        // Our own watch covers headers, idle time and the first request alike.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(HEAD_BUFFER).unwrap_or(u32::MAX));
    builder
}

/// A connection can be refused because the peer is already gone; that is its
/// own affair. Everything else (no file descriptors) passes with time.
async fn pause_after(error: io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::error!(%error, "connections cannot be accepted at the moment");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
