//! Models and their versions: adding, finding, changing, promoting.

use plimsoll_core::key::Scope;
use plimsoll_core::page::PageRequest;
use plimsoll_store::Subject;
use plimsoll_testkit::{Client, Part, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const TREE: &str = "sklearn/1.5.2/iris_tree.pkl";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

/// Uploads a file with these other parts.
async fn send(client: &Client, path: &str, file: &str, texts: &[(&'static str, &str)]) -> Reply {
    let texts = texts
        .iter()
        .map(|(name, text)| Part::Text(name, (*text).to_owned()));
    let file = Part::File("file", file.to_owned(), fixture(file));
    client.post(path).multipart(texts.chain([file])).await
}

async fn add(client: &Client, file: &str, texts: &[(&'static str, &str)]) -> Value {
    send(client, "/api/v1/models", file, texts)
        .await
        .status(201)
        .json()
}

/// The values of one member of a list's items, in their order.
async fn listed(client: &Client, path: &str, member: &str) -> Vec<Value> {
    let list = client.get(path).await.status(200).json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(list["total"], items.len(), "{path}");
    items.iter().map(|item| item[member].clone()).collect()
}

async fn set_status(client: &Client, model: &str, status: &str) -> Reply {
    let path = format!("/api/v1/models/{model}");
    client.patch(&path).json(&json!({"status": status})).await
}

backends! {
    /// Who changes keys does not make the server read all models again, nor does an upload.
    async fn a_change_says_what_it_was_about(s: TestServer) {
        let (db, ann) = (s.app().db(), s.user("ann").await);
        let before = db.change_counter().await.unwrap();
        let key = ann.post("/api/v1/api-keys").json(&json!({"name": "app"})).await.status(201).json();
        let key = format!("/api/v1/api-keys/{}", key["key_id"].as_str().unwrap());
        ann.patch(&key).json(&json!({"name": "other"})).await.status(200);
        ann.delete(&key).await.status(204);
        let after = db.change_counter().await.unwrap();
        assert!(after >= before + 3);
        let subjects = db.subjects_changed(before, after).await.unwrap();
        assert_eq!(subjects, Some([Subject::Accounts].into()));
        let added = add(&ann, IRIS, &[("name", "iris")]).await;
        let model = added["model"]["id"].as_str().unwrap().parse().unwrap();
        let subjects = db.subjects_changed(after, db.change_counter().await.unwrap()).await.unwrap();
        assert_eq!(subjects, Some([Subject::Model(model)].into()));
    }

    /// F055
    async fn a_new_name_makes_a_model_its_first_version_and_a_place_to_predict(s: TestServer) {
        let ann = s.user("ann").await;
        let texts = [
            ("name", "iris"), ("description", "flowers"), ("model_type", "sklearn"), ("tags", "demo, small"),
        ];
        let reply = send(&ann, "/api/v1/models", IRIS, &texts).await.status(201);
        let added = reply.json();
        let (model, version) = (&added["model"], &added["version"]);
        assert_eq!(model["name"], "iris");
        assert_eq!(model["description"], "flowers");
        assert_eq!(model["tags"], json!(["demo", "small"]));
        assert_eq!((&model["status"], &model["task"]), (&json!("active"), &json!("classification")));
        assert_eq!((&model["latest_version"], &model["production_version"]), (&json!(1), &Value::Null));
        assert_eq!((&version["version"], &version["label"]), (&json!(1), &json!("1.0.0")));
        assert_eq!(version["algorithm"], "LogisticRegression");
        assert_eq!(added["previous_version"], Value::Null);
        ann.get(reply.header("location")).await.status(200);
        let predict = ann.post(added["predict_url"].as_str().unwrap());
        predict.json(&json!({"inputs": [FLOWER]})).await.status(200);
    }

    /// F056
    async fn the_same_name_again_is_the_next_version_and_another_persons_name_is_theirs(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        let first = add(&ann, IRIS, &[("name", "iris")]).await;
        let second = add(&ann, TREE, &[("name", "iris")]).await;
        assert_eq!(second["model"]["id"], first["model"]["id"]);
        assert_eq!((&second["version"]["version"], &second["previous_version"]), (&json!(2), &json!(1)));
        assert_eq!(second["model"]["latest_version"], 2);
        let other = add(&bob, IRIS, &[("name", "iris")]).await;
        assert_ne!(other["model"]["id"], first["model"]["id"]);
        assert_eq!(other["version"]["version"], 1);
    }

    /// F056
    async fn twenty_concurrent_uploads_of_one_new_name_make_one_model_and_versions_1_to_20(s: TestServer) {
        let ann = s.user("ann").await;
        let mut uploads = JoinSet::new();
        for _ in 0..20 {
            let ann = ann.clone();
            uploads.spawn(async move { ann.upload("iris", fixture(IRIS)).await.status(201).json() });
        }
        let added = uploads.join_all().await;
        let mut numbers: Vec<i64> = added.iter().map(|a| a["version"]["version"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
        assert!(added.iter().all(|a| a["model"]["id"] == added[0]["model"]["id"]));
        assert_eq!(listed(&ann, "/api/v1/models", "latest_version").await, [20]);
        let versions = listed(&ann, "/api/v1/models/iris/versions", "version").await;
        assert_eq!(versions, (1..=20).rev().collect::<Vec<i64>>());
    }

    /// F057
    async fn a_version_is_added_to_a_model_that_exists_and_names_the_one_before(s: TestServer) {
        let ann = s.user("ann").await;
        let id = add(&ann, IRIS, &[("name", "iris")]).await["model"]["id"].as_str().unwrap().to_owned();
        for (place, number) in [("iris", 2), (id.as_str(), 3)] {
            let path = format!("/api/v1/models/{place}/versions");
            let added = send(&ann, &path, TREE, &[]).await.status(201).json();
            assert_eq!((&added["version"]["version"], &added["previous_version"]), (&json!(number), &json!(number - 1)));
        }
        send(&ann, "/api/v1/models/absent/versions", TREE, &[]).await.problem("not-found");
        ann.get("/api/v1/models/absent").await.problem("not-found");
    }

    /// F058
    async fn the_content_decides_what_a_file_is_and_a_wrong_declaration_is_refused(s: TestServer) {
        let ann = s.user("ann").await;
        for declared in ["onnx", "pytorch", "tensorflow"] {
            let texts = [("name", "iris"), ("model_type", declared)];
            let refused = send(&ann, "/api/v1/models", IRIS, &texts).await.status(400);
            refused.problem("model-type-mismatch");
        }
        ann.get("/api/v1/models/iris").await.problem("not-found");
        let parts = [Part::Text("name", "iris".into()), Part::File("file", "iris.onnx".into(), fixture(IRIS))];
        let added = ann.post("/api/v1/models").multipart(parts).await.status(201).json();
        assert_eq!(added["version"]["format"], "sklearn-joblib");
        assert_eq!(added["version"]["file_name"], "iris.onnx");
        let added = send(&ann, "/api/v1/models", TREE, &[("name", "tree"), ("model_type", "sklearn")]).await;
        assert_eq!(added.status(201).json()["version"]["format"], "sklearn-pickle");
    }

    /// F063
    async fn models_are_listed_by_page_filter_search_and_order_with_their_real_counts(s: TestServer) {
        let ann = s.user("ann").await;
        for (name, tags) in [("cherry", "red"), ("apple", "red,green"), ("banana", "yellow")] {
            add(&ann, IRIS, &[("name", name), ("tags", tags), ("description", "A Fruit")]).await;
            s.advance(std::time::Duration::from_secs(1));
        }
        add(&ann, IRIS, &[("name", "apple")]).await;
        for _ in 0..3 {
            ann.predict("apple", json!([FLOWER, FLOWER])).await.status(200);
        }
        set_status(&ann, "cherry", "deprecated").await.status(200);
        for (query, names) in [
            ("", vec!["banana", "apple", "cherry"]),
            ("sort_by=created_at&sort_order=asc", vec!["cherry", "apple", "banana"]),
            ("sort_by=name&sort_order=asc", vec!["apple", "banana", "cherry"]),
            ("sort_by=version&sort_order=desc&tag=red", vec!["apple", "cherry"]),
            ("tag=re", vec![]),
            ("search=APPL", vec!["apple"]),
            ("search=fruit&status=active", vec!["banana", "apple"]),
            ("status=deprecated", vec!["cherry"]),
            ("status=archived", vec![]),
        ] {
            let found = listed(&ann, &format!("/api/v1/models?{query}"), "name").await;
            assert_eq!(found, names, "{query}");
        }
        let page = ann.get("/api/v1/models?page=2&page_size=2&sort_by=name&sort_order=asc").await.json();
        assert_eq!((&page["items"][0]["name"], &page["total"]), (&json!("cherry"), &json!(3)));
        assert_eq!((&page["page"], &page["page_size"]), (&json!(2), &json!(2)));
        s.recorded().await;
        assert_eq!(listed(&ann, "/api/v1/models?search=apple", "prediction_count").await, [3]);
        for query in ["page=0", "page_size=101", "page_size=abc", "sort_by=owner", "sort_order=up", "status=gone"] {
            let refused = ann.get(&format!("/api/v1/models?{query}")).await.status(422).problem("invalid-request");
            let name = query.split_once('=').unwrap().0;
            assert_eq!(refused["errors"][0]["pointer"], format!("/{name}"));
        }
    }

    /// F065
    async fn description_tags_and_status_of_a_model_can_be_changed(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[("name", "iris"), ("description", "old"), ("tags", "a")]).await;
        let path = "/api/v1/models/iris";
        for (change, description, tags, status) in [
            (json!({"description": "new"}), "new", json!(["a"]), "active"),
            (json!({"tags": ["b", "c"]}), "new", json!(["b", "c"]), "active"),
            (json!({"status": "deprecated"}), "new", json!(["b", "c"]), "deprecated"),
            (json!({"status": "archived"}), "new", json!(["b", "c"]), "archived"),
            (json!({"status": "active", "description": null}), "", json!(["b", "c"]), "active"),
        ] {
            let changed = ann.patch(path).json(&change).await.status(200).json();
            for seen in [changed, ann.get(path).await.status(200).json()] {
                assert_eq!(seen["description"], description, "{change}");
                assert_eq!((&seen["tags"], &seen["status"]), (&tags, &json!(status)), "{change}");
            }
        }
        for (change, pointer) in [
            (json!({"status": "gone"}), "/status"),
            (json!({"tags": [""]}), "/tags"),
            (json!({"description": "x".repeat(10_001)}), "/description"),
            (json!({"description": "a\u{0}b"}), "/description"),
            (json!({"tags": ["a\u{0}b"]}), "/tags"),
            (json!({"name": "rose"}), "/name"),
        ] {
            let refused = ann.patch(path).json(&change).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], pointer);
        }
    }

    /// F066
    async fn a_deleted_model_is_hidden_and_silent_until_it_is_restored(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[("name", "iris")]).await;
        ann.delete("/api/v1/models/iris").await.status(204);
        assert_eq!(listed(&ann, "/api/v1/models", "name").await, Vec::<Value>::new());
        assert_eq!(listed(&ann, "/api/v1/models?status=archived", "name").await, ["iris"]);
        ann.predict("iris", json!([FLOWER])).await.status(404).problem("not-found");
        send(&ann, "/api/v1/models", IRIS, &[("name", "iris")]).await.status(409).problem("model-archived");
        let verified = ann.post("/api/v1/models/iris/versions/1/verify").await.status(200).json();
        assert_eq!(verified["matches"], true);
        set_status(&ann, "iris", "active").await.status(200);
        ann.predict("iris", json!([FLOWER])).await.status(200);
        assert_eq!(listed(&ann, "/api/v1/models", "name").await, ["iris"]);
    }

    /// F068
    async fn another_persons_model_does_not_exist_on_any_route(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        let added = add(&ann, IRIS, &[("name", "iris")]).await;
        let rows = json!({"inputs": [FLOWER]});
        for place in ["iris", added["model"]["id"].as_str().unwrap(), added["version"]["id"].as_str().unwrap()] {
            let model = format!("/api/v1/models/{place}");
            let version = format!("{model}/versions/1");
            for reply in [
                bob.get(&model).await,
                bob.patch(&model).json(&json!({"description": "mine"})).await,
                bob.delete(&model).await,
                bob.get(&format!("{model}/versions")).await,
                send(&bob, &format!("{model}/versions"), IRIS, &[]).await,
                bob.get(&version).await,
                bob.post(&format!("{version}/promote")).await,
                bob.post(&format!("{version}/verify")).await,
                bob.post(&format!("{model}/predict")).json(&rows).await,
                bob.post(&format!("{version}/predict")).json(&rows).await,
            ] {
                reply.status(404).problem("not-found");
            }
            let path = format!("{model}/predict");
            ann.post(&path).json(&rows).await.status(200);
        }
        assert_eq!(listed(&bob, "/api/v1/models", "name").await, Vec::<Value>::new());
    }

    /// F069, F070
    async fn versions_come_newest_first_with_what_was_said_about_them(s: TestServer) {
        let ann = s.user("ann").await;
        let said = [
            ("name", "iris"), ("description", "first"), ("tags", r#"["base"]"#), ("metrics", r#"{"accuracy": 0.97}"#),
            ("config", r#"{"solver": "lbfgs"}"#), ("training_info", r#"{"rows": 150}"#),
        ];
        add(&ann, IRIS, &said).await;
        add(&ann, TREE, &[("name", "iris"), ("tags", "tree")]).await;
        let path = "/api/v1/models/iris/versions";
        assert_eq!(listed(&ann, path, "version").await, [2, 1]);
        assert_eq!(listed(&ann, &format!("{path}?tag=base"), "version").await, [1]);
        let first = ann.get(&format!("{path}/1")).await.status(200).json();
        let list = ann.get(path).await.json();
        assert_eq!(list["items"][1], first);
        assert_eq!(first["metrics"], json!({"accuracy": 0.97}));
        assert_eq!(first["config"], json!({"solver": "lbfgs"}));
        assert_eq!(first["training_info"], json!({"rows": 150}));
        assert_eq!((&first["description"], &first["tags"]), (&json!("first"), &json!(["base"])));
        assert_eq!(first["size_bytes"], fixture(IRIS).len());
        assert_eq!(first["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(first["created_at"], "2026-01-01T00:00:00.000000Z");
        for (part, text) in [("metrics", "[1]"), ("config", "{"), ("training_info", "1")] {
            let refused = send(&ann, path, IRIS, &[(part, text)]).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], format!("/{part}"));
        }
    }

    /// F071
    async fn a_version_is_found_by_number_label_id_and_alias(s: TestServer) {
        let ann = s.user("ann").await;
        let path = "/api/v1/models/iris/versions";
        let mut ids = Vec::new();
        for label in ["2.1.0-rc.1+build", "2026-01-01T00:00:00Z"] {
            let added = add(&ann, IRIS, &[("name", "iris"), ("label", label)]).await;
            assert_eq!(added["version"]["label"], label);
            ids.push(added["version"]["id"].as_str().unwrap().to_owned());
        }
        ann.get(&format!("{path}/production")).await.status(404);
        ann.post(&format!("{path}/1/promote")).await.status(200);
        let named = [
            ("1", 1), ("2", 2), ("latest", 2), ("production", 1), ("2.1.0-rc.1+build", 1),
            ("2026-01-01T00%3A00%3A00Z", 2), (ids[0].as_str(), 1),
        ];
        for (name, number) in named {
            let found = ann.get(&format!("{path}/{name}")).await.status(200).json();
            assert_eq!(found["version"], number, "{name}");
        }
        for absent in ["0", "3", "-1", "1.0.0", "Latest", "99999999999999999999"] {
            ann.get(&format!("{path}/{absent}")).await.status(404).problem("not-found");
        }
        let taken = send(&ann, path, IRIS, &[("label", "2.1.0-rc.1+build")]).await;
        taken.status(409).problem("label-taken");
        for label in ["7", "latest", "production", "a b", ""] {
            let refused = send(&ann, path, IRIS, &[("label", label)]).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], "/label", "{label}");
        }
        assert_eq!(listed(&ann, path, "version").await, [2, 1]);
    }

    /// F072
    async fn a_promoted_version_is_the_only_one_in_production_and_the_ledger_says_who_and_when(s: TestServer) {
        let ann = s.user("ann").await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(add(&ann, IRIS, &[("name", "iris")]).await["version"]["id"].clone());
        }
        for number in [2, 1, 3, 3] {
            s.advance(std::time::Duration::from_mins(1));
            let path = format!("/api/v1/models/iris/versions/{number}/promote");
            assert_eq!(ann.post(&path).await.status(200).json()["stage"], "production");
            let model = ann.get("/api/v1/models/iris").await.json();
            assert_eq!(model["production_version"], number);
            assert_eq!(model["serving_version"]["version"], number);
            let stages = listed(&ann, "/api/v1/models/iris/versions", "stage").await;
            assert_eq!(stages.iter().filter(|stage| **stage == "production").count(), 1);
            let answer = ann.predict("iris", json!([FLOWER])).await.status(200).json();
            assert_eq!(answer["model_version"], number);
        }
        let model = ann.get("/api/v1/models/iris").await.json()["id"].as_str().unwrap().parse().unwrap();
        let ledger = s.app().db().promotions_page(model, PageRequest::default()).await.unwrap().items;
        let user = ann.get("/api/v1/users/me").await.json()["id"].clone();
        let entries: Vec<_> = ledger.iter().rev().map(|entry| {
            assert_eq!((json!(entry.by_user_id.to_string()), entry.action.as_str()), (user.clone(), "promote"));
            let previous = entry.previous_version_id.map_or(Value::Null, |id| json!(id.to_string()));
            (json!(entry.version_id.to_string()), previous, json!(entry.at))
        }).collect();
        let expected = [(1, None, 1), (0, Some(1), 2), (2, Some(0), 3), (2, Some(2), 4)].map(|(to, from, minute)| {
            let from = from.map_or(Value::Null, |at: usize| ids[at].clone());
            (ids[to].clone(), from, json!(format!("2026-01-01T00:0{minute}:00.000000Z")))
        });
        assert_eq!(entries, expected);
    }

    /// F072
    async fn concurrent_promotions_leave_one_version_in_production(s: TestServer) {
        let ann = s.user("ann").await;
        for _ in 0..4 {
            add(&ann, IRIS, &[("name", "iris")]).await;
        }
        let mut promotions = JoinSet::new();
        for round in 0..16 {
            let ann = ann.clone();
            let path = format!("/api/v1/models/iris/versions/{}/promote", round % 4 + 1);
            promotions.spawn(async move { ann.post(&path).await.status(200); });
        }
        promotions.join_all().await;
        let stages = listed(&ann, "/api/v1/models/iris/versions", "stage").await;
        assert_eq!(stages.iter().filter(|stage| **stage == "production").count(), 1, "{stages:?}");
    }

    /// F073
    async fn promotion_takes_an_existing_version_and_the_scope_admin(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, IRIS, &[("name", "iris")]).await;
        ann.post("/api/v1/models/iris/versions/9/promote").await.status(404).problem("not-found");
        ann.post("/api/v1/models/absent/versions/1/promote").await.status(404).problem("not-found");
        let path = "/api/v1/models/iris/versions/1/promote";
        for scope in [Scope::Predict, Scope::Read, Scope::Write] {
            ann.key(&[scope]).await.post(path).await.status(403).problem("insufficient-scope");
        }
        assert_eq!(ann.get("/api/v1/models/iris").await.json()["production_version"], Value::Null);
        ann.key(&[Scope::Admin]).await.post(path).await.status(200);
        set_status(&ann, "iris", "archived").await.status(200);
        ann.post(path).await.status(409).problem("archived");
    }
}
