//! The socket under a connection: it reports what moves, and survives hyper.
//!
//! When hyper is done it drops its stream. A socket closed with unread bytes
//! resets the connection, and a reset can overtake the answer (a 413 to an
//! upload, say). So the socket is handed back and read for a moment longer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
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
    /// What is left to write of an answer in the place of hyper's own.
    substitute: Bytes,
}

impl Watched {
    pub(super) const fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            inner: Some(stream),
            activity,
            substitute: Bytes::new(),
        }
    }

    /// Writes a problem document in the place of `bytes`, if they are an answer
    /// that hyper made itself.
    fn poll_substitute(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.substitute.is_empty() {
            self.substitute = canned(automatic(bytes)?, None);
        }
        Some(self.poll_rest(cx).map_ok(|()| bytes.len()))
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.substitute.is_empty() {
            let rest = self.substitute.clone();
            let written = ready!(self.socket().poll_write(cx, &rest))?;
            self.substitute = rest.slice(written..);
        }
        Poll::Ready(Ok(()))
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
        if let Some(polled) = self.poll_substitute(cx, bytes) {
            return polled;
        }
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
        let first = slices.first().map_or(&[][..], |slice| &**slice);
        if let Some(polled) = self.poll_substitute(cx, first) {
            return polled;
        }
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

/// Which problem hyper answered by itself: a head that it cannot parse never
/// becomes a request, so no handler sees it, and hyper's answer has no body.
fn automatic(bytes: &[u8]) -> Option<Kind> {
    let status = bytes.strip_prefix(b"HTTP/1.1 4")?;
    let text = std::str::from_utf8(status).ok()?;
    // Every answer of ours carries a request id.
    if text.contains("x-request-id") || !text.contains("content-length: 0\r\n") {
        return None;
    }
    match text.get(..2)? {
        "00" => Some(Kind::MalformedRequest),
        "14" => Some(Kind::UriTooLong),
        "31" => Some(Kind::HeadersTooLarge),
        _ => None,
    }
}

/// Answers without having read a request, as far as the socket takes it at once.
pub(super) fn refuse(stream: &TcpStream, kind: Kind) {
    let answer = canned(kind, Some(Duration::from_secs(1)));
    // The client may be gone or its window full: refusing is best effort.
    let _ = stream.try_write(&answer);
}

/// A whole HTTP/1.1 answer with a problem document.
fn canned(kind: Kind, retry: Option<Duration>) -> Bytes {
    let row = kind.row();
    let mut problem = Problem::of(kind);
    let mut retry_after = String::new();
    if let Some(retry) = retry {
        problem = problem.retry_after(retry);
        retry_after = format!("retry-after: {}\r\n", retry.as_secs());
    }
    let body = problem.into_body("none");
    let reason = kind.status().canonical_reason().unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nconnection: close\r\n{retry_after}\
         content-type: application/problem+json\r\ncontent-length: {}\r\n\r\n",
        row.status,
        body.len(),
    );
    [head.into_bytes(), body].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_that_hyper_made_itself_are_replaced() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let ours = "HTTP/1.1 400 Bad Request\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n";
        for (bytes, expected) in [
            (bare.to_owned(), Some(Kind::MalformedRequest)),
            (bare.replace("400", "431"), Some(Kind::HeadersTooLarge)),
            (bare.replace("400", "414"), Some(Kind::UriTooLong)),
            (bare.replace("400", "404"), None),
            (bare.replace("400", "200"), None),
            (ours.to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(automatic(bytes.as_bytes()), expected, "{bytes}");
        }
    }
}
