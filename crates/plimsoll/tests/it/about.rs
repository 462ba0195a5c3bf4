//! What is known about a model: in short, as programs, compared, promoted, counted, downloaded.

use std::process::Command;
use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, Options, Part, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const TREE: &str = "sklearn/1.5.2/iris_tree.pkl";
const DIABETES: &str = "sklearn/1.5.2/diabetes_linear.pkl";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];
const MODEL: &str = "/api/v1/models/iris";

async fn add(client: &Client, file: &str, texts: &[(&'static str, &str)]) -> Value {
    let texts = texts
        .iter()
        .map(|(name, text)| Part::Text(name, (*text).to_owned()));
    let file = Part::File("file", file.to_owned(), fixture(file));
    let name = Part::Text("name", "iris".to_owned());
    let sent = client
        .post("/api/v1/models")
        .multipart(texts.chain([name, file]));
    sent.await.status(201).json()
}

/// Runs a snippet as its reader would; answers what it prints.
fn run(program: &str, arguments: &[&str], key: &Client) -> String {
    let ran = Command::new(program)
        .args(arguments)
        .env("PLIMSOLL_API_KEY", key.credential().unwrap())
        .env("no_proxy", "*")
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout).unwrap()
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

backends! {
    /// F074
    async fn two_versions_are_compared_figure_by_figure_in_the_direction_their_names_mean(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[("metrics", r#"{"accuracy": 0.9, "rmse": 2.0, "rows": 100, "test": {"f1": 0.5}}"#)]).await;
        add(&ann, DIABETES, &[("metrics", r#"{"accuracy": 0.8, "rmse": 1.5, "rows": 100, "auc": 0.7}"#)]).await;
        let compared = ann.get(&format!("{MODEL}/compare?from=1&to=latest")).await.status(200).json();
        let metric = |name: &str| {
            let all = compared["metrics"].as_array().unwrap();
            all.iter().find(|metric| metric["name"] == name).unwrap().clone()
        };
        let accuracy = metric("accuracy");
        assert_eq!((&accuracy["from"], &accuracy["to"]), (&json!(0.9), &json!(0.8)));
        assert!((accuracy["difference"].as_f64().unwrap() + 0.1).abs() < 1e-12);
        assert_eq!((&accuracy["better"], &accuracy["verdict"]), (&json!("higher"), &json!("worse")));
        let rmse = metric("rmse");
        assert_eq!((&rmse["difference"], &rmse["better"], &rmse["verdict"]), (&json!(-0.5), &json!("lower"), &json!("improved")));
        assert_eq!((&metric("rows")["better"], &metric("rows")["verdict"]), (&Value::Null, &json!("unknown")));
        assert_eq!((&metric("test.f1")["to"], &metric("auc")["from"]), (&Value::Null, &Value::Null));
        assert_eq!(compared["regressions"], json!(["accuracy"]));
        let sizes = [IRIS, DIABETES].map(|file| i64::try_from(fixture(file).len()).unwrap());
        assert_eq!(compared["size_difference_bytes"], sizes[1] - sizes[0]);
        let inputs = &compared["input_changes"];
        assert_eq!(inputs["added"].as_array().unwrap().len() - inputs["removed"].as_array().unwrap().len(), 6);
        let same = ann.get(&format!("{MODEL}/compare?from=production&to=1")).await;
        same.status(404).problem("not-found");
        for (query, pointer) in [("from=1", "/to"), ("to=1", "/from"), ("from=1&to=2&by=x", "/by")] {
            let refused = ann.get(&format!("{MODEL}/compare?{query}")).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{query}");
        }
    }

    /// F072
    async fn the_ledger_of_promotions_is_listed_newest_first(s: TestServer) {
        let ann = s.user("ann").await;
        let first = add(&ann, IRIS, &[]).await;
        let second = add(&ann, TREE, &[]).await;
        for version in [1, 2] {
            ann.post(&format!("{MODEL}/versions/{version}/promote")).await.status(200);
            s.advance(Duration::from_mins(1));
        }
        let list = ann.get(&format!("{MODEL}/promotions")).await.status(200).json();
        let me = ann.get("/api/v1/auth/me").await.json();
        assert_eq!(list["total"], 2);
        let (newest, oldest) = (&list["items"][0], &list["items"][1]);
        assert_eq!((&newest["version_id"], &newest["previous_version_id"]), (&second["version"]["id"], &first["version"]["id"]));
        assert_eq!((&oldest["version_id"], &oldest["previous_version_id"]), (&first["version"]["id"], &Value::Null));
        assert_eq!((&newest["by_user_id"], &newest["action"]), (&me["id"], &json!("promote")));
        assert_eq!(newest["at"], "2026-01-01T00:01:00.000000Z");
    }

    /// F077
    async fn a_key_holder_learns_what_a_model_takes_and_how_good_it_is(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[("description", "flowers"), ("metrics", r#"{"accuracy": 0.97}"#)]).await;
        add(&ann, DIABETES, &[]).await;
        ann.post(&format!("{MODEL}/versions/1/promote")).await.status(200);
        let key = ann.key(&[Scope::Read]).await;
        let info = key.get(&format!("{MODEL}/info")).await.status(200).json();
        assert_eq!((&info["model"], &info["version"], &info["description"]), (&json!("iris"), &json!(1), &json!("flowers")));
        assert_eq!((&info["problem_type"], &info["algorithm"]), (&json!("classification"), &json!("LogisticRegression")));
        assert_eq!(info["feature_names"].as_array().unwrap().len(), 4);
        assert_eq!((&info["performance"], &info["predict_url"]), (&json!({"accuracy": 0.97}), &json!("/api/v1/models/iris/predict")));
        ann.key(&[Scope::Predict]).await.get(&format!("{MODEL}/info")).await.status(403);
        ann.post(&format!("{MODEL}/versions/2/promote")).await.status(200);
        assert_eq!(key.get(&format!("{MODEL}/info")).await.status(200).json()["version"], 2);
    }

    /// F081
    async fn the_snippets_run_as_they_are(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[("sample_inputs", "[[5.1, 3.5, 1.4, 0.2]]")]).await;
        let key = ann.key(&[Scope::Read]).await;
        let snippets = key.get(&format!("{MODEL}/snippets")).await.status(200).json();
        assert_eq!(snippets["body"], json!({"inputs": [[5.1, 3.5, 1.4, 0.2]]}));
        let text = |name: &str| snippets[name].as_str().unwrap().to_owned();
        let answered: Value = serde_json::from_str(&run("sh", &["-c", &text("curl")], &key)).unwrap();
        assert_eq!(answered["predictions"].as_array().unwrap().len(), 1);
        assert_eq!(run("python3", &["-c", &text("python")], &key).trim(), "[0]");
        if is_installed("node") {
            let printed = run("node", &["--input-type=module", "-e", &text("javascript")], &key);
            assert!(printed.contains('0'), "{printed}");
        }
        // What somebody else writes into the header stays out of programs.
        let evil = key.get(&format!("{MODEL}/snippets")).header("host", "x'$(touch y)'");
        let evil = evil.await;
        assert!(evil.code() == 400 || !evil.text().contains("touch"), "{}", evil.text());
    }

    /// F064, F152
    async fn a_model_shows_its_totals_and_its_days(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[]).await;
        let fresh = ann.get(MODEL).await.status(200).json();
        assert_eq!((&fresh["statistics"]["total"], &fresh["statistics"]["success_rate"]), (&json!(0), &Value::Null));
        ann.predict("iris", json!([FLOWER])).await.status(200);
        s.advance(Duration::from_hours(24));
        let ann = s.sign_in_again(&ann).await;
        for _ in 0..3 {
            ann.predict("iris", json!([FLOWER])).await.status(200);
        }
        s.recorded().await;
        let statistics = ann.get(MODEL).await.json()["statistics"].clone();
        assert_eq!((&statistics["total"], &statistics["successful"], &statistics["failed"]), (&json!(4), &json!(4), &json!(0)));
        assert_eq!((&statistics["success_rate"], &statistics["latency_requests"]), (&json!(1.0), &json!(4)));
        assert!(statistics["average_latency_ms"].is_number());

        let lately = ann.get(&format!("{MODEL}/analytics?days=2")).await.status(200).json();
        let days: Vec<_> = lately["daily"].as_array().unwrap().iter().map(|day| (day["date"].clone(), day["total"].clone())).collect();
        assert_eq!(days, [(json!("2026-01-01"), json!(1)), (json!("2026-01-02"), json!(3))]);
        assert_eq!((&lately["total"], &lately["success_rate"], &lately["recent_errors"]), (&json!(4), &json!(1.0), &json!([])));
        assert!(lately["latency_ms"]["min"].as_f64() <= lately["latency_ms"]["avg"].as_f64());
        assert!(lately["latency_ms"]["avg"].as_f64() <= lately["latency_ms"]["max"].as_f64());
        let today = ann.get(&format!("{MODEL}/analytics?days=1")).await.status(200).json();
        assert_eq!((&today["total"], &today["from"]), (&json!(3), &json!("2026-01-02T00:00:00.000000Z")));
        for days in ["0", "91", "abc", "-1"] {
            let refused = ann.get(&format!("{MODEL}/analytics?days={days}")).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], "/days");
        }
    }

    /// F080
    async fn a_file_is_downloaded_as_it_was_uploaded_with_its_hash(s: TestServer) {
        let ann = s.user("ann").await;
        let parts = [Part::Text("name", "iris".into()), Part::File("file", "../my \"iris\".joblib".into(), fixture(IRIS))];
        let added = ann.post("/api/v1/models").multipart(parts).await.status(201).json();
        let path = format!("{MODEL}/versions/1/artifact");
        let file = ann.get(&path).await.status(200);
        assert_eq!(file.bytes(), fixture(IRIS));
        let digest = added["version"]["sha256"].as_str().unwrap();
        assert_eq!(file.header("etag"), format!("\"{digest}\""));
        assert!(file.header("repr-digest").starts_with("sha-256=:"), "{:?}", file.headers());
        assert_eq!(file.header("content-length"), fixture(IRIS).len().to_string());
        assert_eq!(file.header("content-type"), "application/octet-stream");
        let disposition = file.header("content-disposition");
        assert!(disposition.starts_with("attachment; filename=\"") && !disposition.contains(".."), "{disposition}");
        let known = ann.get(&path).header("if-none-match", &format!("\"x\", \"{digest}\""));
        assert!(known.await.status(304).bytes().is_empty());
        ann.get(&format!("{MODEL}/versions/9/artifact")).await.status(404).problem("not-found");
    }

    /// F090
    #[options(Options::new().settings(|settings| settings.min_free_bytes = u64::MAX))]
    async fn below_the_floor_of_free_space_nothing_is_uploaded_and_health_says_so(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(507).problem("storage-full");
        ann.get(MODEL).await.status(404);
        let health = ann.get("/health").await.json();
        assert_eq!((&health["status"], &health["components"]["storage"]["status"]), (&json!("degraded"), &json!("degraded")));
    }

    /// F078
    async fn metrics_say_what_the_registry_holds(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[]).await;
        add(&ann, TREE, &[]).await;
        ann.delete(&format!("{MODEL}/versions/2/load")).await.status(204);
        ann.predict("iris", json!([FLOWER])).await.status(200);
        let text = s.anonymous().get("/metrics").await.status(200).text();
        let bytes = fixture(IRIS).len() + fixture(TREE).len();
        for line in [
            "plimsoll_models 1".to_owned(), "plimsoll_versions 2".to_owned(),
            format!("plimsoll_versions_size_bytes {bytes}"), format!("plimsoll_version_size_average_bytes {}", bytes / 2),
            "plimsoll_model_save_seconds_count 2".to_owned(), "plimsoll_model_load_seconds_count 1".to_owned(),
            "plimsoll_integrity_failures_total 0".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
