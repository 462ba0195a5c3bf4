//! The seam between the journal and the disk: the calls whose failure matters.
//!
//! The journal is generic over it, so the real one costs nothing and a
//! simulated one can lose, tear and refuse at every call.

use std::fmt;
use std::io;
use std::path::Path;

/// A file or folder in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name within the folder.
    pub name: String,
    /// Its size; 0 for a folder.
    pub bytes: u64,
}

/// Files below one folder. Paths are relative to it; the empty path is itself.
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: fmt::Debug + Send + Sync;

    /// Makes a file to append to; fails if it exists. Survives a power failure
    /// only after [`Self::sync_dir`] of its folder.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// Writes `head` and `tail` at the end with one call; answers how many
    /// bytes were written, which may be fewer.
    fn append(&self, file: &Self::File, head: &[u8], tail: &[u8]) -> io::Result<usize>;
    /// Fills `into` from `offset`; answers fewer bytes only at the end of the file.
    fn read_at(&self, file: &Self::File, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// The size of a file.
    fn len(&self, file: &Self::File) -> io::Result<u64>;
    /// Cuts a file to `len` bytes.
    fn truncate(&self, file: &Self::File, len: u64) -> io::Result<()>;
    /// Returns once the content is on disk (`fdatasync(2)`).
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Makes a folder; succeeds if it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// What is in a folder, in no particular order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Returns once the names in a folder are on disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}
