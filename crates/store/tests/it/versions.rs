//! Versions, promotions and the ledger.

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{ModelId, PromotionId, VersionId};
use plimsoll_core::model::{Stage, Status};
use plimsoll_store::{FlatForm, Lineage, PromotionRow, StoreError, VersionChange, VersionCounts};
use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{ALL, World, page};

async fn stages(world: &World, model: ModelId) -> Vec<(i64, Stage)> {
    let page = world
        .db
        .versions_page(model, None, None, ALL)
        .await
        .unwrap();
    page.items
        .iter()
        .map(|version| (version.number, version.stage))
        .collect()
}

async fn promote(world: &World, model: ModelId, version: VersionId) -> Option<VersionId> {
    let mut tx = world.db.begin().await.unwrap();
    let previous = tx
        .promote_version(model, version, world.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    previous
}

backends! {
    async fn a_version_comes_back_as_it_was_stored(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let mut new = world.new_version(model, ann.id);
        new.label = Some("2026-11-21".into());
        new.verification = Some(json!({"max_difference": 1e-9, "rows": 5}));
        let row = world.insert(new.clone()).await;
        assert_eq!((row.number, &*row.label), (1, "2026-11-21"));
        assert_eq!((row.status, row.stage), (Status::Active, Stage::None));
        assert_eq!((&row.metrics, &row.classes), (&new.metrics, &new.classes));
        assert_eq!(world.db.version_by_id(row.id).await.unwrap().as_ref(), Some(&row));
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.version_by_id(row.id).await.unwrap(), Some(row));
    }

    async fn uploads_at_the_same_moment_get_different_numbers(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let mut uploads = JoinSet::new();
        for _ in 0..50 {
            let (world, owner) = (world.clone(), ann.id);
            uploads.spawn(async move { world.version(model, owner).await.number });
        }
        let mut numbers = uploads.join_all().await;
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
        let row = world.db.model_by_id(model).await.unwrap().unwrap();
        assert_eq!((row.last_version, row.latest_version), (50, Some(50)));
    }

    async fn a_number_is_never_given_twice(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        world.version(model, ann.id).await;
        let second = world.version(model, ann.id).await;
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.delete_version(second.id).await.unwrap(), Some(vec![second.sha256]));
        assert_eq!(tx.delete_version(second.id).await.unwrap(), None);
        tx.commit().await.unwrap();
        assert_eq!(world.version(model, ann.id).await.number, 3);
        // An upload that fails leaves no gap.
        let mut tx = world.db.begin().await.unwrap();
        tx.insert_next_version(world.new_version(model, ann.id)).await.unwrap();
        drop(tx);
        assert_eq!(world.version(model, ann.id).await.number, 4);

        let unknown = world.new_model(ann.id, "x").id;
        let mut tx = world.db.begin().await.unwrap();
        let missing = tx.insert_next_version(world.new_version(unknown, ann.id)).await.unwrap();
        assert!(missing.is_none());
    }

    async fn a_label_is_made_up_unless_given_and_is_unique_in_its_model(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let labelled = |label: &str| {
            let mut version = world.new_version(model, ann.id);
            version.label = Some(label.into());
            version
        };
        world.insert(labelled("2.0.0")).await;
        assert_eq!(world.version(model, ann.id).await.label, "2.0.1");
        assert_eq!(world.version(model, ann.id).await.label, "3.0.0");
        let taken = labelled("2.0.1");
        let mut tx = world.db.begin().await.unwrap();
        let refused = tx.insert_next_version(taken).await;
        assert!(matches!(refused, Err(StoreError::Unique { column }) if column == "versions.label"));
    }

    async fn versions_are_listed_newest_first_by_status_and_tag(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let other = world.model(ann.id, "other").await;
        world.version(other, ann.id).await;
        for _ in 0..3 {
            world.version(model, ann.id).await;
        }
        let second = world.db.versions_page(model, None, None, page(2, 1)).await.unwrap();
        assert_eq!((second.total, second.items[0].number), (3, 2));
        let change = VersionChange {
            tags: Some(vec!["best".into()]),
            status: Some(Status::Archived),
            ..VersionChange::default()
        };
        let mut tx = world.db.begin().await.unwrap();
        tx.update_version(second.items[0].id, change, world.now()).await.unwrap();
        tx.commit().await.unwrap();
        let numbers = async |status, tag| {
            let page = world.db.versions_page(model, status, tag, ALL).await.unwrap();
            assert_eq!(page.total, i64::try_from(page.items.len()).unwrap());
            page.items.iter().map(|version| version.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(None, None).await, [3, 2, 1]);
        assert_eq!(numbers(None, Some("best")).await, [2]);
        assert_eq!(numbers(None, Some("first")).await, [3, 1]);
        assert_eq!(numbers(Some(Status::Archived), None).await, [2]);
        assert_eq!(numbers(Some(Status::Active), Some("best")).await, [0; 0]);
    }

    async fn a_change_touches_only_what_it_names(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let mut row = world.version(model, ann.id).await;
        let mut tx = world.db.begin().await.unwrap();
        let kept = tx.update_version(row.id, VersionChange::default(), world.now()).await.unwrap();
        assert_eq!(kept.as_ref(), Some(&row));
        let change = VersionChange {
            description: Some("better".into()),
            tags: Some(Vec::new()),
            status: Some(Status::Deprecated),
            metrics: Some(json!({"f1": 1})),
            verification: Some(json!({"rows": 1})),
        };
        let now = world.now();
        let changed = tx.update_version(row.id, change, now).await.unwrap();
        (row.description, row.tags) = ("better".into(), Vec::new());
        (row.status, row.status_at) = (Status::Deprecated, now);
        row.metrics = json!({"f1": 1});
        row.verification = Some(json!({"rows": 1}));
        assert_eq!(changed, Some(row));
        let unknown = VersionId::new(&world.ids);
        assert_eq!(tx.update_version(unknown, VersionChange::default(), now).await.unwrap(), None);
    }

    async fn exactly_one_version_is_in_production(world: World) {
        let ann = world.user("ann").await;
        let (model, other) = (world.model(ann.id, "iris").await, world.model(ann.id, "other").await);
        let first = world.version(model, ann.id).await;
        let second = world.version(model, ann.id).await;
        let foreign = world.version(other, ann.id).await;
        promote(&world, other, foreign.id).await;
        assert_eq!(promote(&world, model, first.id).await, None);
        assert_eq!(promote(&world, model, second.id).await, Some(first.id));
        assert_eq!(promote(&world, model, second.id).await, Some(second.id));
        assert_eq!(stages(&world, model).await, [(2, Stage::Production), (1, Stage::None)]);
        assert_eq!(stages(&world, other).await, [(1, Stage::Production)]);

        // Of another model: refused, and what was in production stays so.
        let mut tx = world.db.begin().await.unwrap();
        assert!(tx.promote_version(model, foreign.id, world.now()).await.is_err());
        drop(tx);
        assert_eq!(stages(&world, model).await[0], (2, Stage::Production));

        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.delete_version(second.id).await.unwrap(), None);
        assert!(!tx.set_version_stage(second.id, Stage::Candidate).await.unwrap());
        assert!(tx.set_version_stage(first.id, Stage::Candidate).await.unwrap());
        assert!(tx.delete_version(first.id).await.unwrap().is_some());
    }

    async fn promotions_at_the_same_moment_follow_each_other(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let mut versions = Vec::new();
        for _ in 0..10 {
            versions.push(world.version(model, ann.id).await.id);
        }
        let mut promotions = JoinSet::new();
        for version in versions {
            let world = world.clone();
            promotions.spawn(async move { promote(&world, model, version).await });
        }
        let mut previous = promotions.join_all().await;
        previous.sort_unstable();
        // A chain: one began with nothing, and no version was replaced twice.
        assert_eq!(previous.iter().filter(|id| id.is_none()).count(), 1);
        previous.dedup();
        assert_eq!(previous.len(), 10);
        let in_production = stages(&world, model).await;
        let in_production = in_production.iter().filter(|(_, stage)| *stage == Stage::Production);
        assert_eq!(in_production.count(), 1);
    }

    async fn counts_add_up_on_the_version_and_on_its_model(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let versions = [world.version(model, ann.id).await.id, world.version(model, ann.id).await.id];
        let counts = |version_id, predictions, failures| VersionCounts {
            model_id: model, version_id, predictions, failures,
        };
        let gone = VersionId::new(&world.ids);
        let mut tx = world.db.begin().await.unwrap();
        tx.add_version_counts(&[counts(versions[1], 5, 1), counts(versions[0], 2, 0)]).await.unwrap();
        tx.add_version_counts(&[counts(versions[1], 10, 2), counts(gone, 1, 0)]).await.unwrap();
        tx.commit().await.unwrap();
        for (id, expected) in [(versions[0], (2, 0)), (versions[1], (15, 3))] {
            let row = world.db.version_by_id(id).await.unwrap().unwrap();
            assert_eq!((row.prediction_count, row.failure_count), expected);
        }
        let model = world.db.model_by_id(model).await.unwrap().unwrap();
        assert_eq!(model.prediction_count, 18);
    }

    async fn live_versions_are_all_of_them_with_what_serving_needs(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let first = world.version(model, ann.id).await;
        let second = world.version(model, ann.id).await;
        promote(&world, model, first.id).await;
        let live = world.db.live_versions().await.unwrap();
        let shown: Vec<_> = live.iter().map(|v| (v.id, v.number, v.stage, &*v.label)).collect();
        let (production, none) = (Stage::Production, Stage::None);
        assert_eq!(shown, [(first.id, 1, production, "1.0.0"), (second.id, 2, none, "2.0.0")]);
        let one = &live[0];
        assert_eq!((one.model_id, one.status, one.status_at), (model, Status::Active, first.created_at));
        assert_eq!((one.sha256, one.size_bytes, one.task), (first.sha256, 7, first.task));
        assert_eq!(one.algorithm, first.algorithm);
        assert_eq!(one.created_at, first.created_at);
        assert_eq!(world.db.live_versions_of(model).await.unwrap(), live);
        let models = world.db.live_models().await.unwrap();
        assert_eq!((models[0].id, models[0].owner_id, &*models[0].name), (model, ann.id, "iris"));
        assert_eq!((models[0].status, models.len()), (Status::Active, 1));
        assert_eq!(world.db.live_model(model).await.unwrap().as_ref(), Some(&models[0]));
        assert_eq!(world.db.live_model(ModelId::new(&world.ids)).await.unwrap(), None);
    }

    async fn the_latest_version_follows_every_change_of_versions(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let latest = async || world.db.model_by_id(model).await.unwrap().unwrap().latest_version;
        assert_eq!(latest().await, None);
        let (one, two) = (world.version(model, ann.id).await, world.version(model, ann.id).await);
        let mut candidate = world.new_version(model, ann.id);
        candidate.stage = Stage::Candidate;
        let three = world.insert(candidate).await;
        assert_eq!(latest().await, Some(2));
        let mut tx = world.db.begin().await.unwrap();
        assert!(tx.set_version_stage(three.id, Stage::None).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(latest().await, Some(3));
        let mut tx = world.db.begin().await.unwrap();
        let archived = VersionChange { status: Some(Status::Archived), ..VersionChange::default() };
        tx.update_version(three.id, archived, world.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(latest().await, Some(2));
        let mut tx = world.db.begin().await.unwrap();
        tx.delete_version(two.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(latest().await, Some(1));
        let mut tx = world.db.begin().await.unwrap();
        assert!(tx.set_version_stage(one.id, Stage::Candidate).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(latest().await, None);
        promote(&world, model, one.id).await;
        assert_eq!(latest().await, Some(1));
    }

    async fn lineage_is_kept_as_it_was_given(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let mut new = world.new_version(model, ann.id);
        new.lineage = Lineage {
            parent_version: Some(3),
            job_id: Some("job_1".into()),
            dataset_id: Some("dst_1".into()),
        };
        let version = world.insert(new.clone()).await;
        assert_eq!(version.lineage, new.lineage);
        assert_eq!(world.db.version_by_id(version.id).await.unwrap(), Some(version));
    }

    async fn a_content_is_needed_until_its_last_version_is_gone(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let (one, two) = (world.version(model, ann.id).await, world.version(model, ann.id).await);
        let mut tx = world.db.begin().await.unwrap();
        for (version, left) in [(one, 1), (two, 0)] {
            tx.delete_version(version.id).await.unwrap();
            assert_eq!(tx.uses_of_content(&version.sha256).await.unwrap(), left);
        }
        assert_eq!(tx.uses_of_content(&Digest::of(b"other")).await.unwrap(), 0);
    }

    async fn sample_rows_are_read_back_carried_to_serving_and_named_like_a_content(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let mut new = world.new_version(model, ann.id);
        let samples = Digest::of(b"rows");
        new.samples = Some(samples);
        let version = world.insert(new).await;
        let read = world.db.version_by_id(version.id).await.unwrap().unwrap();
        assert_eq!((read.samples, &read), (Some(samples), &version));
        assert_eq!(world.db.live_versions().await.unwrap()[0].samples, Some(samples));
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.uses_of_content(&samples).await.unwrap(), 1);
        let mut both = vec![samples, version.sha256];
        both.sort();
        assert_eq!(tx.delete_model(model).await.unwrap(), both);
        assert_eq!(tx.uses_of_content(&samples).await.unwrap(), 0);
    }

    async fn a_content_has_one_flat_form_which_leaves_with_its_last_version(world: World) {
        let ann = world.user("ann").await;
        let (one, two) = (world.model(ann.id, "one").await, world.model(ann.id, "two").await);
        let version = world.version(one, ann.id).await;
        world.version(two, ann.id).await;
        let form = |version: &str| FlatForm { version: version.into(), digest: Digest::of(version.as_bytes()) };
        let mut tx = world.db.begin().await.unwrap();
        for (before, now) in [(None, "1"), (Some("1"), "2")] {
            let put = tx.put_flat_form(&version.sha256, &form(now)).await.unwrap();
            assert_eq!(put, before.map(form));
        }
        assert_eq!(tx.uses_of_content(&form("1").digest).await.unwrap(), 0);
        assert_eq!(tx.uses_of_content(&form("2").digest).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(world.db.flat_form(&version.sha256).await.unwrap(), Some(form("2")));
        for live in world.db.live_versions().await.unwrap() {
            assert_eq!((live.flat_version.as_deref(), live.flat), (Some("2"), Some(form("2").digest)));
        }
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.delete_model(one).await.unwrap(), [version.sha256]);
        assert_eq!(tx.delete_model(two).await.unwrap(), [version.sha256, form("2").digest]);
        tx.commit().await.unwrap();
        assert_eq!(world.db.flat_form(&version.sha256).await.unwrap(), None);
    }

    async fn the_ledger_outlives_what_it_names(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let version = world.version(model, ann.id).await.id;
        let mut entries = Vec::new();
        let mut tx = world.db.begin().await.unwrap();
        for previous in [None, Some(version)] {
            let entry = PromotionRow {
                id: PromotionId::new(&world.ids),
                model_id: model,
                version_id: version,
                previous_version_id: previous,
                action: "promote".into(),
                by_user_id: ann.id,
                at: world.now(),
            };
            tx.insert_promotion(&entry).await.unwrap();
            entries.insert(0, entry);
        }
        tx.delete_model(model).await.unwrap();
        tx.delete_user(ann.id).await.unwrap();
        tx.commit().await.unwrap();
        let listed = world.db.promotions_page(model, ALL).await.unwrap();
        assert_eq!((listed.total, listed.items), (2, entries));
    }
}
