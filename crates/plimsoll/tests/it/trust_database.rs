//! The database away under load: predictions go on, and everything arrives, once.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_testkit::SqliteLock;
use tempfile::TempDir;

use crate::process::{Installation, Serving};
use crate::trust_load::{
    Ledger, Load, Owner, figure, installation, is_full, number, on_postgres_url,
};

const CLIENTS: usize = 4;
const SPOOL: &str = "plimsoll_log_spool_bytes";

struct Trial {
    owner: Owner,
    ledger: Arc<Ledger>,
    server: Serving,
    load: Load,
    // Last, so that it is removed after the server has gone.
    _installation: Installation,
}

impl Trial {
    async fn start(installation: Installation) -> Self {
        let owner = Owner::new(&installation);
        let server = installation.serve(&[]);
        owner.upload(&server, "iris").await;
        let ledger = Arc::default();
        let load = Load::start(&owner, &server, &ledger, CLIENTS);
        load.answered(100).await;
        Self {
            owner,
            ledger,
            server,
            load,
            _installation: installation,
        }
    }

    /// The outage, during which predictions go on and gather in the journal.
    async fn outlast(&self) {
        let seconds = if is_full() { 30 } else { 3 };
        let before = self.ledger.acknowledged().len();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.load.answered(100).await;
        let answered = self.ledger.acknowledged().len() - before;
        assert!(self.owner.metric(&self.server, SPOOL).await > 0);
        figure(
            "P11",
            &format!("database away {seconds} s: answered={answered} errors=0"),
        );
    }

    /// Everything arrived, and the counts are exact.
    async fn check(self) {
        self.load.end().await;
        self.owner.recorded(&self.server).await;
        let listed = self.owner.listed(&self.server).await;
        assert_eq!(listed.len(), self.ledger.sent());
        self.ledger.check(listed);
        let sent = u64::try_from(self.ledger.sent()).unwrap();
        assert_eq!(self.owner.counted(&self.server).await, (sent, sent));
        self.server.stop();
    }
}

/// F110: neither the log nor the metadata can be written for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_sqlite_is_locked_predictions_go_on_and_arrive_once() {
    let installation = installation();
    let data = installation.path("data");
    let trial = Trial::start(installation).await;
    let log = SqliteLock::hold(&data.join("log.db")).await;
    let metadata = SqliteLock::hold(&data.join("plimsoll.db")).await;
    trial.outlast().await;
    log.release().await;
    metadata.release().await;
    trial.check().await;
}

/// F110, P11: known keys and loaded models need no database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgresql_is_stopped_predictions_go_on_and_arrive_once() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let trial = Trial::start(on_postgres_url(&postgres.url())).await;
    postgres.halt();
    let ready = async || trial.owner.get(&trial.server, "/health/ready").await.0;
    assert_eq!(ready().await, 503);
    trial.outlast().await;
    postgres.resume();
    for _ in 0..1000 {
        if ready().await == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ready().await, 200);
    trial.check().await;
}

/// A PostgreSQL server of one's own, because stopping it must not disturb others.
struct Postgres {
    home: PathBuf,
    directory: TempDir,
}

impl Postgres {
    /// `None` if the tests were told to skip PostgreSQL.
    fn start() -> Option<Self> {
        if number("PLIMSOLL_SKIP_POSTGRES", 0) == 1 {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        // The server is another user than root.
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let home = script(directory.path(), &[]);
        Some(Self {
            home: PathBuf::from(home),
            directory,
        })
    }

    /// Its commits are logged before they are acknowledged: test servers do
    /// not wait as a rule, and would lose them in an immediate stop.
    fn url(&self) -> String {
        format!(
            "postgresql://plimsoll@localhost/postgres?options=-c%20synchronous_commit%3Don&host={}",
            self.home.display()
        )
    }

    /// Stops it at once, as `pg_ctl stop --mode immediate` does.
    fn halt(&self) {
        let pid_file = self.home.join("data/postmaster.pid");
        let content = std::fs::read_to_string(&pid_file).unwrap();
        let pid = content.lines().next().unwrap();
        let sent = Command::new("kill").args(["-QUIT", pid]).status().unwrap();
        assert!(sent.success());
        while pid_file.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again on the same data, as it was started before.
    fn resume(&self) {
        let line = std::fs::read_to_string(self.home.join("data/postmaster.opts")).unwrap();
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
            command.arg("sh");
            command
        } else {
            Command::new("sh")
        };
        let log = std::fs::File::create(self.directory.path().join("log")).unwrap();
        command.args(["-c", &format!("exec setsid {line}")]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        // It ends with the script's --stop; the tests outlive it.
        drop(command.spawn().unwrap());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        script(self.directory.path(), &["--stop"]);
    }
}

/// Runs the script that starts and stops test servers, in a place of its own.
fn script(place: &Path, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/test-postgres.sh");
    let mut command = Command::new(path);
    command.args(arguments).env("TMPDIR", place);
    command.env_remove("NEXTEST_ENV");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}
