//! What `doctor` and `health` say about the journal.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use plimsoll_testkit::SqliteLock;
use serde_json::Value;

use crate::process::Installation;
use crate::trust_load::{Ledger, Load, Owner};

const CHECKS: [&str; 6] = [
    "log durability",
    "journal space",
    "journal spool",
    "journal starts",
    "log lag",
    "journal segments",
];

fn check(report: &Value, name: &str) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap();
    let text = |member: &str| check[member].as_str().unwrap().to_owned();
    (text("status"), text("detail"))
}

/// An installation whose server was killed while its log could not be written,
/// and so with predictions that are in the journal alone.
async fn with_a_full_journal() -> (Installation, SqliteLock) {
    let installation = Installation::new();
    let owner = Owner::new(&installation);
    let server = installation.serve(&[]);
    owner.upload(&server, "iris").await;
    let lock = SqliteLock::hold(&installation.path("data/log.db")).await;
    let ledger = Arc::<Ledger>::default();
    let load = Load::start(&owner, &server, &ledger, 2);
    load.answered(50).await;
    drop(server);
    load.end().await;
    (installation, lock)
}

fn segment(installation: &Installation) -> PathBuf {
    let boots = fs::read_dir(installation.path("data/journal")).unwrap();
    let boot = boots.map(|entry| entry.unwrap().path()).max().unwrap();
    let mut segments = fs::read_dir(boot).unwrap();
    segments.next().unwrap().unwrap().path()
}

/// Nothing here depends on the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_tells_what_waits_in_the_journal_and_finds_damage_in_it() {
    let (installation, lock) = with_a_full_journal().await;
    let doctor = |code: i32| installation.run(&["doctor", "--json"]).code(code).json();
    let report = doctor(0);
    assert_eq!(check(&report, "journal segments").0, "ok");
    let (status, detail) = check(&report, "journal spool");
    assert_eq!(status, "ok");
    let waiting: u64 = detail.split(' ').next().unwrap().parse().unwrap();
    assert!(waiting >= 5, "{detail}");
    assert!(check(&report, "log lag").1.ends_with(" s"));

    // One bit in the first half, with whole records after it.
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(segment(&installation));
    let file = file.unwrap();
    let (middle, mut byte) = (file.metadata().unwrap().len() / 2, [0]);
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    let (status, detail) = check(&doctor(1), "journal segments");
    assert_eq!(status, "fail");
    assert!(detail.contains("damaged"), "{detail}");
    lock.release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_at_rest_has_nothing_to_mend() {
    let installation = Installation::new();
    let owner = Owner::new(&installation);
    let server = installation.serve(&[]);
    owner.upload(&server, "iris").await;
    server.stop();
    let report = installation.run(&["doctor", "--json"]).code(0).json();
    for name in CHECKS {
        assert_eq!(check(&report, name).0, "ok", "{name}: {report}");
    }
    let off = ["doctor", "--json", "--set", "log.durability=off"];
    let report = installation.run(&off).code(0).json();
    assert_eq!(check(&report, "log durability").0, "warn");
    let spool = ["doctor", "--json", "--set", "log.max_spool=1000000GiB"];
    let report = installation.run(&spool).code(0).json();
    assert_eq!(check(&report, "journal space").0, "warn");
    for boot in ["01JD3T9Q2G0000000000000001", "01JD3T9Q2G0000000000000002"] {
        fs::create_dir(installation.path("data/journal").join(boot)).unwrap();
    }
    fs::create_dir(installation.path("data/journal/01JD3T9Q2G0000000000000003")).unwrap();
    let report = installation.run(&["doctor", "--json"]).code(0).json();
    assert_eq!(check(&report, "journal starts").0, "warn");
    // The next start removes what is empty.
    let server = installation.serve(&[]);
    owner
        .until(&server, "plimsoll_journal_leftovers", |left| left == 0)
        .await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_shows_the_journal_and_says_when_the_log_cannot_be_written() {
    let installation = Installation::new();
    let owner = Owner::new(&installation);
    let server = installation.serve(&[]);
    owner.upload(&server, "iris").await;
    let health = |json: bool| {
        let mut arguments = vec!["health", "--url", server.url()];
        arguments.extend(json.then_some("--json"));
        installation.run(&arguments).code(0)
    };
    let shown = health(true).json();
    assert_eq!(
        shown["health"]["components"]["journal"]["status"],
        "healthy"
    );
    let text = health(false).stdout;
    assert!(
        text.lines()
            .any(|line| line.trim().starts_with("journal") && line.ends_with("healthy"))
    );

    let lock = SqliteLock::hold(&installation.path("data/log.db")).await;
    let ledger = Arc::<Ledger>::default();
    let load = Load::start(&owner, &server, &ledger, 1);
    load.answered(10).await;
    load.end().await;
    let refused = "plimsoll_log_refused_batches_total";
    owner.until(&server, refused, |count| count > 0).await;
    let journal = health(true).json()["health"]["components"]["journal"].clone();
    assert_eq!(journal["status"], "degraded", "{journal}");
    assert!(
        journal["detail"]
            .as_str()
            .unwrap()
            .contains("cannot be written")
    );
    lock.release().await;
    owner.recorded(&server).await;
    let shown = health(true).json();
    assert_eq!(
        shown["health"]["components"]["journal"]["status"],
        "healthy"
    );
    server.stop();
}
