//! The real binary as a child process, in an installation of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A data directory and an environment of its own.
pub(crate) struct Installation {
    directory: TempDir,
    variables: Vec<(String, String)>,
    /// The program, and before it whatever starts it.
    program: Vec<String>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running server; ended when dropped.
pub(crate) struct Serving {
    child: Child,
    /// What it printed when it was ready.
    pub(crate) announced: Value,
    log: Option<JoinHandle<String>>,
}

impl Installation {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            program: vec![env!("CARGO_BIN_EXE_plimsoll").to_owned()],
        }
    }

    /// The same installation, run by another build of the program.
    pub(crate) fn run_by(mut self, program: String) -> Self {
        self.program = vec![program];
        self
    }

    /// The same installation, its servers started by `launcher`, which gets the
    /// program and its arguments as its last arguments.
    pub(crate) fn launched_by(mut self, launcher: &[&str]) -> Self {
        let launcher = launcher.iter().map(|&part| part.to_owned());
        self.program = launcher.chain(self.program).collect();
        self
    }

    /// The same installation with one more variable.
    pub(crate) fn with(mut self, name: &str, text: &str) -> Self {
        self.variables.push((name.to_owned(), text.to_owned()));
        self
    }

    /// The folder around the data directory, for files of the test.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "")
    }

    /// Runs a command to its end with this text on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that needs no input may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a server on a free port and waits until it is ready.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serving {
        let mut all = vec!["serve", "--json"];
        if !arguments.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        all.extend(arguments);
        let mut child = self.command(&all).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut stderr = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut stderr)
                .unwrap();
            child.wait().unwrap();
            unreachable!("the server did not start: {stderr}");
        }
        // Read all the time: a full pipe would stop the server.
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Serving {
            child,
            announced: serde_json::from_str(&line).unwrap(),
            log: Some(log),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program[0]);
        command
            .args(&self.program[1..])
            .args(arguments)
            // Variables of whoever runs the tests must not reach the program.
            .env_clear()
            .env("PLIMSOLL_DATA_DIR", self.path("data"))
            .envs(self.variables.iter().cloned())
            .current_dir(self.directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Ran {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, expected, "{self:#?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl Serving {
    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        self.announced["url"].as_str().unwrap()
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, `TERM` for instance.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        for _ in 0..2000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        unreachable!("the server did not end")
    }

    /// Stops the server in order and gives everything it logged.
    pub(crate) fn stop(mut self) -> String {
        self.signal("TERM");
        assert_eq!(self.wait().code(), Some(0));
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
