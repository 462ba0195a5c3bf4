//! The real server, killed while it takes uploads: what it acknowledged is there.

use std::path::Path;
use std::sync::{Arc, Mutex};

use plimsoll_store::DatabaseUrl;
use plimsoll_testkit::fixture;
use plimsoll_testkit::postgres::empty_database;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::{Installation, Serving};

pub(crate) const FILES: [&str; 6] = [
    "iris_logistic.joblib",
    "iris_tree.pkl",
    "iris_text.pkl",
    "iris_forest_p5.pkl",
    "iris_ovr.pkl",
    "iris_weighted.joblib",
];
/// People who upload at the same time.
const CLIENTS: usize = 4;

/// One version that the server said it has.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) model: String,
    pub(crate) version: i64,
    pub(crate) sha256: String,
}

struct Trial {
    installation: Installation,
    client: reqwest::Client,
    key: String,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
}

impl Trial {
    fn new(installation: Installation) -> Self {
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
        let key = installation.run(&create).code(0).json()["api_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            installation,
            client,
            key,
            acknowledged: Arc::default(),
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Kills the server as soon as it has acknowledged `more` uploads.
    async fn kill_during_uploads(&self, round: usize, more: usize) {
        let server = self.installation.serve(&[]);
        let url = format!("{}/api/v1/models", server.url());
        let enough = self.count() + more;
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (http, key, url) = (self.client.clone(), self.key.clone(), url.clone());
            let acknowledged = self.acknowledged.clone();
            clients.spawn(async move {
                for turn in 0.. {
                    // Everybody adds to one model, and now and then makes another.
                    let name = if turn % 3 == 0 {
                        format!("m-{round}-{client}-{turn}")
                    } else {
                        "shared".to_owned()
                    };
                    let file = FILES[(turn + client) % FILES.len()];
                    let Some(added) = upload(&http, &key, &url, &name, file).await else {
                        return;
                    };
                    acknowledged.lock().unwrap().push(added);
                }
            });
        }
        while self.count() < enough {
            tokio::task::yield_now().await;
        }
        // Dropping it sends SIGKILL.
        drop(server);
        clients.join_all().await;
    }

    /// Everything acknowledged is there, whole, and answers.
    async fn check(&self, server: &Serving) {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        for Acknowledged {
            model,
            version,
            sha256,
        } in acknowledged
        {
            let path = format!("{}/api/v1/models/{model}/versions/{version}", server.url());
            let answer = self
                .client
                .get(&path)
                .bearer_auth(&self.key)
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200, "{model} {version}");
            let found: Value = answer.json().await.unwrap();
            assert_eq!(
                (&found["sha256"], &found["version"]),
                (&json!(sha256), &json!(version)),
                "{model}"
            );
            let rows = json!({"inputs": [[5.1, 3.5, 1.4, 0.2]]});
            let request = self
                .client
                .post(format!("{path}/predict"))
                .bearer_auth(&self.key)
                .json(&rows);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{model} {version}");
        }
        assert_eq!(
            files(&self.installation.path("data/tmp")),
            Vec::<String>::new()
        );
        self.installation.run(&["doctor", "--deep"]).code(0);
    }

    async fn rounds(&self, count: usize) {
        for round in 0..count {
            self.kill_during_uploads(round, 5 + 3 * round).await;
            let server = self.installation.serve(&[]);
            self.check(&server).await;
            // Every other time the next kill meets a server that was stopped in order.
            if round % 2 == 0 {
                server.stop();
            }
        }
        assert!(self.count() >= 5 * count);
    }
}

/// `None` if the server is gone.
pub(crate) async fn upload(
    http: &reqwest::Client,
    key: &str,
    url: &str,
    name: &str,
    file: &str,
) -> Option<Acknowledged> {
    let content = fixture(&format!("sklearn/1.5.2/{file}"));
    let content = reqwest::multipart::Part::bytes(content).file_name(file.to_owned());
    let form = reqwest::multipart::Form::new()
        .text("name", name.to_owned())
        .part("file", content);
    let answer = http
        .post(url)
        .bearer_auth(key)
        .multipart(form)
        .send()
        .await
        .ok()?;
    let status = answer.status();
    let added: Value = answer.json().await.ok()?;
    assert_eq!(status, 201, "{added}");
    Some(Acknowledged {
        model: name.to_owned(),
        version: added["version"]["version"].as_i64().unwrap(),
        sha256: added["version"]["sha256"].as_str().unwrap().to_owned(),
    })
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

mod sqlite {
    use super::*;

    /// F086, P3
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_killed_during_uploads_keeps_all_it_acknowledged() {
        Trial::new(Installation::new()).rounds(5).await;
    }
}

mod postgres {
    use super::*;

    /// F086, P3, F277
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_killed_during_uploads_keeps_all_it_acknowledged() {
        let Some(database) = empty_database().await else {
            return;
        };
        let DatabaseUrl::Postgres { url } = database.url() else {
            unreachable!("this is PostgreSQL")
        };
        let secret = Installation::new()
            .run(&["secret", "generate"])
            .code(0)
            .stdout;
        let installation = Installation::new()
            .with("DATABASE_URL", url.expose())
            .with("PLIMSOLL_AUTH__SECRET", secret.trim());
        installation.run(&["migrate"]).code(0);
        Trial::new(installation).rounds(5).await;
    }
}
