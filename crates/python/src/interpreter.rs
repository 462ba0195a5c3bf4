//! The configured Python: what it is, what it may read, what confines it here.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plimsoll_core::time::{Clock, Monotonic};
use plimsoll_engine::ForeignKind;
use rustix::process::geteuid;
use serde::Deserialize;

use crate::PythonOptions;
use crate::confine::{Confinement, FIRST_USER, is_open_to_others};
use crate::frame::{Broken, Most};
use crate::message::{Said, said};
use crate::process::Process;
use crate::worker::Shop;

/// Asks Python where it and its libraries are, and whether it can talk to us.
const QUESTIONS: &str = "
import importlib.util, json, os, sys
paths = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path]
print(json.dumps({
    'roots': sorted({os.path.realpath(path) for path in paths if path and os.path.exists(path)}),
    'has_numpy': importlib.util.find_spec('numpy') is not None,
}))
";
/// Longest time Python may take to answer, and to start confined.
const PATIENCE: Duration = Duration::from_secs(20);
/// Everything that confines a worker where the machine permits.
const GUARDS: [(&str, &str); 4] = [
    ("network", "no network"),
    ("files", "no other files"),
    ("system-calls", "no other processes"),
    ("user", "a user of its own"),
];

/// A Python that works.
#[derive(Debug)]
pub(crate) struct Interpreter {
    version: String,
    roots: Vec<PathBuf>,
    guards: Vec<String>,
    /// Whether workers become other users.
    own_user: bool,
}

#[derive(Deserialize)]
struct Answers {
    roots: Vec<PathBuf>,
    has_numpy: bool,
}

impl Interpreter {
    /// Asks the interpreter, and starts it confined once. The error is a sentence for the operator.
    pub(crate) fn examine(shop: &Shop) -> Result<Self, String> {
        let options = &shop.options;
        let answers = ask(shop)?;
        if let Some(root) = around(&answers.roots, &options.data_dir) {
            let root = root.display();
            return Err(format!(
                "the data directory lies inside {root}, which workers may read; move one of them"
            ));
        }
        if !answers.has_numpy {
            let python = options.python.display();
            return Err(format!(
                "it has no numpy; {python} -m pip install numpy adds it"
            ));
        }
        let own_user = geteuid().is_root() && is_open_to_others(&options.python, &answers.roots);
        let mut interpreter = Self {
            version: String::new(),
            roots: answers.roots,
            guards: Vec::new(),
            own_user,
        };
        interpreter.try_confined(shop)?;
        Ok(interpreter)
    }

    /// How a worker for a file of this kind is confined.
    pub(crate) fn confinement(&self, options: &PythonOptions, kind: ForeignKind) -> Confinement {
        self.confined(options, kind.word(), kind.needs_folder())
    }

    /// Version and what confines workers, for people.
    pub(crate) fn described(&self) -> String {
        let has = |guard: &str| self.guards.iter().any(|known| known == guard);
        let words = |wanted: bool| {
            let guards = GUARDS.iter().filter(|(guard, _)| has(guard) == wanted);
            guards
                .map(|(_, words)| *words)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (held, missing) = (words(true), words(false));
        let version = &self.version;
        match (held.is_empty(), missing.is_empty()) {
            (_, true) => format!("Python {version}; workers have {held}"),
            (true, false) => {
                format!("Python {version}; workers are not confined: no guard works here")
            }
            (false, false) => {
                format!("Python {version}; workers have {held}; not possible here: {missing}")
            }
        }
    }

    fn confined(&self, options: &PythonOptions, kind: &str, may_write: bool) -> Confinement {
        Confinement {
            python: options.python.clone(),
            kind: kind.to_owned(),
            roots: self.roots.clone(),
            folder: PathBuf::new(),
            may_write,
            memory: options.memory,
            user: self.own_user.then_some(FIRST_USER),
        }
    }

    /// A worker that loads nothing tells what confines it.
    fn try_confined(&mut self, shop: &Shop) -> Result<(), String> {
        const MOST: Most = Most {
            head: 4096,
            body: 0,
        };
        let confinement = self.confined(&shop.options, "nothing", false);
        let confinement = confinement.of_one_process(&shop.options.work_dir);
        let program = &shop.options.program;
        let process = Process::start(&shop.launcher, program, &confinement, Stdio::null());
        let process = process.map_err(|error| format!("it cannot be started: {error}"))?;
        let deadline = shop.clock.monotonic().plus(PATIENCE);
        let patience = || in_time(shop, deadline).then_some(()).ok_or(Broken::Slow);
        let hello = process.channel.receive(MOST, &patience);
        match hello.and_then(|frame| said(&frame)) {
            Ok(Said::Hello { python, guards }) => {
                (self.version, self.guards) = (python, guards);
                Ok(())
            }
            Ok(_) => Err("it does not begin as a worker does".to_owned()),
            Err(broken) => Err(format!(
                "it does not start confined: {broken}; {}",
                process.end()
            )),
        }
    }
}

/// What Python says of itself, outside any confinement: nothing foreign is loaded yet.
fn ask(shop: &Shop) -> Result<Answers, String> {
    let python = &shop.options.python;
    let mut command = Command::new(python);
    command.args(["-I", "-B", "-c", QUESTIONS]).env_clear();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let child = shop.launcher.spawn(command);
    let mut child =
        child.map_err(|error| format!("{} cannot be run: {error}", python.display()))?;
    let deadline = shop.clock.monotonic().plus(PATIENCE);
    if !ended(&mut child, || in_time(shop, deadline)) {
        return Err(format!("{} does not answer", python.display()));
    }
    let mut text = String::new();
    let read = child
        .stdout
        .take()
        .map(|mut out| out.read_to_string(&mut text));
    let answers = read
        .and_then(Result::ok)
        .and_then(|_| serde_json::from_str(&text).ok());
    answers.ok_or_else(|| format!("{} is not a Python 3", python.display()))
}

fn in_time(shop: &Shop, deadline: Monotonic) -> bool {
    shop.clock.monotonic() < deadline
}

/// Waits for a process to end; ends it if that takes too long.
fn ended(child: &mut Child, go_on: impl Fn() -> bool) -> bool {
    const LOOK: Duration = Duration::from_millis(5);
    while go_on() {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return true;
        }
        std::thread::park_timeout(LOOK);
    }
    let _ = child.kill().and_then(|()| child.wait());
    false
}

/// The root that `folder` lies in, if there is one.
fn around<'r>(roots: &'r [PathBuf], folder: &Path) -> Option<&'r PathBuf> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    roots.iter().find(|root| folder.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(guards: &[&str]) -> Interpreter {
        Interpreter {
            version: "3.13.0".into(),
            roots: Vec::new(),
            guards: guards.iter().map(|&guard| guard.to_owned()).collect(),
            own_user: false,
        }
    }

    #[test]
    fn what_does_not_confine_is_said() {
        let all = interpreter(&["network", "files", "system-calls", "user"]);
        assert!(!all.described().contains("not possible"));
        let some = interpreter(&["files"]).described();
        assert!(
            some.contains("workers have no other files; not possible here: no network"),
            "{some}"
        );
        assert!(interpreter(&[]).described().contains("not confined"));
    }

    #[test]
    fn a_data_directory_inside_python_is_noticed() {
        let roots = [PathBuf::from("/opt/app"), PathBuf::from("/usr")];
        assert_eq!(around(&roots, Path::new("/opt/app/data")), Some(&roots[0]));
        assert_eq!(around(&roots, Path::new("/opt/apples")), None);
    }
}
