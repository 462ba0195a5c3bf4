//! Content on its way in: a temporary file and the hash of what went into it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use plimsoll_core::digest::Digest;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::{BlobError, Result};

/// Takes content chunk by chunk. Dropping it removes the temporary file.
#[derive(Debug)]
pub struct Stage {
    file: File,
    temporary: Temporary,
    hash: Sha256,
    size: u64,
    limit: u64,
}

/// Whole, hashed and synced content that is not yet visible. Dropping it
/// removes the temporary file.
#[derive(Debug)]
pub struct Staged {
    /// SHA-256 of the content.
    pub digest: Digest,
    /// Bytes of content.
    pub size: u64,
    temporary: Temporary,
}

impl Stage {
    pub(crate) fn new(file: File, path: PathBuf, limit: u64) -> Self {
        Self {
            file,
            temporary: Temporary { path },
            hash: Sha256::new(),
            size: 0,
            limit,
        }
    }

    /// Adds a chunk; [`BlobError::TooLarge`] as soon as the limit is passed.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.size = self.size.saturating_add(chunk.len() as u64);
        if self.size > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        self.hash.update(chunk);
        let written = self.file.write_all(chunk).await;
        written.map_err(BlobError::io("write an artifact"))
    }

    /// Bytes written so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Ends the content and waits until it is on the disk.
    pub async fn finish(mut self) -> Result<Staged> {
        if self.size > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        let flushed = self.file.flush().await;
        flushed.map_err(BlobError::io("write an artifact"))?;
        self.file.sync_data().await.map_err(BlobError::sync)?;
        Ok(Staged {
            digest: Digest::from_bytes(self.hash.finalize().into()),
            size: self.size,
            temporary: self.temporary,
        })
    }
}

impl Staged {
    /// Where the content lies until it is put.
    pub fn path(&self) -> &Path {
        &self.temporary.path
    }

    /// The content, to be looked at before it is put.
    pub async fn read(&self) -> Result<Bytes> {
        let content = tokio::fs::read(self.path()).await;
        content
            .map(Bytes::from)
            .map_err(BlobError::io("read a staged artifact"))
    }
}

/// Removes its file when dropped; after a rename there is nothing to remove.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_named_as_such() {
        let full = File::options().write(true).open("/dev/full").await.unwrap();
        let missing = PathBuf::from("/nonexistent/plimsoll");
        let mut stage = Stage::new(full, missing, u64::MAX);
        // The write runs behind the scenes; its failure surfaces at the latest at the end.
        let outcome = match stage.write(&vec![7; 100_000]).await {
            Ok(()) => stage.finish().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(BlobError::Full(_))), "{outcome:?}");
    }
}
