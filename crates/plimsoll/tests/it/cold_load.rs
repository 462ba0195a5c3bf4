//! Cold loads: the flat form is read instead of translating, and never trusted blindly.

use std::path::PathBuf;

use plimsoll_core::digest::Digest;
use plimsoll_engine::FLAT_VERSION;
use plimsoll_testkit::{Client, PASSWORD, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const TREE: &str = "sklearn/1.5.2/iris_tree.pkl";

async fn answer(client: &Client, model: &str) -> Value {
    let reply = client.predict(model, json!([[5.1, 3.5, 1.4, 0.2]])).await;
    reply.status(200).json()["predictions"][0].clone()
}

/// The only stored files that are flat forms.
fn flat_forms(s: &TestServer) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for shard in std::fs::read_dir(s.directory().join("blobs")).unwrap() {
        for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if std::fs::read(&path).unwrap().starts_with(b"PLIMFLAT") {
                found.push(path);
            }
        }
    }
    found
}

/// Starts again, so that every model is loaded anew.
async fn restarted(s: &mut TestServer, client: &Client) -> Client {
    s.restart().await;
    s.sign_in_again(client).await
}

/// Whether the only flat form is whole: its name is the hash of its content.
fn is_whole(s: &TestServer) -> bool {
    let [flat] = &flat_forms(s)[..] else {
        return false;
    };
    let digest = Digest::of(&std::fs::read(flat).unwrap());
    flat.ends_with(digest.to_string())
}

/// Asks for signs of life until the flat form is there again; a sign of life
/// gives the server time.
async fn made_again(s: &TestServer) {
    let original = Digest::of(&fixture(IRIS));
    for _ in 0..20_000 {
        let named = s.app().db().flat_form(&original).await.unwrap().unwrap();
        if named.version == FLAT_VERSION && is_whole(s) {
            return;
        }
        s.anonymous().get("/health/live").await.status(200);
    }
    unreachable!("the flat form was not made again");
}

/// A model file of two megabytes, most of which is space behind its end.
fn large() -> Vec<u8> {
    let mut content = fixture("parity/xgboost/3.2.0/000_multi_json.json");
    content.resize(2 << 20, b' ');
    content
}

async fn integrity_failures(s: &TestServer) -> Value {
    let text = s.anonymous().get("/metrics").await.status(200).text();
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("plimsoll_integrity_failures_total "));
    serde_json::from_str(value.unwrap()).unwrap()
}

backends! {
    /// F083
    async fn a_large_original_is_checked_behind_the_load_and_ends_its_version_if_damaged(mut s: TestServer) {
        let mut ann = s.user("ann").await;
        let added = ann.upload("large", large()).await.status(201).json();
        let inputs = added["version"]["input_schema"].as_array().unwrap().len();
        let predict = async |client: &Client| client.predict("large", json!([vec![0.0; inputs]])).await;
        let digest = added["version"]["sha256"].as_str().unwrap();
        let original = s.directory().join("blobs").join(&digest[..2]).join(digest);
        let mut damaged = large();
        *damaged.last_mut().unwrap() = b'\n';
        std::fs::write(&original, damaged).unwrap();
        s.expect_errors();
        ann = restarted(&mut s, &ann).await;
        // The flat form is whole and answers, until the original was read to its end.
        let mut answers = 0;
        while predict(&ann).await.code() == 200 {
            answers += 1;
            assert!(answers < 20_000, "the damage was not noticed");
        }
        assert!(answers > 0);
        let failures = integrity_failures(&s).await.as_u64().unwrap();
        assert!((1..=2).contains(&failures), "{failures}");
        // From now on each load checks first.
        predict(&ann).await.status(503).problem("model-broken");
        assert_eq!(integrity_failures(&s).await.as_u64().unwrap(), failures + 1);
        std::fs::write(&original, large()).unwrap();
        predict(&ann).await.status(200);
    }

    /// F083, F099
    async fn a_load_reads_the_flat_form_beside_the_original(mut s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        ann.upload("tree", fixture(TREE)).await.status(201);
        assert_eq!(flat_forms(&s).len(), 2);
        let ann = restarted(&mut s, &ann).await;
        assert_eq!((answer(&ann, "iris").await, answer(&ann, "tree").await), (json!(0), json!("setosa")));
        // Both now have the same flat form, whose content is what its name says.
        s.damage("update flat_forms set flat_sha256 = (select max(flat_sha256) from flat_forms)").await;
        let ann = restarted(&mut s, &ann).await;
        assert_eq!(answer(&ann, "iris").await, answer(&ann, "tree").await);
    }

    /// F083
    async fn a_flat_form_that_is_gone_damaged_or_foreign_is_made_again(mut s: TestServer) {
        let mut ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        assert!(is_whole(&s));
        for harm in ["gone", "damaged", "foreign"] {
            let flat = flat_forms(&s).remove(0);
            match harm {
                "gone" => std::fs::remove_file(&flat).unwrap(),
                "damaged" => {
                    let mut content = std::fs::read(&flat).unwrap();
                    *content.last_mut().unwrap() ^= 1;
                    std::fs::write(&flat, content).unwrap();
                }
                _ => {
                    std::fs::remove_file(&flat).unwrap();
                    s.damage("update flat_forms set version = 'an older one'").await;
                }
            }
            ann = restarted(&mut s, &ann).await;
            assert_eq!(answer(&ann, "iris").await, 0, "{harm}");
            made_again(&s).await;
        }
        // The flat form leaves with the last model that has its original.
        let delete = ann.delete("/api/v1/users/me").json(&json!({"password": PASSWORD}));
        delete.await.status(204);
        assert_eq!(flat_forms(&s), Vec::<PathBuf>::new());
    }
}
