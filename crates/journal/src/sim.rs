//! A disk in memory that does the worst a real one is allowed to.
//!
//! What was not synced may be gone after a power failure, sector by sector and
//! in any order; names whose folder was not synced may be gone or back. Calls
//! fail on request, a refused write after taking any part of the bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::storage::{Entry, Storage};

const SECTOR: usize = 512;

/// How calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Calls that need space say that there is none.
    NoSpace,
    /// Syncs report an input/output error.
    SyncError,
    /// Cutting a file back fails, and whatever needs space too.
    NothingWorks,
    /// The machine is off: every call fails.
    PowerOff,
}

/// Which calls fail: `count` of them from number `from` on.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of the first call that fails, counted from 0.
    pub from: u64,
    /// How many calls fail.
    pub count: u64,
    /// How.
    pub fault: Fault,
}

/// A disk in memory.
pub struct SimDisk {
    inner: Mutex<Inner>,
    during_sync: Mutex<Option<Meanwhile>>,
}

/// What happens elsewhere while a call runs.
type Meanwhile = Box<dyn Fn() + Send>;

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

/// An open file of a [`SimDisk`].
#[derive(Clone, Copy, Debug)]
pub struct SimFile(usize);

/// A reproducible stream of numbers: SplitMix64 (Steele et al., OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream that depends on `seed` alone.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap_or(0)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Create,
    Append,
    Truncate,
    Sync,
    SyncDir,
    Remove,
    CreateDir,
}

#[derive(Debug)]
struct Inner {
    random: Random,
    plan: Option<Plan>,
    calls: u64,
    syncs: u64,
    files: Vec<File>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Debug, Default)]
struct File {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// What happened since the last sync.
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

impl SimDisk {
    /// An empty disk whose mishaps depend on `seed` alone.
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                random: Random::new(seed),
                plan: None,
                calls: 0,
                syncs: 0,
                files: Vec::new(),
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
            }),
            during_sync: Mutex::new(None),
        }
    }

    /// Runs `meanwhile` during each sync of a file, after its content was taken.
    pub fn during_sync(&self, meanwhile: impl Fn() + Send + 'static) {
        *self.meanwhile() = Some(Box::new(meanwhile));
    }

    /// Makes calls fail, counted from now; `None` ends it.
    pub fn plan(&self, plan: Option<Plan>) {
        let mut inner = self.lock();
        inner.calls = 0;
        inner.plan = plan;
    }

    /// Calls that change something since the last [`Self::plan`].
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// File syncs so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// What is on the disk after the process was killed: everything written.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        self.restarted(
            |inner, file| inner.files[file].content.clone(),
            |_, now, _| now,
        )
    }

    /// What is on the disk after a power failure: everything synced, and of the
    /// rest whatever chance leaves.
    #[must_use]
    pub fn after_power_loss(&self) -> Self {
        let names = |random: &mut Random, now, durable| {
            if random.one_in(2) { now } else { durable }
        };
        self.restarted(Inner::torn, names)
    }

    /// Flips one bit of a file.
    pub fn flip(&self, path: &Path, bit: usize) {
        let mut inner = self.lock();
        if let Some(Node::File(file)) = inner.names.get(path).copied() {
            inner.files[file].content[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// Paths and sizes of all files.
    pub fn files(&self) -> Vec<(PathBuf, usize)> {
        let inner = self.lock();
        let size = |node: &Node| match node {
            Node::File(file) => Some(inner.files[*file].content.len()),
            Node::Folder => None,
        };
        let files = inner.names.iter();
        files
            .filter_map(|(path, node)| Some((path.clone(), size(node)?)))
            .collect()
    }

    /// Puts a file with this content on the disk, durably.
    pub fn put(&self, path: &Path, content: Vec<u8>) {
        let mut inner = self.lock();
        let file = inner.files.len();
        inner.files.push(File {
            durable: content.clone(),
            content,
            changes: Vec::new(),
        });
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        for (path, node) in [
            (folder, Node::Folder),
            (path.to_path_buf(), Node::File(file)),
        ] {
            inner.names.insert(path.clone(), node);
            inner.durable_names.insert(path, node);
        }
    }

    fn restarted(
        &self,
        content: impl Fn(&mut Inner, usize) -> Vec<u8>,
        choose: impl Fn(&mut Random, Option<Node>, Option<Node>) -> Option<Node>,
    ) -> Self {
        let mut inner = self.lock();
        let seed = inner.random.below(usize::MAX);
        let disk = Self::new(seed as u64);
        let paths: Vec<PathBuf> = inner
            .names
            .keys()
            .chain(inner.durable_names.keys())
            .cloned()
            .collect();
        let mut kept = BTreeMap::new();
        for path in paths {
            let now = inner.names.get(&path).copied();
            let durable = inner.durable_names.get(&path).copied();
            if let Some(node) = choose(&mut inner.random, now, durable) {
                kept.entry(path).or_insert(node);
            }
        }
        for (path, node) in &kept {
            let folder = path.parent().unwrap_or(Path::new(""));
            let reachable = folder == Path::new("") || kept.contains_key(folder);
            match node {
                Node::File(file) if reachable => disk.put(path, content(&mut inner, *file)),
                Node::File(_) => {}
                Node::Folder => {
                    let mut fresh = disk.lock();
                    fresh.names.insert(path.clone(), Node::Folder);
                    fresh.durable_names.insert(path.clone(), Node::Folder);
                }
            }
        }
        drop(inner);
        disk
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meanwhile(&self) -> MutexGuard<'_, Option<Meanwhile>> {
        let lock = self.during_sync.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts a call, and fails it if it is planned to fail.
    fn call(&mut self, call: Call) -> io::Result<()> {
        let number = self.calls;
        self.calls += 1;
        let Some(plan) = self.plan else {
            return Ok(());
        };
        if number < plan.from || number - plan.from >= plan.count {
            return Ok(());
        }
        let needs_space = matches!(call, Call::Create | Call::Append | Call::CreateDir);
        let fails = match plan.fault {
            Fault::NoSpace => needs_space,
            Fault::SyncError => matches!(call, Call::Sync | Call::SyncDir),
            Fault::NothingWorks => needs_space || matches!(call, Call::Truncate | Call::Remove),
            Fault::PowerOff => true,
        };
        match plan.fault {
            _ if !fails => Ok(()),
            Fault::NoSpace | Fault::NothingWorks => Err(ErrorKind::StorageFull.into()),
            Fault::SyncError | Fault::PowerOff => Err(io::Error::other("input/output error")),
        }
    }

    /// A file after a power failure: each sector as some prefix of its writes
    /// left it, the size as it was at some time or between two times.
    fn torn(&mut self, file: usize) -> Vec<u8> {
        let Self { files, random, .. } = self;
        let file = &files[file];
        let mut sizes = vec![file.durable.len()];
        for change in &file.changes {
            let last = sizes[sizes.len() - 1];
            sizes.push(match change {
                Change::Write { offset, bytes } => last.max(offset + bytes.len()),
                Change::Truncate { len } => *len,
            });
        }
        let mut size = sizes[random.below(sizes.len())];
        if random.one_in(2) {
            let other = sizes[random.below(sizes.len())];
            size = size.min(other) + random.below(size.abs_diff(other) + 1);
        }
        let mut content = vec![0; size];
        for (index, sector) in content.chunks_mut(SECTOR).enumerate() {
            file.fill_sector(index * SECTOR, sector, random);
        }
        content
    }
}

impl File {
    fn fill_sector(&self, start: usize, sector: &mut [u8], random: &mut Random) {
        copy_overlap(&self.durable, 0, sector, start);
        let touching: Vec<(usize, &[u8])> = self
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Write { offset, bytes } => Some((*offset, bytes.as_slice())),
                Change::Truncate { .. } => None,
            })
            .filter(|(offset, bytes)| {
                *offset < start + sector.len() && offset + bytes.len() > start
            })
            .collect();
        let applied = random.below(touching.len() + 1);
        for (offset, bytes) in &touching[..applied] {
            copy_overlap(bytes, *offset, sector, start);
        }
    }
}

/// Copies the part of `from`, which lies at `from_at`, that falls into `into`.
fn copy_overlap(from: &[u8], from_at: usize, into: &mut [u8], into_at: usize) {
    let start = from_at.max(into_at);
    let end = (from_at + from.len()).min(into_at + into.len());
    if start < end {
        into[start - into_at..end - into_at].copy_from_slice(&from[start - from_at..end - from_at]);
    }
}

impl Storage for SimDisk {
    type File = SimFile;

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let mut inner = self.lock();
        inner.call(Call::Create)?;
        if inner.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let file = inner.files.len();
        inner.files.push(File::default());
        inner.names.insert(path.to_path_buf(), Node::File(file));
        Ok(SimFile(file))
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        match self.lock().names.get(path) {
            Some(Node::File(file)) => Ok(SimFile(*file)),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn append(&self, file: &SimFile, head: &[u8], tail: &[u8]) -> io::Result<usize> {
        let mut inner = self.lock();
        let mut bytes = [head, tail].concat();
        let failure = inner.call(Call::Append).err();
        if failure.is_some() {
            let taken = match inner.random.below(4) {
                0 => 0,
                1 => bytes.len(),
                _ => inner.random.below(bytes.len() + 1),
            };
            bytes.truncate(taken);
        }
        let taken = bytes.len();
        let reports_part = failure.is_some() && taken > 0 && inner.random.one_in(2);
        let file = &mut inner.files[file.0];
        let offset = file.content.len();
        file.content.extend_from_slice(&bytes);
        file.changes.push(Change::Write { offset, bytes });
        match failure {
            Some(error) if !reports_part => Err(error),
            _ => Ok(taken),
        }
    }

    fn read_at(&self, file: &SimFile, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let inner = self.lock();
        let content = &inner.files[file.0].content;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let len = into.len().min(content.len() - start);
        into[..len].copy_from_slice(&content[start..start + len]);
        Ok(len)
    }

    fn len(&self, file: &SimFile) -> io::Result<u64> {
        Ok(self.lock().files[file.0].content.len() as u64)
    }

    fn truncate(&self, file: &SimFile, len: u64) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(Call::Truncate)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let file = &mut inner.files[file.0];
        file.content.truncate(len);
        file.changes.push(Change::Truncate { len });
        Ok(())
    }

    fn sync(&self, file: &SimFile) -> io::Result<()> {
        let mut inner = self.lock();
        inner.syncs += 1;
        inner.call(Call::Sync)?;
        let file = &mut inner.files[file.0];
        file.durable = file.content.clone();
        file.changes.clear();
        drop(inner);
        if let Some(meanwhile) = self.meanwhile().as_ref() {
            meanwhile();
        }
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(Call::CreateDir)?;
        inner
            .names
            .entry(path.to_path_buf())
            .or_insert(Node::Folder);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let inner = self.lock();
        if path != Path::new("") && inner.names.get(path) != Some(&Node::Folder) {
            return Err(ErrorKind::NotFound.into());
        }
        let children = inner.names.iter().filter(|(child, _)| is_in(child, path));
        Ok(children
            .map(|(child, node)| Entry {
                name: child
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                bytes: match node {
                    Node::File(file) => inner.files[*file].content.len() as u64,
                    Node::Folder => 0,
                },
            })
            .collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(Call::Remove)?;
        let removed = inner.names.remove(path);
        removed.map(drop).ok_or(ErrorKind::NotFound.into())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(Call::SyncDir)?;
        inner.durable_names.retain(|child, _| !is_in(child, path));
        let current: Vec<(PathBuf, Node)> = inner
            .names
            .iter()
            .filter(|(child, _)| is_in(child, path))
            .map(|(child, node)| (child.clone(), *node))
            .collect();
        inner.durable_names.extend(current);
        Ok(())
    }
}

fn is_in(path: &Path, folder: &Path) -> bool {
    path != Path::new("") && path.parent() == Some(folder)
}
