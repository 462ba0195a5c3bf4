//! The socket under a connection: it reports what moves, and survives hyper.
//!
//! When hyper is done it drops its stream. A socket closed with unread bytes
//! resets the connection, and a reset can overtake the answer (a 413 to an
//! upload, say). So the socket is handed back and read for a moment longer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;
use crate::problem::{Kind, Problem};

/// How long, and for how many bytes, an answered client may go on sending.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 32 * 1024 * 1024;

/// A socket that reports to [`Activity`].
#[derive(Debug)]
pub(super) struct Watched {
    /// `None` only while being dropped.
    inner: Option<TcpStream>,
    activity: Arc<Activity>,
}

impl Watched {
    pub(super) const fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            inner: Some(stream),
            activity,
        }
    }

    fn socket(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(
            self.inner
                .as_mut()
                .expect("invariant: the socket is taken only by drop"),
        )
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.activity.wrote();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(stream) = self.inner.take() {
            self.activity.hand_back(stream);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = self.socket().poll_read(cx, buffer);
        let bytes = &buffer.filled()[before..];
        if !bytes.is_empty() {
            self.activity.read(bytes);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.socket().poll_write(cx, bytes);
        self.wrote(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.socket().poll_write_vectored(cx, slices);
        self.wrote(&polled);
        polled
    }
}

/// Reads and forgets what an answered client is still sending.
pub(super) async fn linger(mut stream: TcpStream) {
    let forget = async {
        let mut buffer = vec![0; 16 * 1024];
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    // Whichever comes first, the socket is closed next.
    let _ = tokio::time::timeout(LINGER, forget).await;
}

/// Answers without having read a request, as far as the socket takes it at once.
pub(super) fn refuse(stream: &TcpStream, kind: Kind) {
    let answer = canned(kind);
    // The client may be gone or its window full: refusing is best effort.
    let _ = stream.try_write(&answer);
}

/// A whole HTTP/1.1 answer with a problem document.
fn canned(kind: Kind) -> Bytes {
    let row = kind.row();
    let body = Problem::of(kind)
        .retry_after(Duration::from_secs(1))
        .into_body("none");
    let reason = kind.status().canonical_reason().unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nconnection: close\r\nretry-after: 1\r\n\
         content-type: application/problem+json\r\ncontent-length: {}\r\n\r\n",
        row.status,
        body.len(),
    );
    [head.into_bytes(), body].concat().into()
}
