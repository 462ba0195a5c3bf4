//! One confined process, from its start to its end.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{OFlags, fcntl_setfl};

use crate::confine::Confinement;
use crate::frame::Channel;
use crate::launch::Launcher;

/// What is kept of the last things a worker wrote to standard error, in bytes.
const LAST_WORDS: usize = 400;

/// A running worker. Dropping it ends the process and removes its folder.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stderr: Option<ChildStderr>,
    /// Where frames go.
    pub(crate) channel: Channel,
    _folder: Folder,
}

impl Process {
    /// Starts `program`, which confines itself and becomes Python; `file` is what it loads.
    pub(crate) fn start(
        launcher: &Launcher,
        program: &Path,
        confinement: &Confinement,
        file: Stdio,
    ) -> io::Result<Self> {
        let folder = Folder::make(&confinement.folder, confinement.user)?;
        let (channel, theirs) = Channel::pair()?;
        let order = serde_json::to_string(confinement).map_err(io::Error::other)?;
        let mut command = Command::new(program);
        command.args(["python-worker", &order]).env_clear();
        command.current_dir(&confinement.folder);
        command.stdin(file).stdout(OwnedFd::from(theirs));
        command.stderr(Stdio::piped());
        let mut child = launcher.spawn(command)?;
        let stderr = child.stderr.take();
        if let Some(stderr) = &stderr {
            fcntl_setfl(stderr, OFlags::NONBLOCK)?;
        }
        Ok(Self {
            child,
            stderr,
            channel,
            _folder: folder,
        })
    }

    /// Whether it ended by itself, or was ended by somebody else.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process and says how it ended, and what it said last.
    pub(crate) fn end(mut self) -> String {
        let status = self.finish();
        let mut words = Vec::new();
        // What is not there any more cannot be read, and need not be.
        if let Some(mut end) = self.stderr.take() {
            let _ = end.read_to_end(&mut words);
        }
        let words = String::from_utf8_lossy(&words);
        let mut last: Vec<char> = words.trim().chars().rev().take(LAST_WORDS).collect();
        last.reverse();
        let last: String = last.into_iter().collect();
        match (status, last.is_empty()) {
            (Some(status), false) => format!("{}: {last}", ending(status)),
            (Some(status), true) => ending(status),
            (None, _) => last,
        }
    }

    /// Gives a process that ends by itself no more time; its status.
    fn finish(&mut self) -> Option<ExitStatus> {
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.finish();
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("ended by signal {signal}"),
        (None, code) => format!("ended with code {}", code.unwrap_or_default()),
    }
}

/// A folder that is removed with what it holds.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make(path: &Path, user: Option<u32>) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(path)?;
        let folder = Self(path.to_owned());
        if let Some(user) = user {
            chown(path, Some(user), Some(user))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the folder of a worker was not removed");
        }
    }
}

/// A model file without a name, so that nothing is left behind however this process ends.
#[derive(Debug)]
pub(crate) struct Nameless(File);

impl Nameless {
    /// Writes the file into `folder`.
    pub(crate) fn with(content: &[u8], folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("plimsoll-model-{}-{number}", std::process::id()));
        // What an earlier process of the same number left, if it was killed right here.
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let written = file.write_all(content).and_then(|()| File::open(&path));
        let _ = fs::remove_file(&path);
        Ok(Self(written?))
    }

    /// The file opened once more, to be read from its start.
    pub(crate) fn open(&self) -> io::Result<Stdio> {
        let again = File::open(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        again.map(Stdio::from)
    }
}
