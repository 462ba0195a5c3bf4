//! Models in confined Python processes, and everything that can go wrong with them.
//!
//! They need the interpreter that `scripts/setup.sh test` makes, with scikit-learn.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use plimsoll_python::PythonOptions;
use plimsoll_testkit::{Backend, Client, Options, Reply, TestServer, fixture, fixture_path};
use serde_json::{Value, json};

use crate::process::Installation;

const MODELS: &str = include_str!("models.py");
const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];
/// Does what its first input says, and otherwise doubles it.
const TRICKS: &str = "
import os, sys
class Model:
    n_features_in_ = 1
    def predict(self, rows):
        wish = rows[0, 0]
        if wish == 1:
            while True: pass
        if wish == 2:
            return [bytearray(1 << 30) for _ in range(64)]
        if wish == 3:
            os.kill(os.getpid(), 9)
        if wish == 4:
            for descriptor in range(3, 16):
                try: os.write(descriptor, b'garbage ' * 9)
                except OSError: pass
        if wish == 5:
            raise ValueError('five is right out')
        if wish == 6:
            raise RuntimeError('a secret of the model')
        if wish == 7:
            return rows[:, 0] * 0 + os.getpid()
        return rows[:, 0] * 2
";
const HANG: f64 = 1.0;
const EAT_MEMORY: f64 = 2.0;
const DIE: f64 = 3.0;
const SEND_GARBAGE: f64 = 4.0;
const REFUSE: f64 = 5.0;
const RAISE: f64 = 6.0;
const TELL_PROCESS: f64 = 7.0;

#[expect(
    clippy::disallowed_methods,
    reason = "where tools are is a matter of the machine, not of a test"
)]
fn python() -> PathBuf {
    let usual = || fixture_path("../target/worker-venv/bin/python");
    let python = std::env::var("PLIMSOLL_TEST_PYTHON").map_or_else(|_| usual(), PathBuf::from);
    assert!(
        python.exists(),
        "this test needs a Python with scikit-learn: run scripts/setup.sh test, or name one in \
         PLIMSOLL_TEST_PYTHON"
    );
    python
}

fn options(timeout: Duration) -> Options {
    let python = PythonOptions {
        python: python(),
        program: env!("CARGO_BIN_EXE_plimsoll").into(),
        work_dir: PathBuf::new(),
        data_dir: PathBuf::new(),
        memory: 4 << 30,
        timeout,
    };
    // A worker takes more memory than the small models of other tests.
    Options::new()
        .python(python)
        .settings(|settings| settings.cache.max_bytes = 2 << 30)
}

async fn server() -> TestServer {
    let options = options(Duration::from_mins(1));
    options.start(Backend::Sqlite).await.unwrap()
}

/// What `models.py` writes.
fn written(wanted: &str, input: &str) -> Vec<u8> {
    let mut child = Command::new(python())
        .args(["-c", MODELS, wanted])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{wanted}");
    output.stdout
}

/// A server with the model `tricks`, and its owner.
async fn with_tricks() -> (TestServer, Client) {
    let s = server().await;
    let ann = s.admin().await;
    ann.upload("tricks", written("code", TRICKS))
        .await
        .status(201);
    (s, ann)
}

async fn ask(client: &Client, wish: f64) -> Reply {
    client.predict("tricks", json!([[wish]])).await
}

async fn assert_doubles(client: &Client) {
    let answer = ask(client, 21.0).await.status(200).json();
    assert_eq!(answer["predictions"], json!([42.0]));
}

/// The worker's process, by its own account.
async fn process_of(client: &Client) -> String {
    let answer = ask(client, TELL_PROCESS).await.status(200).json();
    format!("{:.0}", answer["predictions"][0].as_f64().unwrap())
}

fn is_alive(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_without_a_python_answers_as_its_library_with_one() {
    let file = written("kernel", "");
    let refusing = TestServer::start(Backend::Sqlite).await;
    let bob = refusing.user("bob").await;
    let refused = bob.upload("kernel", file.clone()).await.status(422).json();
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("engine.python"),
        "{refused}"
    );

    let s = server().await;
    let ann = s.user("ann").await;
    let added = ann.upload("kernel", file).await.status(201).json();
    let version = &added["version"];
    assert_eq!(
        (&version["engine"], &version["format"]),
        (&json!("python"), &json!("python-pickle"))
    );
    assert_eq!(
        version["classes"],
        json!(["setosa", "versicolor", "virginica"])
    );
    let rows = json!([FLOWER, [6.2, 2.9, 4.3, 1.3], [7.7, 3.8, 6.7, 2.2]]);
    let expected: Value = serde_json::from_slice(&written("answers", &rows.to_string())).unwrap();
    let body = json!({"inputs": rows, "include_probabilities": true});
    let path = "/api/v1/models/kernel/predict";
    let answer = ann.post(path).json(&body).await.status(200).json();
    assert_eq!(answer["predictions"], expected["predictions"]);
    for (row, expected) in
        [(&answer, &expected)].map(|(a, e)| (&a["probabilities"], &e["probabilities"]))
    {
        for (got, wanted) in row
            .as_array()
            .unwrap()
            .iter()
            .zip(expected.as_array().unwrap())
        {
            for (got, wanted) in got
                .as_array()
                .unwrap()
                .iter()
                .zip(wanted.as_array().unwrap())
            {
                let difference = (got.as_f64().unwrap() - wanted.as_f64().unwrap()).abs();
                assert!(difference < 1e-12, "{got} instead of {wanted}");
            }
        }
    }
    let health = s.anonymous().get("/health").await.status(200).json();
    let part = &health["components"]["python"];
    assert_eq!(part["status"], "healthy");
    assert!(part["detail"].as_str().unwrap().contains("1 run"), "{part}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_is_started_again_and_one_that_is_not_needed_ends() {
    let (s, ann) = with_tricks().await;
    let first = process_of(&ann).await;
    assert!(
        Command::new("kill")
            .args(["-9", &first])
            .status()
            .unwrap()
            .success()
    );
    let second = process_of(&ann).await;
    assert_ne!(first, second);
    assert_eq!(s.metric("plimsoll_python_restarts_total").await, 1);
    assert_eq!(s.metric("plimsoll_python_workers").await, 1);
    ann.delete("/api/v1/models/tricks/versions/1/load")
        .await
        .status(204);
    assert!(!is_alive(&first) && !is_alive(&second));
    assert_eq!(s.metric("plimsoll_python_workers").await, 0);
    let third = process_of(&ann).await;
    drop(s);
    assert!(!is_alive(&third), "a worker outlives its server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_hangs_is_cut_off_and_keeps_nobody_else_waiting() {
    let (s, ann) = with_tricks().await;
    s.expect_errors();
    ann.upload("iris", fixture(IRIS)).await.status(201);
    let hanging = process_of(&ann).await;
    let request = ann
        .post("/api/v1/models/tricks/predict")
        .header("X-Request-Timeout-Ms", "200");
    let body = json!({"inputs": [[HANG]]});
    let others = async {
        for _ in 0..20 {
            ann.predict("iris", json!([FLOWER])).await.status(200);
        }
    };
    let (cut, ()) = tokio::join!(request.json(&body), others);
    cut.status(504).problem("timeout");
    // The next one waits until the worker was given up and started again.
    assert_doubles(&ann).await;
    assert!(!is_alive(&hanging));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_fails_harms_only_its_own_request() {
    let (s, ann) = with_tricks().await;
    s.expect_errors();
    for wish in [RAISE, EAT_MEMORY, SEND_GARBAGE, DIE] {
        let failed = ask(&ann, wish)
            .await
            .status(500)
            .problem("prediction-failed");
        assert!(!failed.to_string().contains("secret"), "{failed}");
        // Two of these end the worker in a row; the second time there is a pause.
        s.advance(Duration::from_secs(1));
        assert_doubles(&ann).await;
    }
    let refused = ask(&ann, REFUSE)
        .await
        .status(422)
        .problem("invalid-request");
    assert!(
        refused.to_string().contains("five is right out"),
        "{refused}"
    );
    assert_doubles(&ann).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_fails_again_and_again_rests_and_comes_back() {
    let (s, ann) = with_tricks().await;
    s.expect_errors();
    ann.upload("iris", fixture(IRIS)).await.status(201);
    for _ in 0..5 {
        ask(&ann, DIE)
            .await
            .status(500)
            .problem("prediction-failed");
        let resting = ask(&ann, 1.5).await;
        if resting.json()["code"] == "model-resting" {
            s.advance(Duration::from_secs(5));
        }
    }
    s.advance(Duration::from_secs(10));
    let resting = ask(&ann, 1.5).await.status(503);
    assert_eq!(resting.problem("model-resting")["retry_after"], 15);
    assert_eq!(resting.header("retry-after"), "15");
    ann.predict("iris", json!([FLOWER])).await.status(200);
    s.advance(Duration::from_secs(15));
    assert_doubles(&ann).await;
}

/// Tries to get out; each row is one way, and 1 says that it led somewhere.
fn spy(data: &Path, port: u16) -> String {
    let data = data.to_string_lossy();
    format!(
        "
import os, socket, subprocess
def reads(path): return bool(open(path, 'rb').read(1))
def lists(path): return bool(os.listdir(path))
def connects(): return bool(socket.create_connection(('127.0.0.1', {port}), 5))
def writes(path): return bool(open(path, 'wb').write(b'x'))
WAYS = [
    lambda: reads('/proc/self/status'),
    lambda: lists({data:?}),
    lambda: reads(os.path.join({data:?}, 'plimsoll.db')),
    connects,
    lambda: socket.socket(socket.AF_UNIX) is not None,
    lambda: subprocess.run(['/bin/true']).returncode == 0,
    lambda: os.fork() >= 0,
    lambda: os.kill(os.getppid(), 0) is None,
    lambda: reads('/proc/%d/cmdline' % os.getppid()),
    lambda: writes('/tmp/plimsoll-spy'),
    lambda: writes('here'),
    lambda: reads('/etc/shadow'),
    lambda: any(not os.readlink('/proc/self/fd/%s' % fd).startswith(('/dev/null', 'socket:', '/proc'))
                for fd in os.listdir('/proc/self/fd') if os.path.lexists('/proc/self/fd/%s' % fd)),
    lambda: any('PLIMSOLL' in name and name != 'PLIMSOLL_GUARDS' for name in os.environ),
]
def led(way):
    try: return float(WAYS[way]())
    except Exception: return 0.0
class Model:
    n_features_in_ = 1
    def predict(self, rows): return [led(int(way)) for way in rows[:, 0]]
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_code_reaches_neither_network_nor_files_nor_processes() {
    let s = server().await;
    let ann = s.user("ann").await;
    let code = spy(s.directory(), s.address().port());
    ann.upload("spy", written("code", &code)).await.status(201);
    let ways: Vec<[f64; 1]> = (0..14).map(|way| [f64::from(way)]).collect();
    let answer = ann.predict("spy", json!(ways)).await.status(200).json();
    let mut expected = vec![0.0; 14];
    // The first is allowed, so that the zeros mean something.
    expected[0] = 1.0;
    assert_eq!(answer["predictions"], json!(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_loaded_is_refused_with_the_reason() {
    let s = options(Duration::from_secs(4))
        .start(Backend::Sqlite)
        .await
        .unwrap();
    let ann = s.user("ann").await;
    let missing = ann
        .upload("m", written("code", "import nowhere_to_be_found"))
        .await;
    let missing = missing.status(501).problem("engine-unavailable");
    assert!(
        missing["detail"]
            .as_str()
            .unwrap()
            .contains("nowhere_to_be_found"),
        "{missing}"
    );
    for (code, said) in [
        ("raise KeyError('the reason')", "the reason"),
        ("class Model: pass", "no predict"),
        ("import os; os.abort()", "signal 6"),
        ("while True: pass", "in time"),
    ] {
        let refused = ann.upload("m", written("code", code)).await.status(422);
        let refused = refused.problem("unsupported-model");
        assert!(
            refused["detail"].as_str().unwrap().contains(said),
            "{refused}"
        );
    }
    assert_eq!(s.metric("plimsoll_python_workers").await, 0);
}

#[test]
fn doctor_says_whether_the_python_works_and_what_confines_it() {
    let installation = Installation::new();
    let doctor = |python: &str| {
        let set = format!("engine.python={python}");
        installation.run(&["doctor", "--set", &set])
    };
    let fine = doctor(python().to_str().unwrap());
    assert!(
        fine.stdout
            .contains("no network, no other files, no other processes"),
        "{}",
        fine.stdout
    );
    let missing = doctor("/nowhere/python");
    assert_eq!(missing.code, 1);
    assert!(
        missing.stdout.contains("FAIL  Python") && missing.stdout.contains("cannot be run"),
        "{}",
        missing.stdout
    );
}
