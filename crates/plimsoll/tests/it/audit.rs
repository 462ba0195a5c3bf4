//! The audit log: what is written, who reads it, and that tampering shows.

use plimsoll_app::audit::{Checked, check_audit};
use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, PASSWORD, TestServer, backends, fixture};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::Installation;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";

/// The entries that match, oldest first.
async fn entries(admin: &Client, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit?limit=200&{query}");
    let list = admin.get(&path).await.status(200).json();
    let mut items = list["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

fn names(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect()
}

async fn head(s: &TestServer) -> plimsoll_store::AuditHead {
    match check_audit(s.app().db(), None).await.unwrap() {
        Checked::Intact(head) => head,
        broken @ Checked::Broken { .. } => unreachable!("{broken:?}"),
    }
}

/// Keys are the cheapest rows.
async fn rows(ann: &Client, count: usize) {
    for index in 0..count {
        let key = json!({"name": format!("key {index}")});
        ann.post("/api/v1/api-keys").json(&key).await.status(201);
    }
}

backends! {
    /// F245
    async fn every_change_of_accounts_and_keys_leaves_a_row_with_who_where_and_which_request(s: TestServer) {
        let admin = s.admin().await;
        let anyone = s.anonymous();
        let post = async |path: &str, body: Value, id: &str| {
            anyone.post(path).json(&body).header("x-request-id", id).await
        };
        let account = json!({"email": "ann@example.org", "password": PASSWORD});
        let ann = post("/api/v1/auth/register", account.clone(), "register").await.status(201).json();
        let id = ann["id"].as_str().unwrap().to_owned();
        let session = post("/api/v1/auth/login", account, "login").await.status(200).json();
        let wrong = json!({"email": "ann@example.org", "password": "canary wrong password"});
        post("/api/v1/auth/login", wrong, "wrong").await.status(401);
        let nobody = json!({"email": "canary@example.org", "password": PASSWORD});
        post("/api/v1/auth/login", nobody, "nobody").await.status(401);
        let refresh = json!({"refresh_token": session["refresh_token"]});
        post("/api/v1/auth/refresh", refresh.clone(), "refresh").await.status(200);
        s.advance(std::time::Duration::from_secs(11));
        post("/api/v1/auth/refresh", refresh.clone(), "reuse").await.status(401);
        post("/api/v1/auth/logout", refresh, "logout").await.status(204);
        let path = format!("/api/v1/users/{id}");
        for (body, status) in [(json!({"is_active": false}), 200), (json!({"is_active": true}), 200), (json!({"is_admin": true}), 200)] {
            admin.patch(&path).json(&body).await.status(status);
        }
        let found = entries(&admin, &format!("object={id}")).await;
        assert_eq!(names(&found), [
            "user.registered", "user.login", "user.login_failed", "user.token_reused", "user.logout",
            "user.deactivated", "user.activated", "user.role_changed",
        ]);
        let (register, failed, off) = (&found[0], &found[2], &found[5]);
        assert_eq!((&register["actor"], &register["request_id"], &register["via"]), (&json!(id), &json!("register"), &json!("api")));
        assert_eq!(register["address"], "127.0.0.1");
        assert_eq!((&failed["actor"], &failed["details"]["reason"]), (&Value::Null, &json!("wrong-password")));
        assert_ne!(off["actor"], json!(id));
        assert_eq!(entries(&admin, "object=unknown").await[0]["request_id"], "nobody");
        let all = admin.get("/api/v1/audit?limit=200").await.text();
        assert!(!all.contains("canary"), "what was typed is nobody's business: {all}");
        assert!(matches!(head(&s).await.seq, 10..));
    }

    /// F245
    async fn keys_models_and_versions_are_audited_with_what_they_were_before(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        let made = ann.post("/api/v1/api-keys").json(&json!({"name": "app"})).await.status(201).json();
        let key = format!("/api/v1/api-keys/{}", made["key_id"].as_str().unwrap());
        ann.patch(&key).json(&json!({"name": "other"})).await.status(200);
        ann.post(&format!("{key}/rotate")).await.status(201);
        ann.delete(&key).await.status(204);
        let found = entries(&admin, &format!("object={}", made["key_id"].as_str().unwrap())).await;
        assert_eq!(names(&found), ["key.created", "key.changed", "key.rotated", "key.revoked"]);
        assert_eq!((&found[1]["details"]["before"]["name"], &found[1]["details"]["after"]["name"]), (&json!("app"), &json!("other")));
        let added = ann.upload("iris", fixture(IRIS)).await.status(201).json();
        let writer = ann.key(&[Scope::Admin]).await;
        let version = "/api/v1/models/iris/versions/1";
        writer.post(&format!("{version}/promote")).await.status(200);
        writer.post(&format!("{version}/load")).await.status(200);
        writer.delete(&format!("{version}/load")).await.status(204);
        writer.patch("/api/v1/models/iris").json(&json!({"tags": ["a"]})).await.status(200);
        writer.delete("/api/v1/models/iris").await.status(204);
        let model = added["model"]["id"].as_str().unwrap();
        ann.patch(&format!("/api/v1/models/{model}")).json(&json!({"status": "active"})).await.status(200);
        let model = entries(&admin, &format!("object={model}")).await;
        assert_eq!(names(&model), ["model.created", "model.changed", "model.deleted", "model.restored"]);
        let versions = entries(&admin, "object=version").await;
        assert_eq!(names(&versions), ["version.added", "version.promoted", "version.loaded", "version.unloaded"]);
        assert!(versions[1]["api_key_id"].is_string(), "{}", versions[1]);
        assert_eq!(versions[0]["details"]["sha256"], added["version"]["sha256"]);
        // What was refused did not happen.
        let before = head(&s).await.seq;
        ann.delete("/api/v1/models/absent").await.status(404);
        ann.patch("/api/v1/models/iris").json(&json!({"tags": [""]})).await.status(422);
        assert_eq!(head(&s).await.seq, before);
    }

    /// F245
    async fn administrators_page_through_the_log_and_filter_it(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        rows(&ann, 12).await;
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = admin.get(&format!("/api/v1/audit?action=key.created&limit=5{cursor}")).await.status(200).json();
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["details"]["name"].clone()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let expected: Vec<Value> = (0..12).rev().map(|index| json!(format!("key {index}"))).collect();
        assert_eq!(seen, expected);
        let me = ann.get("/api/v1/users/me").await.json();
        let mine = entries(&admin, &format!("actor={}&object=key", me["id"].as_str().unwrap())).await;
        assert_eq!(mine.len(), 12);
        assert_eq!(entries(&admin, "to=2026-01-01T00:00:00Z").await.len(), 0);
        assert!(entries(&admin, "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:01Z").await.len() > 12);
        for (query, pointer) in [
            ("action=key", "/action"), ("limit=0", "/limit"), ("limit=201", "/limit"), ("from=yesterday", "/from"),
            ("actor=a%20b", "/actor"), ("object=", "/object"), ("surprise=1", "/surprise"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "/from"),
        ] {
            let problem = admin.get(&format!("/api/v1/audit?{query}")).await.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}");
        }
        for cursor in ["x", "AAAA", "%C3%A4", "AoAAAAAAAAAA"] {
            admin.get(&format!("/api/v1/audit?cursor={cursor}")).await.status(400).problem("malformed-request");
        }
        ann.get("/api/v1/audit").await.status(403).problem("insufficient-scope");
    }

    /// F245: 64 at once follow each other.
    async fn sixty_four_changes_at_once_make_one_chain(s: TestServer) {
        let ann = s.user("ann").await;
        let before = head(&s).await.seq;
        let mut changes = JoinSet::new();
        for index in 0..64 {
            let ann = ann.clone();
            changes.spawn(async move {
                let key = json!({"name": format!("key {index}")});
                ann.post("/api/v1/api-keys").json(&key).await.status(201);
            });
        }
        changes.join_all().await;
        assert_eq!(head(&s).await.seq, before + 64);
    }

    /// P29
    async fn an_edit_a_gap_an_insertion_and_an_exchange_are_each_found(s: TestServer) {
        let ann = s.user("ann").await;
        rows(&ann, 20).await;
        let checkpoint = head(&s).await;
        let broken = async || match check_audit(s.app().db(), None).await.unwrap() {
            Checked::Broken { seq, .. } => seq,
            intact @ Checked::Intact(_) => unreachable!("{intact:?}"),
        };
        for (damage, repair, row) in [
            ("update audit set at = at + 1 where seq = 7", "update audit set at = at - 1 where seq = 7", 7),
            ("update audit set user_id = 'usr_x' where seq = 8", "", 8),
        ] {
            s.damage(damage).await;
            assert_eq!(broken().await, row, "{damage}");
            if !repair.is_empty() {
                s.damage(repair).await;
                head(&s).await;
            }
        }
        s.damage("update audit set user_id = (select user_id from audit where seq = 9) where seq = 8").await;
        assert_eq!(head(&s).await, checkpoint, "repaired");
        // The last row is gone, and a clever thief mends the recorded end as well.
        s.damage("create table kept as select * from audit where seq > 20").await;
        s.damage("create table end_kept as select * from audit_head").await;
        s.damage("delete from audit where seq > 20").await;
        assert_eq!(broken().await, 21);
        s.damage("update audit_head set seq = 20, hash = (select hash from audit where seq = 20)").await;
        assert_eq!(head(&s).await.seq, 20, "without a checkpoint nobody can tell");
        let found = check_audit(s.app().db(), Some(&checkpoint)).await.unwrap();
        assert!(matches!(found, Checked::Broken { seq: 21, .. }), "{found:?}");
        s.damage("insert into audit select * from kept").await;
        s.damage("update audit_head set seq = (select seq from end_kept), hash = (select hash from end_kept)").await;
        let found = check_audit(s.app().db(), Some(&checkpoint)).await.unwrap();
        assert_eq!(found, Checked::Intact(checkpoint));
    }
}

/// P29, at the command line: a checkpoint kept elsewhere finds what is missing at the end.
#[test]
fn the_command_line_verifies_the_log_and_finds_a_cut_off_end_by_a_checkpoint() {
    let installation = Installation::new();
    installation.run(&["audit", "verify"]).code(69);
    installation.run(&["migrate"]).code(0);
    let empty = installation
        .run(&["audit", "verify", "--json"])
        .code(0)
        .json();
    assert_eq!((&empty["ok"], &empty["rows"]), (&json!(true), &json!(0)));
    for name in ["one", "two", "three"] {
        installation.run(&["key", "create", "--name", name]).code(0);
    }
    let printed = installation.run(&["audit", "checkpoint"]).code(0).stdout;
    let kept = installation.path("checkpoint.json");
    std::fs::write(&kept, printed).unwrap();
    let kept = kept.to_str().unwrap();
    let with = ["audit", "verify", "--checkpoint", kept];
    installation.run(&with).code(0);
    installation
        .run(&["key", "create", "--name", "four"])
        .code(0);
    installation.run(&with).code(0);
    installation
        .run(&["audit", "verify", "--checkpoint", "absent"])
        .code(65);
    let check = installation.run(&["doctor", "--json"]).json();
    let check = check["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "audit log")
        .unwrap();
    assert_eq!(check["status"], "ok");
}
