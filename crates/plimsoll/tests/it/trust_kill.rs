//! The real server, killed under load: what it acknowledged is there, once.
//!
//! `PLIMSOLL_TRUST_ROUNDS` kills more often than the usual five times.

use std::sync::Arc;

use plimsoll_testkit::postgres::empty_database;
use serde_json::json;
use tokio::task::JoinSet;

use crate::crash::{Acknowledged, FILES, upload};
use crate::process::{Installation, Serving};
use crate::trust_load::{Dice, Ledger, Load, Owner, figure, installation, number, on_postgres};

/// Clients that predict at the same time; one more uploads.
const CLIENTS: usize = 4;
/// Answers after which a server is killed at the latest.
const MOST_ANSWERS: usize = 600;
const SPARE: &str = "spare";

struct Trial {
    installation: Installation,
    owner: Owner,
    ledger: Arc<Ledger>,
    uploaded: Vec<Acknowledged>,
    dice: Dice,
}

impl Trial {
    async fn new(installation: Installation) -> Self {
        let owner = Owner::new(&installation);
        let server = installation.serve(&[]);
        owner.upload(&server, "iris").await;
        server.stop();
        Self {
            installation,
            owner,
            ledger: Arc::default(),
            uploaded: Vec::new(),
            dice: Dice::new(),
        }
    }

    async fn rounds(mut self, count: usize) {
        for _ in 0..count {
            let before = self.ledger.acknowledged().len();
            self.kill_under_load().await;
            let server = self.installation.serve(&[]);
            self.owner.recorded(&server).await;
            self.check_round(&server, before).await;
            // Every other time the next kill meets what an orderly stop left.
            if self.dice.between(0, 2) == 0 {
                server.stop();
            }
        }
        let server = self.installation.serve(&[]);
        self.owner.recorded(&server).await;
        self.check_all(&server).await;
        server.stop();
        let (acknowledged, uploads) = (self.ledger.acknowledged().len(), self.uploaded.len());
        figure(
            "P1",
            &format!(
                "kills={count} predictions={acknowledged} uploads={uploads} lost=0 twice=0 \
                 sent={}",
                self.ledger.sent()
            ),
        );
        figure("P3", &format!("kills={count} violations=0"));
    }

    /// Kills the server after a number of answers that chance decides.
    async fn kill_under_load(&mut self) {
        let server = self.installation.serve(&[]);
        let load = Load::start(&self.owner, &server, &self.ledger, CLIENTS);
        let (http, key) = (self.owner.http().clone(), self.owner.admin.clone());
        let url = format!("{}/api/v1/models", server.url());
        let first = self.dice.between(0, FILES.len());
        let mut uploader = JoinSet::new();
        uploader.spawn(async move {
            let mut uploaded = Vec::new();
            for file in FILES.iter().cycle().skip(first) {
                let Some(version) = upload(&http, &key, &url, SPARE, file).await else {
                    break;
                };
                uploaded.push(version);
            }
            uploaded
        });
        load.answered(self.dice.between(1, MOST_ANSWERS)).await;
        // Dropping it sends SIGKILL.
        drop(server);
        load.end().await;
        self.uploaded.extend(uploader.join_all().await.remove(0));
    }

    /// Everything this round acknowledged is found by its id.
    async fn check_round(&self, server: &Serving, before: usize) {
        for id in &self.ledger.acknowledged()[before..] {
            let (status, found) = self
                .owner
                .get(server, &format!("/api/v1/predictions/{id}"))
                .await;
            assert_eq!(status, 200, "{id}: {found}");
            assert_eq!(
                (&found["id"], &found["status"]),
                (&json!(id), &json!("success"))
            );
        }
        self.installation.run(&["doctor", "--deep"]).code(0);
    }

    /// Nothing is lost, nothing is there twice, over all rounds.
    async fn check_all(&self, server: &Serving) {
        self.ledger.check(self.owner.listed(server).await);
        let most = u64::try_from(self.ledger.sent()).unwrap();
        let least = u64::try_from(self.ledger.acknowledged().len()).unwrap();
        let (key, model) = self.owner.counted(server).await;
        for (what, counted) in [("key", key), ("model", model)] {
            assert!(
                (least..=most).contains(&counted),
                "the {what} counts {counted}, {least} acknowledged, {most} sent"
            );
        }
        for wanted in &self.uploaded {
            let path = format!(
                "/api/v1/models/{}/versions/{}",
                wanted.model, wanted.version
            );
            let (status, found) = self.owner.get(server, &path).await;
            assert_eq!(
                (status, &found["sha256"]),
                (200, &json!(wanted.sha256)),
                "{path}"
            );
        }
    }
}

fn rounds() -> usize {
    usize::try_from(number("PLIMSOLL_TRUST_ROUNDS", 5)).unwrap()
}

mod sqlite {
    use super::*;

    /// F110, P1, P3
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_killed_under_load_keeps_all_it_acknowledged_once() {
        let trial = Trial::new(installation()).await;
        trial.rounds(rounds()).await;
    }
}

mod postgres {
    use super::*;

    /// F110, P1, P3, F277
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_killed_under_load_keeps_all_it_acknowledged_once() {
        let Some(database) = empty_database().await else {
            return;
        };
        let trial = Trial::new(on_postgres(&database)).await;
        trial.rounds(rounds()).await;
    }
}
