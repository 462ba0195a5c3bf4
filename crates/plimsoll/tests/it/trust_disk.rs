//! A full disk: predictions are answered, what is not recorded is counted and
//! said, and recording goes on by itself once there is room.
//!
//! The journal's folder is a small file system of its own, mounted where only
//! the server sees it. That takes root or user namespaces;
//! `PLIMSOLL_SKIP_TMPFS=1` skips these tests.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use crate::process::{Installation, Serving};
use crate::trust_load::{Ledger, Load, Owner, figure, installation, is_full, number};

const CLIENTS: usize = 4;
const DROPPED: &str = "plimsoll_log_dropped_total";

struct Trial {
    installation: Installation,
    owner: Owner,
    ledger: Arc<Ledger>,
    server: Serving,
}

impl Trial {
    /// A server whose journal has a file system of `mebibytes`; `None` to skip.
    async fn start(mebibytes: u32) -> Option<Self> {
        if number("PLIMSOLL_SKIP_TMPFS", 0) == 1 {
            return None;
        }
        let installation = installation();
        let owner = Owner::new(&installation);
        let server = installation.serve(&[]);
        owner.upload(&server, "iris").await;
        server.stop();
        let folder = installation.path("data/journal");
        let script = format!(
            "mount -t tmpfs -o size={mebibytes}m none '{}' && exec \"$@\"",
            folder.display()
        );
        let script: &[&str] = &["/bin/sh", "-c", &script, "sh"];
        let launcher = [unshare(), script].concat();
        let installation = installation
            .with("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .launched_by(&launcher);
        Some(Self {
            server: installation.serve(&[]),
            installation,
            owner,
            ledger: Arc::default(),
        })
    }

    fn load(&self) -> Load {
        Load::start(&self.owner, &self.server, &self.ledger, CLIENTS)
    }

    /// The file that takes the room, as seen from outside.
    fn filler(&self) -> PathBuf {
        let folder = self.installation.path("data/journal");
        let inside = folder.strip_prefix("/").unwrap();
        let root = PathBuf::from(format!("/proc/{}/root", self.server.id()));
        root.join(inside).join("filler")
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .open(self.filler())
            .unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    }

    async fn dropped(&self) -> u64 {
        self.owner.metric(&self.server, DROPPED).await
    }

    async fn journal_health(&self) -> Value {
        let (_, health) = self.owner.get(&self.server, "/health").await;
        health["components"]["journal"].clone()
    }

    /// Everything that was answered is recorded or counted as dropped.
    async fn check(self) -> (usize, u64) {
        self.owner.recorded(&self.server).await;
        let listed = self.owner.listed(&self.server).await;
        let (answered, dropped) = (self.ledger.acknowledged().len(), self.dropped().await);
        assert_eq!(answered, self.ledger.sent());
        let recorded = u64::try_from(listed.len()).unwrap();
        assert_eq!(recorded + dropped, u64::try_from(answered).unwrap());
        let mut known = self.ledger.acknowledged();
        known.sort_unstable();
        let unknown = listed.iter().find(|id| known.binary_search(id).is_err());
        assert_eq!(unknown, None, "nobody was told of it");
        (answered, dropped)
    }
}

/// What makes mounts that only the server sees, as root or as anybody.
fn unshare() -> &'static [&'static str] {
    let ways: [&[&str]; 2] = [&["/usr/bin/unshare", "-m"], &["/usr/bin/unshare", "-rm"]];
    let works = |way: &&&[&str]| {
        let mount = ["mount", "-t", "tmpfs", "none", "/mnt"];
        let tried = Command::new(way[0]).args(&way[1..]).args(mount).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let found = ways.iter().find(works);
    found.expect("needs root or user namespaces; PLIMSOLL_SKIP_TMPFS=1 skips this")
}

/// P7, F110. The database has no part in this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_predictions_go_on_and_recording_resumes_with_room() {
    let Some(trial) = Trial::start(4).await else {
        return;
    };
    let (owner, server) = (&trial.owner, &trial.server);
    let load = trial.load();
    load.answered(100).await;
    assert_eq!(trial.journal_health().await["status"], "healthy");
    // What the ingester frees is taken again, until there is nothing left.
    loop {
        trial.fill();
        let segments = owner.metric(server, "plimsoll_journal_segments").await;
        if segments == 0 && trial.dropped().await > 0 {
            break;
        }
        load.answered(10).await;
    }
    trial.fill();
    let before = trial.dropped().await;
    load.answered(200).await;
    assert!(trial.dropped().await > before);
    let health = trial.journal_health().await;
    assert_eq!(health["status"], "degraded", "{health}");
    let detail = health["detail"].as_str().unwrap();
    assert!(
        detail.contains("disk") && detail.contains("not recorded"),
        "{detail}"
    );

    fs::remove_file(trial.filler()).unwrap();
    let appended = owner
        .metric(server, "plimsoll_journal_appended_total")
        .await;
    let resumed = |now| now > appended;
    owner
        .until(server, "plimsoll_journal_appended_total", resumed)
        .await;
    assert_eq!(trial.journal_health().await["status"], "healthy");
    let before = trial.dropped().await;
    load.answered(100).await;
    assert_eq!(trial.dropped().await, before);
    load.end().await;
    let (answered, dropped) = trial.check().await;
    figure(
        "P7",
        &format!("full disk: answered={answered} dropped={dropped} errors=0"),
    );
}

/// P7: a journal that fills its own disk frees it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_fills_its_own_disk_goes_on_by_itself() {
    let Some(trial) = Trial::start(if is_full() { 64 } else { 1 }).await else {
        return;
    };
    let load = trial.load();
    while trial.dropped().await == 0 {
        load.answered(100).await;
    }
    let appended = "plimsoll_journal_appended_total";
    let before = trial.owner.metric(&trial.server, appended).await;
    let resumed = |now| now > before + 100;
    trial.owner.until(&trial.server, appended, resumed).await;
    load.end().await;
    let (answered, dropped) = trial.check().await;
    figure(
        "P7",
        &format!("own disk filled: answered={answered} dropped={dropped} errors=0"),
    );
}
