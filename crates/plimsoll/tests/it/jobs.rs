//! Jobs: their life, who may see them, and that they survive a server.

use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

use crate::process::Installation;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const LINES: &str = "application/x-ndjson";
/// Rows that take a while, so that something can happen meanwhile.
const MANY: usize = 60_000;

fn no_workers() -> Options {
    Options::new().settings(|settings| settings.jobs.workers = 0)
}

async fn ann(s: &TestServer) -> Client {
    let ann = s.user("ann").await;
    ann.upload("iris", fixture(IRIS)).await.status(201);
    ann
}

fn rows(count: usize) -> String {
    let row = |index| format!("[5.1, 3.5, 1.4, {}]\n", index % 10);
    (0..count).map(row).collect()
}

/// Starts a batch of so many rows; answers the job's id.
async fn start(client: &Client, count: usize) -> String {
    let accepted = client.batch("iris", rows(count), LINES).await.status(202);
    accepted.json()["job_id"].as_str().unwrap().to_owned()
}

async fn act(client: &Client, id: &str, action: &str) -> Reply {
    client.post(&format!("/api/v1/jobs/{id}/{action}")).await
}

/// What happened to a job, in words.
async fn events(client: &Client, id: &str) -> Vec<String> {
    let listed = client.get(&format!("/api/v1/jobs/{id}/events")).await;
    let items = listed.status(200).json()["items"].clone();
    let word = |event: &Value| event["event"].as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(word).collect()
}

/// The result has each row once and in order.
async fn assert_whole(client: &Client, id: &str, count: usize) {
    let result = client.get(&format!("/api/v1/jobs/{id}/result")).await;
    let text = result.status(200).text();
    let numbers = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(
            row["prediction"].is_number() || row["prediction"].is_string(),
            "{row}"
        );
        usize::try_from(row["row"].as_u64().unwrap()).unwrap()
    });
    assert!(numbers.eq(1..=count), "each row once and in order");
}

backends! {
    /// F114, F221
    async fn a_job_tells_how_far_it_is_and_what_happened(s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, 5).await;
        let job = ann.job_with(&id, "succeeded").await;
        assert_eq!((&job["id"], &job["kind"], &job["attempt"]), (&json!(id), &json!("batch"), &json!(1)));
        for member in ["created_at", "started_at", "finished_at"] {
            assert!(job[member].is_string(), "{job}");
        }
        assert_eq!((&job["error"], &job["eta_s"]), (&Value::Null, &Value::Null));
        assert_eq!(events(&ann, &id).await, ["queued", "started", "succeeded"]);
        let page = ann.get(&format!("/api/v1/jobs/{id}/events?limit=2")).await.status(200).json();
        let rest = format!("/api/v1/jobs/{id}/events?limit=2&cursor={}", page["next"].as_str().unwrap());
        let rest = ann.get(&rest).await.status(200).json();
        assert_eq!((&rest["items"][0]["event"], rest.get("next")), (&json!("succeeded"), None));
        let other = start(&ann, 1).await;
        ann.job_with(&other, "succeeded").await;
        for (query, expected) in [
            ("", vec![&other, &id]),
            ("?kind=batch&status=succeeded", vec![&other, &id]),
            ("?status=failed", vec![]),
            ("?kind=train", vec![]),
            ("?page=2&page_size=1", vec![&id]),
        ] {
            let listed = ann.get(&format!("/api/v1/jobs{query}")).await.status(200).json();
            let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
            assert_eq!(ids, expected, "{query}");
        }
    }

    /// F221
    async fn a_running_job_stops_when_it_is_cancelled_and_runs_again_when_retried(s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, MANY).await;
        ann.job_with(&id, "running").await;
        let problem = ann.delete(&format!("/api/v1/jobs/{id}")).await.status(409);
        problem.problem("job-unfinished");
        act(&ann, &id, "retry").await.status(409).problem("job-unfinished");
        let job = act(&ann, &id, "cancel").await.status(200).json();
        assert_eq!(job["cancel_requested"], true);
        let job = ann.job_with(&id, "cancelled").await;
        assert!(job["progress"].as_u64().unwrap() < 100);
        act(&ann, &id, "cancel").await.status(200);
        ann.get(&format!("/api/v1/jobs/{id}/result")).await.status(409).problem("no-result");
        assert_eq!(act(&ann, &id, "retry").await.status(200).json()["status"], "queued");
        ann.job_with(&id, "succeeded").await;
        assert_whole(&ann, &id, MANY).await;
        act(&ann, &id, "cancel").await.status(409).problem("job-finished");
        act(&ann, &id, "retry").await.status(409).problem("job-finished");
        let expected = ["queued", "started", "cancel requested", "cancelled", "queued", "started", "succeeded"];
        assert_eq!(events(&ann, &id).await, expected);
    }

    /// F114
    async fn a_job_can_be_retried_three_times(s: TestServer) {
        let ann = ann(&s).await;
        let accepted = ann.batch("iris", "no,such,columns\n", "text/csv").await.status(202);
        let id = accepted.json()["job_id"].as_str().unwrap().to_owned();
        for retries in 1..=3 {
            ann.job_with(&id, "failed").await;
            assert_eq!(act(&ann, &id, "retry").await.status(200).json()["retries"], retries);
        }
        ann.job_with(&id, "failed").await;
        act(&ann, &id, "retry").await.status(409).problem("retries-exhausted");
    }

    /// F157
    async fn what_became_of_jobs_is_on_the_metrics(s: TestServer) {
        let ann = ann(&s).await;
        ann.job_with(&start(&ann, 3).await, "succeeded").await;
        let accepted = ann.batch("iris", "no,such,columns\n", "text/csv").await.status(202);
        ann.job_with(accepted.json()["job_id"].as_str().unwrap(), "failed").await;
        let line = |outcome| format!("plimsoll_job_attempts_total{{kind=\"batch\",outcome=\"{outcome}\"}} 1");
        let lines = [line("succeeded"), line("failed"), "plimsoll_running_jobs 0".to_owned()];
        // An end is counted a moment after it can be seen.
        let mut text = String::new();
        for _ in 0..1_000 {
            text = s.anonymous().get("/metrics").await.status(200).text();
            if lines.iter().all(|line| text.contains(line.as_str())) {
                return;
            }
        }
        unreachable!("{lines:?} are not in\n{text}");
    }

    /// F114
    async fn a_job_whose_model_is_archived_fails_and_says_so(s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, 5 * MANY).await;
        ann.job_with(&id, "running").await;
        let archived = json!({"status": "archived"});
        ann.patch("/api/v1/models/iris").json(&archived).await.status(200);
        let job = ann.job_with(&id, "failed").await;
        assert_eq!((&job["error"]["code"], &job["attempt"]), (&json!("not-found"), &json!(1)));
        ann.batch("iris", rows(1), LINES).await.status(404).problem("not-found");
    }

    async fn requests_are_answered_while_a_job_runs(s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, 5 * MANY).await;
        ann.job_with(&id, "running").await;
        for _ in 0..50 {
            ann.predict("iris", json!([[5.1, 3.5, 1.4, 0.2]])).await.status(200);
        }
        let job = act(&ann, &id, "cancel").await.status(200).json();
        assert_eq!(job["status"], "running", "it did not end before they were answered");
        ann.job_with(&id, "cancelled").await;
    }

    async fn a_job_is_removed_with_its_files_by_hand_or_in_time(s: TestServer) {
        let ann = ann(&s).await;
        let before = s.app().blobs().list().await.unwrap().len();
        let (first, second) = (start(&ann, 3).await, start(&ann, 3).await);
        for id in [&first, &second] {
            ann.job_with(id, "succeeded").await;
        }
        // Equal inputs are one file; the results differ by their prediction ids.
        let with_jobs = s.app().blobs().list().await.unwrap().len();
        assert_eq!(with_jobs, before + 3);
        ann.delete(&format!("/api/v1/jobs/{first}")).await.status(204);
        ann.get(&format!("/api/v1/jobs/{first}")).await.status(404).problem("not-found");
        ann.delete(&format!("/api/v1/jobs/{first}")).await.status(404);
        assert_eq!(s.app().blobs().list().await.unwrap().len(), with_jobs - 1);
        assert_whole(&ann, &second, 3).await;
        s.advance(Duration::from_hours(7 * 24 - 1));
        s.app().remove_old_jobs().await.unwrap();
        let ann = s.sign_in_again(&ann).await;
        assert_whole(&ann, &second, 3).await;
        s.advance(Duration::from_hours(2));
        s.app().remove_old_jobs().await.unwrap();
        let ann = s.sign_in_again(&ann).await;
        ann.get(&format!("/api/v1/jobs/{second}")).await.status(404);
        assert_eq!(s.app().blobs().list().await.unwrap().len(), before);
    }

    /// F245
    #[options(no_workers())]
    async fn what_somebody_does_with_a_job_is_in_the_audit_log(s: TestServer) {
        let (admin, ann) = (s.admin().await, ann(&s).await);
        let id = start(&ann, 5).await;
        act(&ann, &id, "cancel").await.status(200);
        // Nothing is cancelled twice, and what is refused did not happen.
        act(&ann, &id, "cancel").await.status(200);
        act(&ann, &id, "retry").await.status(200);
        ann.delete(&format!("/api/v1/jobs/{id}")).await.status(409);
        act(&ann, &id, "cancel").await.status(200);
        ann.delete(&format!("/api/v1/jobs/{id}")).await.status(204);
        let list = admin.get(&format!("/api/v1/audit?object={id}")).await.status(200).json();
        let actions: Vec<_> = list["items"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
        assert_eq!(actions, ["job.deleted", "job.cancelled", "job.retried", "job.cancelled", "job.started"]);
    }

    async fn an_account_goes_with_its_jobs(s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, 3).await;
        ann.job_with(&id, "succeeded").await;
        let sure = json!({"password": plimsoll_testkit::PASSWORD});
        ann.delete("/api/v1/users/me").json(&sure).await.status(204);
        let admin = s.admin().await;
        admin.get(&format!("/api/v1/jobs/{id}")).await.status(404);
        assert_eq!(s.app().blobs().list().await.unwrap(), []);
    }

    async fn a_job_is_its_owners_and_a_key_sees_what_it_asked_for(s: TestServer) {
        let ann = ann(&s).await;
        let (key, other) = (ann.key(&[Scope::Predict]).await, ann.key(&[Scope::Predict]).await);
        let id = start(&key, 3).await;
        let path = format!("/api/v1/jobs/{id}");
        key.job_with(&id, "succeeded").await;
        assert_whole(&key, &id, 3).await;
        let bob = s.user("bob").await;
        for (client, status) in [(&other, 403), (&bob, 404), (&ann, 200), (&s.admin().await, 200)] {
            client.get(&path).await.status(status);
        }
        let reader = ann.key(&[Scope::Read]).await;
        reader.get(&path).await.status(200);
        reader.delete(&path).await.status(403).problem("insufficient-scope");
        ann.upload("other", fixture(IRIS)).await.status(201);
        let elsewhere = ann.key_with(&json!({"name": "k", "scopes": ["read"], "model_ids": ["other"]})).await;
        elsewhere.get(&path).await.status(403).problem("insufficient-scope");
        assert_eq!(elsewhere.get("/api/v1/jobs").await.status(200).json()["total"], 0);
        assert_eq!(bob.get("/api/v1/jobs").await.status(200).json()["total"], 0);
        key.delete(&path).await.status(204);
    }

    /// F114
    async fn a_job_goes_on_after_a_restart(mut s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, MANY).await;
        ann.job_with(&id, "running").await;
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        let job = ann.job_with(&id, "succeeded").await;
        assert_eq!(job["attempt"], 1, "an attempt that was given back does not count");
        assert_whole(&ann, &id, MANY).await;
    }

    /// F114
    async fn a_job_whose_server_was_killed_is_done_once_by_the_next(mut s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, MANY).await;
        ann.job_with(&id, "running").await;
        s.kill_and_restart().await;
        // Where servers share a database, only its lease tells that the first one is gone.
        s.advance(Duration::from_secs(31));
        let ann = s.sign_in_again(&ann).await;
        let job = ann.job_with(&id, "succeeded").await;
        assert_eq!(job["attempt"], 2);
        assert_whole(&ann, &id, MANY).await;
        let ends = events(&ann, &id).await.iter().filter(|event| *event == "succeeded").count();
        assert_eq!(ends, 1);
    }

    #[options(no_workers())]
    async fn a_job_that_waits_is_cancelled_at_once(s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, 3).await;
        assert_eq!(ann.job_with(&id, "queued").await["started_at"], Value::Null);
        let job = act(&ann, &id, "cancel").await.status(200).json();
        assert_eq!(job["status"], "cancelled");
        assert!(job["finished_at"].is_string());
        assert_eq!(act(&ann, &id, "cancel").await.status(200).json()["status"], "cancelled");
        assert_eq!(events(&ann, &id).await, ["queued", "cancelled"]);
    }

    #[options(no_workers())]
    async fn queries_and_ids_that_make_no_sense_are_refused(s: TestServer) {
        let ann = ann(&s).await;
        let id = start(&ann, 1).await;
        for (query, pointer) in [
            ("/api/v1/jobs?status=done", "/status"),
            ("/api/v1/jobs?page=0", "/page"),
            ("/api/v1/jobs?page_size=101", "/page_size"),
            ("/api/v1/jobs?owner=ann", "/owner"),
            (&format!("/api/v1/jobs/{id}/events?limit=0"), "/limit"),
            (&format!("/api/v1/jobs/{id}/result?format=xml"), "/format"),
        ] {
            let problem = ann.get(query).await.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}");
        }
        ann.get(&format!("/api/v1/jobs/{id}/events?cursor=x")).await.status(400).problem("malformed-request");
        for id in ["job_01JD3T9Q2G0000000000000000", "none", "mdl_01JD3T9Q2G0000000000000000"] {
            ann.get(&format!("/api/v1/jobs/{id}")).await.status(404).problem("not-found");
            for action in ["cancel", "retry"] {
                act(&ann, id, action).await.status(404).problem("not-found");
            }
        }
    }
}

/// F114: the real program, killed in the middle of a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_a_job_that_its_successor_ends() {
    let installation = Installation::new();
    let create = [
        "key",
        "create",
        "--name",
        "k",
        "--scope",
        "admin",
        "--rate-limit",
        "0",
        "--json",
    ];
    let key = installation.run(&create).code(0).json();
    let key = key["api_key"].as_str().unwrap();
    let mut server = installation.serve(&[]);
    let ann = Client::elsewhere(server.url()).bearer(key);
    ann.upload("iris", fixture(IRIS)).await.status(201);
    let id = start(&ann, 2 * MANY).await;
    ann.job_with(&id, "running").await;
    server.signal("KILL");
    server.wait();
    let server = installation.serve(&[]);
    let ann = Client::elsewhere(server.url()).bearer(key);
    let job = ann.job_with(&id, "succeeded").await;
    assert_eq!(
        (&job["attempt"], &job["result"]["rows"]),
        (&json!(2), &json!(2 * MANY))
    );
    assert_whole(&ann, &id, 2 * MANY).await;
    server.stop();
}
