//! A bare TCP connection, for clients that are slow, broken or hostile.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any limit a test sets: only a hanging server reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bare TCP connection to the server.
#[derive(Debug)]
pub struct RawSocket(TcpStream);

impl RawSocket {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await;
        Self(stream.expect("the server accepts connections"))
    }

    /// Sends bytes as they are. Says whether the server still took them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Everything the server sends until it closes the connection; panics if
    /// it never does.
    pub async fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let reading = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes));
        // A reset is a way of closing, too.
        let _closed = reading.await.expect("the server closes the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What the server sends until `end` appears, for connections that stay open.
    pub async fn read_until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let reading = async {
            let mut byte = [0];
            while !bytes.ends_with(end.as_bytes()) {
                match self.0.read(&mut byte).await {
                    Ok(1) => bytes.push(byte[0]),
                    _ => break,
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reading).await.is_ok();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            in_time && text.ends_with(end),
            "{end:?} never came, only {text:?}"
        );
        text
    }

    /// The socket itself.
    pub fn into_stream(self) -> TcpStream {
        self.0
    }
}
