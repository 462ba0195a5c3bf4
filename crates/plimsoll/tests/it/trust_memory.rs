//! Memory comes back: models are loaded and let go of, again and again.
//!
//! `PLIMSOLL_TRUST_FULL=1` makes it 1,000 rounds; `PLIMSOLL_TRUST_BINARY` names
//! a release build to measure.

use plimsoll_testkit::fixture;

use crate::process::Serving;
use crate::trust_load::{Owner, figure, installation, is_full};

/// Models of several sizes and families; the last is as large as its file is made.
const MODELS: [&str; 4] = [
    "sklearn/1.5.2/cancer_forest.joblib",
    "sklearn/1.5.2/iris_logistic.joblib",
    "sklearn/1.5.2/diabetes_forest.joblib",
    "parity/xgboost/3.2.0/000_multi_json.json",
];
/// Bytes of the last model's file, which is filled up with space.
const LARGE: usize = 3 << 20;
/// Rounds until everything that grows once has grown.
const FIRST: usize = 300;
/// How much of the memory after the first rounds may be added by all others.
const GROWTH: f64 = 0.02;
/// How often memory may be looked at anew. For a thread that is new to it the
/// allocator adds a block, once; what is not given back is added each time.
const LOOKS: usize = 3;

/// Resident memory of a server, in bytes (proc(5), `VmRSS`).
fn resident(server: &Serving) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<f64>().unwrap() * 1024.0
}

/// Loads and lets go of each model so many times; the least memory seen in the last ten rounds.
async fn rounds(owner: &Owner, server: &Serving, count: usize) -> f64 {
    let mut least = f64::MAX;
    for round in 0..count {
        for model in 0..MODELS.len() {
            let path = format!("{}/api/v1/models/m{model}/versions/1/load", server.url());
            let load = owner.http().post(&path).bearer_auth(&owner.admin).send();
            let loaded = load.await.unwrap();
            assert_eq!(loaded.status(), 200, "{}", loaded.text().await.unwrap());
            let unload = owner.http().delete(&path).bearer_auth(&owner.admin).send();
            assert_eq!(unload.await.unwrap().status(), 204);
        }
        if round + 10 >= count {
            least = least.min(resident(server));
        }
    }
    least
}

/// F099: exact release.
#[tokio::test]
async fn memory_of_models_comes_back_when_they_are_let_go_of() {
    let count = if is_full() { 1_000 } else { 100 };
    let installation = installation();
    let owner = Owner::new(&installation);
    let server = installation.serve(&[]);
    for (index, model) in MODELS.iter().enumerate() {
        let mut content = fixture(model);
        if index + 1 == MODELS.len() {
            content.resize(LARGE, b' ');
        }
        owner
            .upload_file(&server, &format!("m{index}"), content)
            .await;
    }
    let mut before = rounds(&owner, &server, FIRST).await;
    let mut growths = Vec::new();
    while growths.len() < LOOKS && growths.last().is_none_or(|growth| *growth >= GROWTH) {
        let after = rounds(&owner, &server, count).await;
        growths.push((after - before) / before);
        before = after;
    }
    let percent: Vec<_> = growths
        .iter()
        .map(|growth| format!("{:+.2} %", growth * 100.0))
        .collect();
    figure(
        "memory of models comes back",
        &format!(
            "{count} × {} loads: {} to {:.1} MiB",
            MODELS.len(),
            percent.join(", "),
            before / f64::from(1 << 20),
        ),
    );
    assert!(growths.iter().any(|growth| *growth < GROWTH), "{percent:?}");
    assert_eq!(owner.metric(&server, "plimsoll_loaded_models ").await, 0);
    server.stop();
}
