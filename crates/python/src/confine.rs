//! What a worker gives up before it becomes Python: rights, files, network, memory.
//!
//! This runs in the worker's own process, which is the program itself under the
//! hidden command `python-worker`, so that nothing of it needs unsafe code
//! between fork and exec. See docs/adr/0006.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, unshare};
use rustix::process::{
    Gid, Resource, Rlimit, Signal, Uid, getgid, getuid, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::system_calls;

/// The program that loads a model and answers, in Python.
const SCRIPT: &str = include_str!("worker.py");
/// Threads and processes of a worker together.
const TASKS: u64 = 64;
/// Files a worker may have open.
const OPEN_FILES: u64 = 256;
/// Largest file in the worker's folder, if it may write there at all.
const LARGEST_FILE: u64 = 1 << 30;
/// The first of the users that workers become, and how many there are: those
/// that systemd gives to services that need none (systemd.io/UIDS-GIDS).
pub(crate) const FIRST_USER: u32 = 61_184;
const USERS: u32 = 4_096;
/// Nobody, inside a user namespace: an id without rights, whoever runs the server.
const NOBODY: u32 = 65_534;

/// What a worker's process is told when it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confinement {
    /// The interpreter.
    pub(crate) python: PathBuf,
    /// What is loaded: a word that `worker.py` knows.
    pub(crate) kind: String,
    /// Folders it may read.
    pub(crate) roots: Vec<PathBuf>,
    /// Its own folder.
    pub(crate) folder: PathBuf,
    /// Whether it may write there.
    pub(crate) may_write: bool,
    /// Most address space, in bytes.
    pub(crate) memory: u64,
    /// The user it becomes, if the server is root and Python is open to others.
    pub(crate) user: Option<u32>,
}

impl Confinement {
    /// The same with a folder and, where users change, a user that no other worker has.
    pub(crate) fn of_one_process(&self, work_dir: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::process::id();
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = work_dir.join(format!("plimsoll-python-{server}-{number}"));
            if !folder.exists() {
                let user = FIRST_USER + server.wrapping_add(number) % USERS;
                return Self {
                    folder,
                    user: self.user.map(|_| user),
                    ..self.clone()
                };
            }
        }
    }

    /// Gives everything up and becomes Python. Returns only if that fails.
    ///
    /// Standard input is the model file, standard output the socket of frames.
    pub fn become_python(&self) -> io::Error {
        match self.confined() {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// The order matters: namespaces and users need rights that later steps
    /// take away, and the kernel forgets the death signal when the user changes.
    fn confined(&self) -> io::Result<Infallible> {
        let mut guards = Vec::new();
        if self.leave_the_network() {
            guards.push("network");
        }
        if let Some(user) = self.user {
            become_user(user)?;
            guards.push("user");
        }
        set_parent_process_death_signal(Some(Signal::KILL))?;
        self.limit()?;
        // The kernel ends workers before the server if memory runs out.
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        let writable = self.may_write.then_some(self.folder.as_path());
        if files::allow_only(&self.roots, &self.folder, writable) {
            guards.push("files");
        }
        if system_calls::forbid() {
            guards.push("system-calls");
        }
        Err(self.python(&guards.join(",")).exec())
    }

    /// A network of its own, without any interface, and a namespace of users
    /// unless the server is root and can do without.
    fn leave_the_network(&self) -> bool {
        let (user, group) = (getuid(), getgid());
        let apart = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
        if self.user.is_some() {
            return unshare(apart).is_ok();
        }
        unshare(apart | CloneFlags::CLONE_NEWUSER).is_ok()
            && map("uid_map", user.as_raw()).is_ok()
            && fs::write("/proc/self/setgroups", "deny").is_ok()
            && map("gid_map", group.as_raw()).is_ok()
    }

    fn limit(&self) -> io::Result<()> {
        let file = if self.may_write { LARGEST_FILE } else { 0 };
        for (resource, most) in [
            (Resource::As, self.memory),
            (Resource::Core, 0),
            (Resource::Nproc, TASKS),
            (Resource::Nofile, OPEN_FILES),
            (Resource::Fsize, file),
        ] {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most),
            };
            setrlimit(resource, limit)?;
        }
        Ok(())
    }

    fn python(&self, guards: &str) -> Command {
        const ONE: [&str; 7] = [
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "LOKY_MAX_CPU_COUNT",
            "TF_NUM_INTRAOP_THREADS",
            "TF_NUM_INTEROP_THREADS",
        ];
        let mut command = Command::new(&self.python);
        // Isolated: no folder of the user, no variable and no current folder adds modules.
        command.args(["-I", "-B", "-c", SCRIPT, &self.kind]);
        command.env_clear().envs(ONE.map(|name| (name, "1")));
        let folder = OsString::from(&self.folder);
        for (name, value) in [("HOME", &folder), ("TMPDIR", &folder)] {
            command.env(name, value);
        }
        command.envs([
            ("LANG", "C.UTF-8"),
            ("PATH", "/usr/bin:/bin"),
            ("JOBLIB_MULTIPROCESSING", "0"),
            ("CUDA_VISIBLE_DEVICES", ""),
            ("TF_CPP_MIN_LOG_LEVEL", "3"),
            ("PLIMSOLL_GUARDS", guards),
        ]);
        command
    }
}

/// Whether every user of the machine may run `python` and read below `roots`.
pub(crate) fn is_open_to_others(python: &Path, roots: &[PathBuf]) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const SEARCH: u32 = 0o001;
    let may_search = |path: &Path| {
        let metadata = fs::metadata(path);
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & SEARCH != 0)
    };
    let mut places = roots.iter().map(PathBuf::as_path).chain([python]);
    places.all(|place| {
        let existing = place.ancestors().filter(|path| path.exists());
        existing.filter(|path| !path.is_file()).all(may_search)
    })
}

/// Makes this user or group [`NOBODY`] in the new namespace.
fn map(file: &str, id: u32) -> io::Result<()> {
    fs::write(format!("/proc/self/{file}"), format!("{NOBODY} {id} 1"))
}

fn become_user(id: u32) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    Ok(set_thread_res_uid(user, user, user)?)
}
