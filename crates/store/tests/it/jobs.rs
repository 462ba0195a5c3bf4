//! Jobs: claimed once, kept by a lease, ended once.

use std::time::Duration;

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{JobId, KeyId, ModelId, UserId, WorkerId};
use plimsoll_core::job::JobState;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{
    Claim, JobFile, JobFileRole, JobFilter, JobOutcome, JobProgress, JobRow, NewJob, Tx,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{ALL, World};

const LEASE: Duration = Duration::from_secs(30);

fn new_job(world: &World, owner: UserId) -> NewJob {
    NewJob {
        id: JobId::new(&world.ids),
        kind: "batch",
        owner_id: owner,
        key_id: Some(KeyId::new(&world.ids)),
        model_id: Some(ModelId::new(&world.ids)),
        input: json!({"rows": 3}),
        max_attempts: 3,
        unique_key: None,
        created_at: world.now(),
    }
}

/// Does something in a transaction of its own.
async fn write<T>(world: &World, work: impl AsyncFnOnce(&mut Tx) -> T) -> T {
    let mut tx = world.db.begin().await.unwrap();
    let outcome = work(&mut tx).await;
    tx.commit().await.unwrap();
    outcome
}

async fn add(world: &World, job: &NewJob) -> bool {
    write(world, async |tx| tx.insert_job(job).await.unwrap()).await
}

async fn claim(world: &World, worker: WorkerId, now: Timestamp) -> Option<(Claim, JobRow)> {
    let claimed = write(world, async |tx| {
        tx.claim_job(worker, now, now.plus(LEASE)).await.unwrap()
    });
    let row = claimed.await?;
    let claim = Claim {
        job: row.id,
        worker,
        attempt: row.attempt,
    };
    Some((claim, row))
}

async fn end(world: &World, claim: Claim, outcome: JobOutcome) -> bool {
    let (now, progress) = (world.now(), JobProgress::default());
    write(world, async |tx| {
        tx.end_job(claim, &outcome, &progress, now).await.unwrap()
    })
    .await
}

async fn state(world: &World, id: JobId) -> JobState {
    world.db.job_by_id(id).await.unwrap().unwrap().state
}

backends! {
    async fn a_job_is_claimed_worked_on_and_ended(world: World) {
        let (ann, worker) = (world.user("ann").await, WorkerId::new(&world.ids));
        let new = new_job(&world, ann.id);
        assert!(add(&world, &new).await);
        let queued = world.db.job_by_id(new.id).await.unwrap().unwrap();
        assert_eq!((queued.state, queued.attempt, queued.started_at), (JobState::Queued, 0, None));
        assert_eq!((queued.key_id, queued.model_id, &queued.input), (new.key_id, new.model_id, &new.input));
        assert!(!world.db.is_job_due(Timestamp::from_micros(0)).await.unwrap());
        let now = world.now();
        assert!(world.db.is_job_due(now).await.unwrap());
        let (held, row) = claim(&world, worker, now).await.unwrap();
        assert_eq!((row.state, row.attempt, row.started_at), (JobState::Running, 1, Some(now)));
        assert_eq!(claim(&world, worker, now).await, None);
        let progress = JobProgress { done: 2, total: Some(3), phase: "predicting", message: "2 of 3 rows".into() };
        let until = now.plus(LEASE);
        let stop = write(&world, async |tx| tx.renew_job(held, until, &progress).await.unwrap()).await;
        assert_eq!(stop, Some(false));
        let row = world.db.job_by_id(new.id).await.unwrap().unwrap();
        assert_eq!((row.done, row.total, &*row.phase, &*row.message), (2, Some(3), "predicting", "2 of 3 rows"));
        let done = JobOutcome::Succeeded(json!({"rows": 3}));
        assert!(end(&world, held, done.clone()).await);
        assert!(!end(&world, held, done).await, "a job ends once");
        let row = world.db.job_by_id(new.id).await.unwrap().unwrap();
        assert_eq!((row.state, row.result), (JobState::Succeeded, Some(json!({"rows": 3}))));
        assert!(row.finished_at.is_some());
        assert_eq!(claim(&world, worker, world.now().plus(LEASE * 9)).await, None);
    }

    async fn one_job_is_claimed_by_one_of_many(world: World) {
        let ann = world.user("ann").await;
        let mut wanted = Vec::new();
        for _ in 0..6 {
            let new = new_job(&world, ann.id);
            add(&world, &new).await;
            wanted.push(new.id);
        }
        let (now, mut workers) = (world.now(), JoinSet::new());
        for _ in 0..12 {
            let world = world.clone();
            workers.spawn(async move {
                claim(&world, WorkerId::new(&world.ids), now).await.map(|(claim, _)| claim.job)
            });
        }
        let mut claimed: Vec<JobId> = workers.join_all().await.into_iter().flatten().collect();
        claimed.sort_unstable();
        assert_eq!(claimed, wanted);
    }

    async fn a_lease_that_ran_out_is_somebody_elses(world: World) {
        let ann = world.user("ann").await;
        let new = new_job(&world, ann.id);
        add(&world, &new).await;
        let (first, second) = (WorkerId::new(&world.ids), WorkerId::new(&world.ids));
        let now = world.now();
        let (lost, _) = claim(&world, first, now).await.unwrap();
        assert_eq!(claim(&world, second, now.plus(LEASE)).await, None);
        let later = now.plus(LEASE + Duration::from_secs(1));
        let (held, row) = claim(&world, second, later).await.unwrap();
        assert_eq!((held.job, row.attempt), (new.id, 2));
        let progress = JobProgress::default();
        let renewed = write(&world, async |tx| tx.renew_job(lost, later, &progress).await.unwrap()).await;
        assert_eq!(renewed, None);
        assert!(!end(&world, lost, JobOutcome::Succeeded(json!(1))).await);
        assert_eq!(state(&world, new.id).await, JobState::Running);
        assert!(end(&world, held, JobOutcome::Failed(json!({"code": "x"}))).await);
    }

    async fn what_failed_runs_again_later_and_what_was_given_back_at_once(world: World) {
        let (ann, worker) = (world.user("ann").await, WorkerId::new(&world.ids));
        let new = new_job(&world, ann.id);
        add(&world, &new).await;
        let now = world.now();
        let (held, _) = claim(&world, worker, now).await.unwrap();
        let again = now.plus(Duration::from_mins(5));
        assert!(end(&world, held, JobOutcome::Again(again)).await);
        assert_eq!(claim(&world, worker, now.plus(Duration::from_mins(4))).await, None);
        let (_, row) = claim(&world, worker, again).await.unwrap();
        assert_eq!(row.attempt, 2);
        let released = write(&world, async |tx| tx.release_jobs(worker, again).await.unwrap()).await;
        assert_eq!(released, 1);
        let (_, row) = claim(&world, worker, again).await.unwrap();
        assert_eq!(row.attempt, 2, "an attempt that was given back does not count");
    }

    async fn a_queued_job_is_cancelled_at_once_and_a_running_one_is_asked_to(world: World) {
        let (ann, worker) = (world.user("ann").await, WorkerId::new(&world.ids));
        let (queued, running) = (new_job(&world, ann.id), new_job(&world, ann.id));
        add(&world, &running).await;
        let (held, _) = claim(&world, worker, world.now()).await.unwrap();
        add(&world, &queued).await;
        let now = world.now();
        for (id, expected) in [(queued.id, JobState::Cancelled), (running.id, JobState::Running)] {
            let row = write(&world, async |tx| tx.cancel_job(id, now).await.unwrap()).await.unwrap();
            assert_eq!((row.state, row.cancel_requested), (expected, true));
            assert_eq!(row.finished_at.is_some(), expected.is_final());
        }
        let again = write(&world, async |tx| tx.cancel_job(queued.id, now).await.unwrap()).await;
        assert_eq!(again, None);
        let progress = JobProgress::default();
        let stop = write(&world, async |tx| tx.renew_job(held, now, &progress).await.unwrap()).await;
        assert_eq!(stop, Some(true));
        assert!(end(&world, held, JobOutcome::Cancelled).await);
        assert_eq!(state(&world, running.id).await, JobState::Cancelled);
    }

    async fn a_person_queues_a_job_again_only_so_often(world: World) {
        let ann = world.user("ann").await;
        let new = new_job(&world, ann.id);
        add(&world, &new).await;
        let retry = async || {
            let now = world.now();
            write(&world, async |tx| tx.retry_job(new.id, 2, now).await.unwrap()).await
        };
        assert_eq!(retry().await, None, "it did not end yet");
        for retries in 1..=2 {
            let now = world.now();
            write(&world, async |tx| tx.cancel_job(new.id, now).await.unwrap()).await.unwrap();
            let row = retry().await.unwrap();
            assert_eq!((row.state, row.retries, row.cancel_requested), (JobState::Queued, retries, false));
        }
        let now = world.now();
        write(&world, async |tx| tx.cancel_job(new.id, now).await.unwrap()).await.unwrap();
        assert_eq!(retry().await, None);
    }

    async fn one_unfinished_job_has_a_unique_key(world: World) {
        let ann = world.user("ann").await;
        let keyed = || NewJob { unique_key: Some("retrain:iris".into()), ..new_job(&world, ann.id) };
        let first = keyed();
        assert!(add(&world, &first).await);
        assert!(!add(&world, &keyed()).await);
        let now = world.now();
        write(&world, async |tx| tx.cancel_job(first.id, now).await.unwrap()).await.unwrap();
        assert!(add(&world, &keyed()).await);
        assert!(add(&world, &new_job(&world, ann.id)).await);
        assert!(add(&world, &new_job(&world, ann.id)).await);
    }

    async fn jobs_are_listed_by_owner_kind_state_and_model(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let (first, second, foreign) =
            (new_job(&world, ann.id), new_job(&world, ann.id), new_job(&world, bob.id));
        for job in [&first, &second, &foreign] {
            add(&world, job).await;
        }
        let now = world.now();
        write(&world, async |tx| tx.cancel_job(first.id, now).await.unwrap()).await.unwrap();
        let own = JobFilter { owner_id: Some(ann.id), ..JobFilter::default() };
        for (filter, expected) in [
            (JobFilter::default(), vec![foreign.id, second.id, first.id]),
            (own.clone(), vec![second.id, first.id]),
            (JobFilter { state: Some(JobState::Cancelled), ..own.clone() }, vec![first.id]),
            (JobFilter { kind: Some("batch".into()), ..own.clone() }, vec![second.id, first.id]),
            (JobFilter { kind: Some("train".into()), ..own.clone() }, vec![]),
            (JobFilter { models: vec![second.model_id.unwrap()], ..own }, vec![second.id]),
        ] {
            let page = world.db.jobs_page(&filter, ALL).await.unwrap();
            let ids: Vec<JobId> = page.items.iter().map(|job| job.id).collect();
            assert_eq!((ids, page.total), (expected.clone(), i64::try_from(expected.len()).unwrap()));
        }
    }

    async fn events_are_numbered_and_go_with_their_job(world: World) {
        let ann = world.user("ann").await;
        let new = new_job(&world, ann.id);
        add(&world, &new).await;
        let now = world.now();
        write(&world, async |tx| {
            for event in ["queued", "started", "succeeded"] {
                tx.insert_job_event(new.id, now, (event, "")).await.unwrap();
            }
            assert!(!tx.delete_job(new.id).await.unwrap(), "it did not end yet");
            tx.cancel_job(new.id, now).await.unwrap();
        })
        .await;
        let events = world.db.job_events(new.id, 1, 1).await.unwrap();
        assert_eq!((events.len(), events[0].number, &*events[0].event), (1, 2, "started"));
        let gone = world.db.jobs_finished_before(now, 9).await.unwrap();
        assert_eq!(gone, []);
        let gone = world.db.jobs_finished_before(now.plus(LEASE), 9).await.unwrap();
        assert_eq!(gone[0].id, new.id);
        assert!(write(&world, async |tx| tx.delete_job(new.id).await.unwrap()).await);
        assert_eq!(world.db.job_by_id(new.id).await.unwrap(), None);
        assert_eq!(world.db.job_events(new.id, 0, 9).await.unwrap(), []);
    }

    async fn the_contents_of_a_job_are_in_use_until_it_goes(world: World) {
        let ann = world.user("ann").await;
        let (one, other) = (new_job(&world, ann.id), new_job(&world, ann.id));
        let file = |byte| JobFile { digest: Digest::from_bytes([byte; 32]), size_bytes: 7 };
        let (input, result) = (file(1), file(2));
        for job in [&one, &other] {
            add(&world, job).await;
        }
        write(&world, async |tx| {
            for job in [one.id, other.id] {
                tx.put_job_file(job, JobFileRole::Input, input).await.unwrap();
            }
            for found in [file(3), result] {
                tx.put_job_file(one.id, JobFileRole::Result, found).await.unwrap();
            }
            assert_eq!(tx.uses_of_content(&input.digest).await.unwrap(), 2);
            assert_eq!(tx.uses_of_content(&file(3).digest).await.unwrap(), 0);
        })
        .await;
        let found = world.db.job_file(one.id, JobFileRole::Result).await.unwrap();
        assert_eq!(found, Some(result));
        assert_eq!(world.db.job_file(other.id, JobFileRole::Result).await.unwrap(), None);
        write(&world, async |tx| {
            assert_eq!(tx.drop_job_files(one.id).await.unwrap().len(), 2);
            assert_eq!(tx.uses_of_content(&input.digest).await.unwrap(), 1);
            assert_eq!(tx.delete_jobs_of_user(ann.id).await.unwrap(), [input]);
        })
        .await;
        assert_eq!(world.db.job_by_id(one.id).await.unwrap(), None);
    }
}
