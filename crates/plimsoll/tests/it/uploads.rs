//! Files on their way in: sizes, digests, cut connections, hostile names and forms.

use std::path::{Path, PathBuf};

use plimsoll_core::digest::Digest;
use plimsoll_testkit::{Client, Options, Part, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const TREE: &str = "sklearn/1.5.2/iris_tree.pkl";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];
const FORM: &str = "multipart/form-data; boundary=b";
const MIB: usize = 1 << 20;

/// One part of a form as it is on the wire.
fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\ncontent-disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

/// A whole form.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let parts = parts
        .iter()
        .flat_map(|(disposition, content)| part(disposition, content));
    parts.chain(*b"--b--\r\n").collect()
}

async fn post(client: &Client, body: Vec<u8>) -> Reply {
    client.post("/api/v1/models").body(body, FORM).await
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn stored(s: &TestServer) -> Vec<PathBuf> {
    files(&s.directory().join("blobs"))
}

/// Asks for signs of life until `done`; a sign of life gives the server time.
async fn wait(s: &TestServer, what: &str, done: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        s.anonymous().get("/health/live").await.status(200);
    }
    unreachable!("{what} did not happen");
}

async fn assert_empty(s: &TestServer, client: &Client) {
    let models = client.get("/api/v1/models").await.status(200).json();
    assert_eq!(models["total"], 0);
    assert_eq!(stored(s), Vec::<PathBuf>::new());
    let tmp = s.directory().join("tmp");
    wait(s, "removing the staged file", || files(&tmp).is_empty()).await;
}

fn digest_of(content: &[u8]) -> String {
    Digest::from_bytes(Sha256::digest(content).into()).to_string()
}

/// The head of an upload with `framing`, e.g. its `content-length`.
fn head(client: &Client, framing: &str) -> String {
    let key = client.credential().unwrap();
    format!(
        "POST /api/v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {FORM}\r\n{framing}\r\n\r\n"
    )
}

/// Memory of this process, which is also the server's, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .unwrap()
        * 1024
}

/// Sends 64 MiB whatever the server says; gives its answer and the most memory seen.
async fn flood(s: &TestServer, client: &Client, chunked: bool) -> (String, usize) {
    const CHUNK: usize = 64 * 1024;
    let begin = part("name=\"file\"; filename=\"x\"", &[]);
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {}", begin.len() + 64 * MIB)
    };
    let piece = |bytes: &[u8]| {
        if chunked {
            [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
        } else {
            bytes.to_vec()
        }
    };
    let mut stream = s.raw().await.into_stream();
    let (mut reader, mut writer) = stream.split();
    writer
        .write_all(head(client, &framing).as_bytes())
        .await
        .unwrap();
    writer.write_all(&piece(&begin)).await.unwrap();
    let chunk = piece(&vec![0x55; CHUNK]);
    let writing = async {
        let mut most = 0;
        for _ in 0..64 * MIB / CHUNK {
            if writer.write_all(&chunk).await.is_err() {
                break;
            }
            most = most.max(resident());
        }
        most
    };
    let reading = async {
        let mut answer = Vec::new();
        // A reset after the answer is as good as an orderly end.
        let _ = reader.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (most, answer) = tokio::join!(writing, reading);
    (answer, most)
}

fn small_limit() -> Options {
    Options::new().upload_max_bytes(16 << 20)
}

backends! {
    /// F060
    #[options(small_limit())]
    async fn a_file_over_the_limit_is_refused_while_it_arrives_and_is_never_in_memory(s: TestServer) {
        let ann = s.user("ann").await;
        for chunked in [false, true] {
            let before = resident();
            let (answer, most) = flood(&s, &ann, chunked).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
            assert!(answer.contains("\"code\":\"too-large\"") && answer.contains("\"limit\":16777216"), "{answer}");
            let grown = most.saturating_sub(before);
            assert!(grown < 8 * MIB, "memory grew by {grown} bytes");
            assert_empty(&s, &ann).await;
        }
        ann.upload("iris", fixture(IRIS)).await.status(201);
    }

    /// F061
    async fn no_name_leads_out_of_the_storage_directory(s: TestServer) {
        let ann = s.user("ann").await;
        let content = fixture(IRIS);
        let long = "a".repeat(4096);
        for name in ["../../x", "..\\..\\x", "C:\\x", "/etc/x", "CON", "", "\u{1f4c8}.pkl", "x\u{202e}gpj.exe", &long] {
            let file = format!("name=\"file\"; filename=\"{name}\"");
            let reply = post(&ann, form(&[("name=\"name\"", b"iris"), (&file, &content)])).await;
            assert!([201, 422].contains(&reply.code()), "{name:?}: {} {}", reply.code(), reply.text());
            if reply.code() == 201 {
                let kept = reply.json()["version"]["file_name"].as_str().unwrap().to_owned();
                assert!(kept.chars().count() <= 120, "{kept}");
                let harmless = |c: char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c);
                assert!(kept.chars().all(harmless), "{kept:?}");
            }
        }
        for name in ["../x", "..", ".hidden", "a/b", "a\\b", "C:\\x", "a b", "x\0y", "", "\u{1f4c8}", "x\u{202e}y", &long] {
            let body = form(&[("name=\"name\"", name.as_bytes()), ("name=\"file\"; filename=\"x\"", &content)]);
            let refused = post(&ann, body).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], "/name", "{name:?}");
        }
        let digest = digest_of(&content);
        let place = s.directory().join("blobs").join(&digest[..2]).join(&digest);
        // It and its flat form, which has the name of its own content.
        assert!(stored(&s).contains(&place) && stored(&s).len() == 2, "{:?}", stored(&s));
        let known = [
            "blobs", "journal", "log.db", "log.db-shm", "log.db-wal", "plimsoll.db", "plimsoll.db-shm",
            "plimsoll.db-wal", "tmp",
        ];
        for entry in std::fs::read_dir(s.directory()).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(known.iter().any(|known| name == *known), "{}", name.display());
        }
        for outside in ["../x", "../../x", "/etc/x"] {
            assert!(!s.directory().join(outside).exists(), "{outside}");
        }
    }

    /// F082
    async fn the_digest_is_answered_and_an_announced_other_one_is_refused(s: TestServer) {
        let ann = s.user("ann").await;
        let content = fixture(IRIS);
        let digest = digest_of(&content);
        let send = async |announced: &str| {
            let file = Part::File("file", "x".into(), content.clone());
            let texts = [Part::Text("name", "iris".into()), Part::Text("sha256", announced.into())];
            ann.post("/api/v1/models").multipart(texts.into_iter().chain([file])).await
        };
        let refused = send(&"0".repeat(64)).await.status(422).problem("digest-mismatch");
        assert_eq!(refused["errors"][0]["got"], digest);
        for no_digest in ["", "abc", &digest[1..], &format!("{digest}0"), &"g".repeat(64)] {
            let refused = send(no_digest).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], "/sha256", "{no_digest}");
        }
        assert_empty(&s, &ann).await;
        for announced in [digest.clone(), digest.to_uppercase()] {
            assert_eq!(send(&announced).await.status(201).json()["version"]["sha256"], digest);
        }
    }

    /// F083, F084
    async fn a_flipped_byte_is_refused_at_load_counted_and_harms_no_other_model(mut s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("other", fixture(TREE)).await.status(201);
        let added = ann.upload("iris", fixture(IRIS)).await.status(201).json();
        let digest = added["version"]["sha256"].as_str().unwrap();
        let place = s.directory().join("blobs").join(&digest[..2]).join(digest);
        let mut content = std::fs::read(&place).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(&place, content).unwrap();
        s.restart().await;
        s.expect_errors();
        let ann = s.sign_in_again(&ann).await;
        assert_eq!(s.metric("plimsoll_integrity_failures_total").await, 0);
        for _ in 0..2 {
            let refused = ann.predict("iris", json!([FLOWER])).await.status(503).problem("model-broken");
            assert!(!refused.to_string().contains(digest), "{refused}");
        }
        ann.post("/api/v1/models/iris/versions/1/promote").await.status(503).problem("model-broken");
        assert_eq!(s.metric("plimsoll_integrity_failures_total").await, 3);
        ann.predict("other", json!([FLOWER])).await.status(200);
        let verified = ann.post("/api/v1/models/iris/versions/1/verify").await.status(200).json();
        assert_eq!((&verified["matches"], &verified["sha256"]), (&json!(false), &json!(digest)));
        // The same content once more repairs it, for the version from before as well.
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let path = "/api/v1/models/iris/versions/1/predict";
        ann.post(path).json(&json!({"inputs": [FLOWER]})).await.status(200);
    }

    /// F085
    async fn the_same_content_is_stored_once_for_all_models_and_people(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        for (person, name) in [(&ann, "iris"), (&ann, "iris"), (&ann, "rose"), (&bob, "iris")] {
            person.upload(name, fixture(IRIS)).await.status(201);
        }
        // Each with its flat form.
        assert_eq!(stored(&s).len(), 2);
        assert_eq!(ann.get("/api/v1/models/iris").await.json()["latest_version"], 2);
        ann.upload("iris", fixture(TREE)).await.status(201);
        assert_eq!(stored(&s).len(), 4);
    }

    /// F086
    async fn a_connection_cut_during_an_upload_leaves_nothing(mut s: TestServer) {
        let ann = s.user("ann").await;
        let content = vec![0x55; 2 * MIB];
        let body = form(&[("name=\"name\"", b"iris"), ("name=\"file\"; filename=\"x\"", &content)]);
        let head = head(&ann, &format!("content-length: {}", body.len()));
        let tmp = s.directory().join("tmp");
        for percent in [1, 50, 99] {
            let mut socket = s.raw().await;
            assert!(socket.send(&head).await && socket.send(&body[..body.len() * percent / 100]).await);
            wait(&s, "staging", || !files(&tmp).is_empty()).await;
            drop(socket);
            assert_empty(&s, &ann).await;
        }
        // The process ends in the middle of one, after another one did before.
        let mut socket = s.raw().await;
        assert!(socket.send(&head).await && socket.send(&body[..MIB]).await);
        wait(&s, "staging", || !files(&tmp).is_empty()).await;
        std::fs::write(tmp.join("1-0"), &content).unwrap();
        // What was being written when it was killed may be logged.
        s.expect_errors();
        s.kill_and_restart().await;
        let ann = s.sign_in_again(&ann).await;
        assert_empty(&s, &ann).await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
    }

    async fn forms_that_are_broken_or_incomplete_are_refused_and_leave_nothing(s: TestServer) {
        let ann = s.user("ann").await;
        let iris = fixture(IRIS);
        let file: (&str, &[u8]) = ("name=\"file\"; filename=\"x\"", &iris);
        let name: (&str, &[u8]) = ("name=\"name\"", b"iris");
        let many: Vec<(&str, &[u8])> = vec![("name=\"tags\"", b"a"); 10_000];
        let long = vec![b'x'; 64 * 1024 + 1];
        let mut cut = form(&[name, file]);
        cut.truncate(cut.len() - 9);
        let cases: Vec<(&str, Vec<u8>, u16, &str, &str)> = vec![
            ("multipart/form-data", form(&[name, file]), 400, "malformed-request", ""),
            ("multipart/mixed; boundary=b", form(&[name, file]), 415, "unsupported-media-type", ""),
            ("application/json", b"{}".to_vec(), 415, "unsupported-media-type", ""),
            ("multipart/form-data; boundary=c", form(&[name, file]), 400, "malformed-request", ""),
            (FORM, Vec::new(), 400, "malformed-request", ""),
            (FORM, cut, 400, "malformed-request", ""),
            (FORM, form(&[]), 422, "invalid-request", "/file"),
            (FORM, form(&[name]), 422, "invalid-request", "/file"),
            (FORM, form(&[file]), 422, "invalid-request", "/name"),
            (FORM, form(&[name, name, file]), 422, "invalid-request", "/name"),
            (FORM, form(&[name, file, file]), 422, "invalid-request", "/file"),
            (FORM, form(&[name, ("name=\"colour\"", b"red"), file]), 422, "invalid-request", "/colour"),
            (FORM, form(&[name, ("name=\"\"", b"red"), file]), 422, "invalid-request", "/"),
            (FORM, form(&many), 422, "invalid-request", "/tags"),
            (FORM, form(&[("name=\"name\"", b"\xff\xfe"), file]), 422, "invalid-request", "/name"),
            (FORM, form(&[name, ("name=\"description\"", b"a\0b"), file]), 422, "invalid-request", "/description"),
            (FORM, form(&[name, ("name=\"tags\"", b"a\0b"), file]), 422, "invalid-request", "/tags"),
            (FORM, form(&[name, ("name=\"tags\"", b"[1]"), file]), 422, "invalid-request", "/tags"),
            (FORM, form(&[name, ("name=\"label\"", b"a\0b"), file]), 422, "invalid-request", "/label"),
            (FORM, form(&[name, ("name=\"description\"", &long), file]), 413, "too-large", ""),
        ];
        for (media_type, body, status, slug, pointer) in cases {
            let start = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            let reply = ann.post("/api/v1/models").body(body, media_type).await;
            assert_eq!(reply.code(), status, "{media_type} {start} answered {}", reply.text());
            let refused = reply.problem(slug);
            if !pointer.is_empty() {
                assert_eq!(refused["errors"][0]["pointer"], pointer, "{start}");
            }
        }
        let packed = ann.post("/api/v1/models").header("content-encoding", "gzip");
        packed.body(form(&[name, file]), FORM).await.status(415).problem("unsupported-media-type");
        assert_empty(&s, &ann).await;
        post(&ann, form(&[file, name])).await.status(201);
    }

    async fn content_that_is_no_model_is_refused_whatever_it_is_called(s: TestServer) {
        let ann = s.user("ann").await;
        let iris = fixture(IRIS);
        let cut = &iris[..iris.len() / 2];
        for (file_name, content, slug) in [
            ("empty.pkl", &b""[..], "unrecognised-model"),
            ("notes.joblib", b"these are notes", "unrecognised-model"),
            ("model.onnx", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "unrecognised-model"),
            ("archive.zip", b"PK\x03\x04\x14\0\0\0\x08\0", "unrecognised-model"),
            ("cut.joblib", cut, "damaged-model"),
        ] {
            let parts = [
                Part::Text("name", "iris".into()),
                Part::File("file", file_name.into(), content.to_vec()),
            ];
            let reply = ann.post("/api/v1/models").multipart(parts).await;
            assert_eq!((reply.code(), &reply.json()["code"]), (422, &json!(slug)), "{file_name}: {}", reply.text());
            let missing: Value = reply.problem(slug)["errors"].clone();
            assert_eq!(missing, Value::Null);
        }
        assert_empty(&s, &ann).await;
    }
}
