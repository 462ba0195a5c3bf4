//! The local folder.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use plimsoll_core::digest::Digest;
use plimsoll_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, DirBuilder, File, OpenOptions};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::{BlobError, Result, Stage, Staged};

/// Bytes read and hashed at once: about a tenth of a millisecond of a core.
const CHUNK_BYTES: usize = 256 * 1024;

/// Content that is read chunk by chunk.
pub type Content = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// What a store accepts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of one artifact.
    pub max_bytes: u64,
}

/// The artifacts of an installation; clones share everything.
#[derive(Clone, Debug)]
pub struct Blobs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    blobs: PathBuf,
    tmp: PathBuf,
    limits: Limits,
    stages: AtomicU64,
    /// Held while a blob appears or disappears.
    naming: Mutex<()>,
}

/// What became of a staged artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// The name it can be read by.
    pub digest: Digest,
    /// Bytes of content.
    pub size: u64,
    /// Whether the same content was there before.
    pub existed: bool,
}

/// A stored artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobEntry {
    /// Its name.
    pub digest: Digest,
    /// Bytes of content, as the folder says.
    pub size: u64,
    /// When the content was last put.
    pub modified: Timestamp,
}

impl Blobs {
    /// Opens the folders `blobs` and `tmp` below `root`, making what is missing.
    pub async fn open(root: &Path, limits: Limits) -> Result<Self> {
        let (blobs, tmp) = (root.join("blobs"), root.join("tmp"));
        create_folder(&blobs).await?;
        create_folder(&tmp).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                blobs,
                tmp,
                limits,
                stages: AtomicU64::new(0),
                naming: Mutex::new(()),
            }),
        })
    }

    /// Starts taking content in.
    pub async fn stage(&self) -> Result<Stage> {
        self.stage_at_most(self.inner.limits.max_bytes).await
    }

    /// Starts taking content of at most so many bytes in.
    pub async fn stage_at_most(&self, max_bytes: u64) -> Result<Stage> {
        loop {
            let count = self.inner.stages.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{count}", std::process::id());
            let path = self.inner.tmp.join(name);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            options.mode(0o600);
            match options.open(&path).await {
                Ok(mut file) => {
                    file.set_max_buf_size(CHUNK_BYTES);
                    return Ok(Stage::new(file, path, max_bytes));
                }
                // Left by an earlier process with the same number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(BlobError::io("create a temporary file")(error)),
            }
        }
    }

    /// Makes staged content readable by its digest, durably. Content that is
    /// there already is replaced by the equal new copy, which repairs damage.
    pub async fn put(&self, staged: Staged) -> Result<Put> {
        let target = self.path(&staged.digest);
        let folder = self.shard(&staged.digest);
        let _naming = self.inner.naming.lock().await;
        let existed = exists(&target).await?;
        if !existed && !exists(&folder).await? {
            create_folder(&folder).await?;
            sync_folder(&self.inner.blobs).await?;
        }
        let renamed = fs::rename(staged.path(), &target).await;
        renamed.map_err(BlobError::io("rename an artifact into place"))?;
        sync_folder(&folder).await?;
        Ok(Put {
            digest: staged.digest,
            size: staged.size,
            existed,
        })
    }

    /// The whole content, checked against its digest.
    pub async fn read(&self, digest: &Digest) -> Result<Bytes> {
        let mut reader = self.reader(digest).await?;
        let size = usize::try_from(reader.size).unwrap_or(0);
        let mut content = BytesMut::with_capacity(size);
        while let Some(chunk) = reader.next().await? {
            content.extend_from_slice(&chunk);
        }
        Ok(content.freeze())
    }

    /// Like [`read`](Self::read), on a thread that may block: one turn for all of
    /// the content instead of one for each chunk.
    pub fn read_blocking(&self, digest: &Digest) -> Result<Vec<u8>> {
        let content = std::fs::read(self.path(digest)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => BlobError::Missing { digest: *digest },
            _ => BlobError::io("read an artifact")(error),
        })?;
        let found = Digest::from_bytes(Sha256::digest(&content).into());
        if found == *digest {
            return Ok(content);
        }
        Err(BlobError::Corrupt {
            expected: *digest,
            found,
        })
    }

    /// Reads all of the content and checks it against its digest.
    pub async fn verify(&self, digest: &Digest) -> Result<()> {
        let mut reader = self.reader(digest).await?;
        while reader.next().await?.is_some() {}
        Ok(())
    }

    /// The length of the content, and the content chunk by chunk. Damage is
    /// only known at the end: the last item is then an error.
    pub async fn stream(
        &self,
        digest: &Digest,
    ) -> Result<(u64, impl Stream<Item = Result<Bytes>> + Send + use<>)> {
        let reader = self.reader(digest).await?;
        let size = reader.size;
        let chunks = stream::try_unfold(reader, |mut reader| async {
            Ok(reader.next().await?.map(|chunk| (chunk, reader)))
        });
        Ok((size, chunks))
    }

    /// The same as [`stream`](Self::stream), as a type that can be named.
    pub async fn content(&self, digest: &Digest) -> Result<(u64, Content)> {
        let (size, chunks) = self.stream(digest).await?;
        Ok((size, Box::pin(chunks)))
    }

    /// Whether there is content with this digest.
    pub async fn contains(&self, digest: &Digest) -> Result<bool> {
        exists(&self.path(digest)).await
    }

    /// Removes an artifact; answers whether it was there.
    pub async fn delete(&self, digest: &Digest) -> Result<bool> {
        let _naming = self.inner.naming.lock().await;
        self.remove(digest).await
    }

    /// Removes an artifact unless its content was put after `cutoff`: somebody
    /// may have stored the same content again and not yet written down where
    /// it belongs.
    pub async fn delete_if_older(&self, digest: &Digest, cutoff: Timestamp) -> Result<bool> {
        let _naming = self.inner.naming.lock().await;
        match fs::metadata(self.path(digest)).await {
            Ok(metadata) if modified(&metadata) <= cutoff => self.remove(digest).await,
            Ok(_) => Ok(false),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::io("look at an artifact")(error)),
        }
    }

    /// All artifacts, ordered by digest.
    pub async fn list(&self) -> Result<Vec<BlobEntry>> {
        let failed = || BlobError::io("list the artifacts");
        let mut entries = Vec::new();
        let mut shards = fs::read_dir(&self.inner.blobs).await.map_err(failed())?;
        while let Some(shard) = shards.next_entry().await.map_err(failed())? {
            if !shard.file_type().await.map_err(failed())?.is_dir() {
                continue;
            }
            let mut files = fs::read_dir(shard.path()).await.map_err(failed())?;
            while let Some(file) = files.next_entry().await.map_err(failed())? {
                let name = file.file_name();
                let Some(Ok(digest)) = name.to_str().map(str::parse) else {
                    continue;
                };
                let metadata = file.metadata().await.map_err(failed())?;
                entries.push(BlobEntry {
                    digest,
                    size: metadata.len(),
                    modified: modified(&metadata),
                });
            }
        }
        entries.sort_unstable_by_key(|entry| entry.digest);
        Ok(entries)
    }

    /// Removes what an earlier process left in `tmp/`; answers how many files.
    /// Only for the process that holds the lock of the data directory.
    pub async fn sweep_tmp(&self) -> Result<u64> {
        let failed = || BlobError::io("remove leftover temporary files");
        let mut removed = 0;
        let mut files = fs::read_dir(&self.inner.tmp).await.map_err(failed())?;
        while let Some(file) = files.next_entry().await.map_err(failed())? {
            if file.file_type().await.map_err(failed())?.is_file() {
                fs::remove_file(file.path()).await.map_err(failed())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Bytes that can still be written where the artifacts lie.
    pub fn free_bytes(&self) -> Result<u64> {
        let disk = rustix::fs::statvfs(&self.inner.blobs);
        let disk = disk.map_err(|error| BlobError::io("ask for free space")(error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    async fn remove(&self, digest: &Digest) -> Result<bool> {
        match fs::remove_file(self.path(digest)).await {
            Ok(()) => {
                sync_folder(&self.shard(digest)).await?;
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::io("remove an artifact")(error)),
        }
    }

    async fn reader(&self, digest: &Digest) -> Result<Reader> {
        let failed = BlobError::io("open an artifact");
        let mut file = match File::open(self.path(digest)).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(BlobError::Missing { digest: *digest });
            }
            Err(error) => return Err(failed(error)),
        };
        let size = file.metadata().await.map_err(failed)?.len();
        file.set_max_buf_size(CHUNK_BYTES);
        Ok(Reader {
            file,
            size,
            expected: *digest,
            hash: Some(Sha256::new()),
        })
    }

    fn shard(&self, digest: &Digest) -> PathBuf {
        self.inner.blobs.join(&digest.to_string()[..2])
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.shard(digest).join(digest.to_string())
    }
}

/// Reads an artifact once from the beginning and compares its digest at the end.
struct Reader {
    file: File,
    size: u64,
    expected: Digest,
    /// `None` after the end.
    hash: Option<Sha256>,
}

impl Reader {
    /// The next chunk; nothing at the end, or an error if the content is damaged.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(hash) = &mut self.hash else {
            return Ok(None);
        };
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = self.file.read_buf(&mut chunk).await;
        if read.map_err(BlobError::io("read an artifact"))? > 0 {
            hash.update(&chunk);
            return Ok(Some(chunk.freeze()));
        }
        let found = Digest::from_bytes(std::mem::take(hash).finalize().into());
        self.hash = None;
        if found == self.expected {
            return Ok(None);
        }
        Err(BlobError::Corrupt {
            expected: self.expected,
            found,
        })
    }
}

async fn create_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    let created = builder.create(path).await;
    created.map_err(BlobError::io("create a folder for artifacts"))
}

/// Makes new and removed names in a folder durable.
async fn sync_folder(path: &Path) -> Result<()> {
    let folder = File::open(path).await;
    let folder = folder.map_err(BlobError::io("open a folder of artifacts"))?;
    folder.sync_all().await.map_err(BlobError::sync)
}

async fn exists(path: &Path) -> Result<bool> {
    let exists = fs::try_exists(path).await;
    exists.map_err(BlobError::io("look at an artifact"))
}

fn modified(metadata: &std::fs::Metadata) -> Timestamp {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .unwrap_or_default();
    Timestamp::from_micros(0).plus(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{conforms, put, stage};

    const LIMITS: Limits = Limits { max_bytes: 1 << 20 };

    async fn opened() -> (tempfile::TempDir, Blobs) {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(root.path(), LIMITS).await.unwrap();
        (root, blobs)
    }

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_local_folder_conforms() {
        let (_root, blobs) = opened().await;
        conforms(&blobs, LIMITS).await;
    }

    #[tokio::test]
    async fn a_process_killed_between_stage_and_put_leaves_nothing_visible() {
        let (root, blobs) = opened().await;
        // Neither destructor runs, as after a kill.
        std::mem::forget(stage(&blobs, b"half").await);
        std::mem::forget(stage(&blobs, b"whole").await.finish().await.unwrap());
        drop(blobs);

        let blobs = Blobs::open(root.path(), LIMITS).await.unwrap();
        assert_eq!(blobs.list().await.unwrap(), []);
        // The same process number again: the names of the leftovers are not reused.
        put(&blobs, b"new").await;
        assert_eq!(names(&root.path().join("tmp")).len(), 2);
        assert_eq!(blobs.sweep_tmp().await.unwrap(), 2);
        assert_eq!(blobs.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_dropped_leaves_no_file() {
        let (root, blobs) = opened().await;
        drop(stage(&blobs, b"half").await);
        drop(stage(&blobs, b"whole").await.finish().await.unwrap());
        put(&blobs, b"kept").await;
        assert!(names(&root.path().join("tmp")).is_empty());
    }

    #[tokio::test]
    async fn a_flipped_bit_is_noticed_and_storing_again_repairs_it() {
        let (root, blobs) = opened().await;
        let content = vec![7; 600_000];
        let digest = put(&blobs, &content).await.digest;
        let text = digest.to_string();
        let path = root.path().join("blobs").join(&text[..2]).join(&text);
        let mut damaged = content.clone();
        damaged[599_999] ^= 1;
        std::fs::write(&path, &damaged).unwrap();

        let found = Digest::of(&damaged);
        for outcome in [
            blobs.verify(&digest).await,
            blobs.read(&digest).await.map(drop),
        ] {
            let Err(BlobError::Corrupt {
                expected,
                found: seen,
            }) = outcome
            else {
                panic!("{outcome:?}");
            };
            assert_eq!((expected, seen), (digest, found));
        }
        assert!(put(&blobs, &content).await.existed);
        assert_eq!(blobs.read(&digest).await.unwrap(), content);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn artifacts_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (root, blobs) = opened().await;
        let text = put(&blobs, b"private").await.digest.to_string();
        let folder = root.path().join("blobs").join(&text[..2]);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(&text)), 0o600);
    }

    #[tokio::test]
    async fn files_that_are_no_artifacts_are_not_listed() {
        let (root, blobs) = opened().await;
        put(&blobs, b"one").await;
        std::fs::write(root.path().join("blobs/README"), "x").unwrap();
        std::fs::create_dir(root.path().join("blobs/zz")).unwrap();
        std::fs::write(root.path().join("blobs/zz/part"), "x").unwrap();
        assert_eq!(blobs.list().await.unwrap().len(), 1);
        assert!(blobs.free_bytes().unwrap() > 0);
    }
}
