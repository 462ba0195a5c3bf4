//! Frames between the server and a worker, and the patience to wait for one.
//!
//! `u32` length of the head, `u64` length of the body, both little-endian, then
//! head (JSON) and body (columns). A worker runs foreign code, so nothing it
//! sends is believed: lengths are bounded before they are read.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use plimsoll_engine::Stop;

/// How long one look at the socket waits before it asks whether to go on.
const LOOK: Duration = Duration::from_millis(20);
/// Read at once; a length that was promised and never comes costs no more.
const PIECE: usize = 64 * 1024;
/// Lengths of head and body.
const PREFIX: usize = 12;

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// JSON.
    pub(crate) head: Vec<u8>,
    /// Columns, one after the other.
    pub(crate) body: Vec<u8>,
}

/// Longest frame accepted, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Of the head.
    pub(crate) head: usize,
    /// Of the body.
    pub(crate) body: usize,
}

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Nobody waits any more.
    #[error("the wait was given up")]
    Stopped(Stop),
    /// The other side took too long.
    #[error("it did not answer in time")]
    Slow,
    /// The other side is gone.
    #[error("it ended")]
    Ended,
    /// What came is no frame.
    #[error("it sent garbage: {0}")]
    Garbage(String),
}

/// Asked again and again while a frame is awaited: an error ends the wait.
pub(crate) type Patience<'a> = &'a dyn Fn() -> Result<(), Broken>;

/// A socket over which frames go, set up to look around while it waits.
#[derive(Debug)]
pub(crate) struct Channel(UnixStream);

impl Channel {
    /// Two ends: ours and the worker's.
    pub(crate) fn pair() -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(LOOK))?;
        ours.set_write_timeout(Some(LOOK))?;
        Ok((Self(ours), theirs))
    }

    /// Sends one frame.
    pub(crate) fn send(&self, frame: &Frame, patience: Patience<'_>) -> Result<(), Broken> {
        let head = u32::try_from(frame.head.len()).unwrap_or(u32::MAX);
        let mut prefix = [0; PREFIX];
        prefix[..4].copy_from_slice(&head.to_le_bytes());
        prefix[4..].copy_from_slice(&(frame.body.len() as u64).to_le_bytes());
        for part in [&prefix[..], &frame.head, &frame.body] {
            self.write(part, patience)?;
        }
        Ok(())
    }

    /// Receives one frame of at most this length.
    pub(crate) fn receive(&self, most: Most, patience: Patience<'_>) -> Result<Frame, Broken> {
        let prefix = self.read(PREFIX, patience)?;
        let (head, body) = lengths(&prefix).ok_or_else(|| too_long(usize::MAX, 0))?;
        if head > most.head || body > most.body {
            return Err(too_long(head, body));
        }
        Ok(Frame {
            head: self.read(head, patience)?,
            body: self.read(body, patience)?,
        })
    }

    fn write(&self, mut rest: &[u8], patience: Patience<'_>) -> Result<(), Broken> {
        while !rest.is_empty() {
            patience()?;
            match (&self.0).write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if is_a_look(&error) => {}
                Err(_) => return Err(Broken::Ended),
            }
        }
        Ok(())
    }

    fn read(&self, length: usize, patience: Patience<'_>) -> Result<Vec<u8>, Broken> {
        let mut bytes = Vec::with_capacity(length.min(PIECE));
        while bytes.len() < length {
            patience()?;
            let (filled, piece) = (bytes.len(), PIECE.min(length - bytes.len()));
            bytes.resize(filled + piece, 0);
            let read = (&self.0).read(&mut bytes[filled..]);
            bytes.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(Broken::Ended),
                Err(error) if !is_a_look(&error) => return Err(Broken::Ended),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(bytes)
    }
}

/// Lengths of head and body.
fn lengths(prefix: &[u8]) -> Option<(usize, usize)> {
    let (head, body) = prefix.split_first_chunk::<4>()?;
    let body = u64::from_le_bytes(*body.first_chunk::<8>()?);
    let head = usize::try_from(u32::from_le_bytes(*head)).ok()?;
    Some((head, usize::try_from(body).ok()?))
}

fn too_long(head: usize, body: usize) -> Broken {
    Broken::Garbage(format!("a frame of {head} and {body} bytes"))
}

/// Whether nothing happened for the length of a look, or a signal came.
fn is_a_look(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MOST: Most = Most {
        head: 100,
        body: 1 << 20,
    };

    const ENDLESS: Patience<'static> = &|| Ok(());

    #[test]
    fn a_frame_arrives_as_it_was_sent() {
        let (ours, theirs) = Channel::pair().unwrap();
        let frame = Frame {
            head: b"{}".to_vec(),
            body: vec![7; 600_000],
        };
        // Longer than the socket's buffer: somebody has to read meanwhile.
        let reading = std::thread::spawn(move || Channel(theirs).receive(MOST, ENDLESS));
        ours.send(&frame, ENDLESS).unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), frame);
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        for (head, body) in [(101_u32, 0_u64), (0, (1 << 20) + 1), (u32::MAX, u64::MAX)] {
            let (ours, mut theirs) = Channel::pair().unwrap();
            theirs.write_all(&head.to_le_bytes()).unwrap();
            theirs.write_all(&body.to_le_bytes()).unwrap();
            let refused = ours.receive(MOST, ENDLESS).unwrap_err();
            assert!(matches!(refused, Broken::Garbage(_)), "{refused:?}");
        }
    }

    #[test]
    fn a_worker_that_is_gone_or_silent_ends_the_wait() {
        let (ours, mut theirs) = Channel::pair().unwrap();
        theirs.write_all(&[2, 0, 0]).unwrap();
        let looks = Cell::new(0);
        let patience = || {
            looks.set(looks.get() + 1);
            if looks.get() > 3 {
                return Err(Broken::Slow);
            }
            Ok(())
        };
        assert!(matches!(ours.receive(MOST, &patience), Err(Broken::Slow)));
        drop(theirs);
        assert!(matches!(ours.receive(MOST, ENDLESS), Err(Broken::Ended)));
        let frame = Frame::default();
        assert!(matches!(ours.send(&frame, ENDLESS), Err(Broken::Ended)));
    }
}
