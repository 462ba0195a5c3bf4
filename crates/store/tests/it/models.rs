//! Models, their lists and filters.

use plimsoll_core::digest::Digest;
use plimsoll_core::id::UserId;
use plimsoll_core::model::{Stage, Status};
use plimsoll_core::record::{Capture, CapturePolicy, Redaction};
use plimsoll_core::schema::Task;
use plimsoll_store::{ModelChange, ModelFilter, ModelRow, ModelSort, SortOrder};

use crate::world::{ALL, World, page};

async fn names(world: &World, owner: UserId, filter: ModelFilter) -> Vec<String> {
    let page = world.db.models_page(owner, &filter, ALL).await.unwrap();
    assert_eq!(page.total, i64::try_from(page.items.len()).unwrap());
    page.items.into_iter().map(|model| model.name).collect()
}

async fn update(world: &World, model: plimsoll_core::id::ModelId, change: ModelChange) -> ModelRow {
    let mut tx = world.db.begin().await.unwrap();
    let row = tx
        .update_model(model, change, world.now())
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        world.db.model_by_id(model).await.unwrap().as_ref(),
        Some(&row)
    );
    row
}

backends! {
    async fn a_model_is_found_by_id_and_by_its_owners_name_for_it(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let mut new = world.new_model(ann.id, "iris");
        new.tags = vec!["a".into(), "\"b\"\n".into()];
        let mut tx = world.db.begin().await.unwrap();
        tx.insert_model(&new).await.unwrap();
        let expected = ModelRow {
            id: new.id,
            owner_id: ann.id,
            name: "iris".into(),
            description: String::new(),
            tags: new.tags.clone(),
            task: Task::Classification,
            status: Status::Active,
            status_at: new.created_at,
            last_version: 0,
            latest_version: None,
            production_version: None,
            prediction_count: 0,
            capture: CapturePolicy::default(),
            created_at: new.created_at,
            updated_at: new.created_at,
        };
        assert_eq!(tx.model_by_id(new.id).await.unwrap().as_ref(), Some(&expected));
        assert_eq!(tx.model_by_name(ann.id, "iris").await.unwrap().as_ref(), Some(&expected));
        tx.commit().await.unwrap();
        assert_eq!(world.db.model_by_id(new.id).await.unwrap().as_ref(), Some(&expected));
        assert_eq!(world.db.model_by_name(ann.id, "iris").await.unwrap(), Some(expected));
        assert_eq!(world.db.model_by_name(ann.id, "Iris").await.unwrap(), None);
        assert_eq!(world.db.model_by_name(bob.id, "iris").await.unwrap(), None);
    }

    async fn names_are_unique_per_owner(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        world.model(ann.id, "iris").await;
        world.model(bob.id, "iris").await;
        let twin = world.new_model(ann.id, "iris");
        let mut tx = world.db.begin().await.unwrap();
        assert!(!tx.insert_model(&twin).await.unwrap());
        assert_eq!(tx.model_by_id(twin.id).await.unwrap(), None);
    }

    async fn a_list_can_be_cut_down_to_some_ids(world: World) {
        let ann = world.user("ann").await;
        let (first, _second) = (world.model(ann.id, "a").await, world.model(ann.id, "b").await);
        let filter = ModelFilter { only: vec![first], ..ModelFilter::default() };
        let page = world.db.models_page(ann.id, &filter, plimsoll_core::page::PageRequest::default()).await.unwrap();
        assert_eq!((page.total, page.items[0].id), (1, first));
    }

    async fn lists_are_sorted_as_asked_and_cut_into_pages(world: World) {
        let ann = world.user("ann").await;
        let mut ids = Vec::new();
        for name in ["b", "C", "a", "é"] {
            ids.push(world.model(ann.id, name).await);
        }
        for (model, versions) in [(0, 2), (1, 11)] {
            for _ in 0..versions {
                world.version(ids[model], ann.id).await;
            }
        }
        update(&world, ids[2], ModelChange::default()).await;
        for (sort_by, ascending) in [
            (ModelSort::CreatedAt, ["b", "C", "a", "é"]),
            // By code point on both back ends, whatever the server's locale.
            (ModelSort::Name, ["C", "a", "b", "é"]),
            (ModelSort::UpdatedAt, ["é", "b", "C", "a"]),
            (ModelSort::Version, ["é", "a", "b", "C"]),
        ] {
            let filter = |sort_order| ModelFilter { sort_by, sort_order, ..ModelFilter::default() };
            assert_eq!(names(&world, ann.id, filter(SortOrder::Ascending)).await, ascending, "{sort_by:?}");
            let descending = names(&world, ann.id, filter(SortOrder::Descending)).await;
            // Equal ones (no version yet) keep the order newest first.
            let mut expected = ascending;
            expected.reverse();
            if sort_by == ModelSort::Version {
                expected.swap(2, 3);
            }
            assert_eq!(descending, expected, "{sort_by:?}");
        }
        let second = world.db.models_page(ann.id, &ModelFilter::default(), page(2, 3)).await.unwrap();
        assert_eq!((second.total, second.items.len()), (4, 1));
        assert_eq!(second.items[0].id, ids[0]);
    }

    async fn filters_narrow_a_list_together(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let describe = |description: &str, tags: &[&str]| ModelChange {
            description: Some(description.into()),
            tags: Some(tags.iter().map(|&tag| tag.to_owned()).collect()),
            ..ModelChange::default()
        };
        let iris = world.model(ann.id, "iris").await;
        update(&world, iris, describe("Petal LÄNGE, 100% sure", &["flower", "v_1"])).await;
        let churn = world.model(ann.id, "churn").await;
        update(&world, churn, describe("who leaves", &["Flower", "a\"b"])).await;
        let old = world.model(ann.id, "old").await;
        let archive = ModelChange { status: Some(Status::Archived), ..ModelChange::default() };
        update(&world, old, archive).await;
        let sales = world.model(bob.id, "sales").await;
        for forecast in [churn, sales] {
            update(&world, forecast, ModelChange { task: Some(Task::Forecast), ..ModelChange::default() }).await;
        }

        let any = ModelFilter::default;
        let search = |text: &str| ModelFilter { search: Some(text.into()), ..any() };
        let tag = |text: &str| ModelFilter { tag: Some(text.into()), ..any() };
        let status = |status| ModelFilter { status: Some(status), ..any() };
        let cases: Vec<(ModelFilter, &[&str])> = vec![
            (any(), &["churn", "iris"]),
            (status(Status::Archived), &["old"]),
            (status(Status::Active), &["churn", "iris"]),
            (status(Status::Deprecated), &[]),
            (ModelFilter { task: Some(Task::Forecast), ..any() }, &["churn"]),
            (search("petal länge"), &["iris"]),
            (search("FLOWER"), &["churn", "iris"]),
            (search("100%"), &["iris"]),
            (search("1%0"), &[]),
            (search("i_is"), &[]),
            (search("\\"), &[]),
            (tag("flower"), &["iris"]),
            (tag("Flower"), &["churn"]),
            (tag("flow"), &[]),
            (tag("a\"b"), &["churn"]),
            (tag("b"), &[]),
            (tag("v_1"), &["iris"]),
            (ModelFilter { tag: Some("Flower".into()), ..search("LEAVES") }, &["churn"]),
        ];
        for (filter, expected) in cases {
            let shown = format!("{filter:?}");
            assert_eq!(names(&world, ann.id, filter).await, expected, "{shown}");
        }
        assert_eq!(names(&world, bob.id, any()).await, ["sales"]);
        assert!(names(&world, bob.id, search("leaves")).await.is_empty());
    }

    async fn a_catalog_is_what_stands_before_the_first_dot(world: World) {
        let ann = world.user("ann").await;
        for name in ["sales.shops.demand", "sales.web", "sales", "salesman.x", "Sales.y", "x.sales.y"] {
            world.model(ann.id, name).await;
        }
        for (catalog, expected) in [
            ("sales", vec!["sales.web", "sales.shops.demand"]), ("Sales", vec!["Sales.y"]),
            ("sales.shops", vec!["sales.shops.demand"]), ("%", vec![]), ("s_les", vec![]),
        ] {
            let filter = ModelFilter { catalog: Some(catalog.into()), ..ModelFilter::default() };
            assert_eq!(names(&world, ann.id, filter).await, expected, "{catalog}");
        }
    }

    async fn what_is_captured_is_read_back_and_carried_to_serving(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let capture = CapturePolicy {
            mode: Capture::Sampled { rate: 0.1 },
            redact: [("age".to_owned(), Redaction::Mask { keep_last: 2 })].into(),
        };
        let change = ModelChange { capture: Some(capture.clone()), ..ModelChange::default() };
        assert_eq!(update(&world, model, change).await.capture, capture);
        assert_eq!(world.db.live_models().await.unwrap()[0].capture, capture);
        let later = update(&world, model, ModelChange::default()).await;
        assert_eq!(later.capture, capture);
    }

    async fn a_change_is_searchable_at_once(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let before = world.db.model_by_id(model).await.unwrap().unwrap();
        let change = ModelChange { name: Some("Lily".into()), status: Some(Status::Deprecated), ..ModelChange::default() };
        let after = update(&world, model, change).await;
        assert!(after.updated_at > before.updated_at);
        assert_eq!(after, ModelRow {
            name: "Lily".into(),
            status: Status::Deprecated,
            status_at: after.updated_at,
            updated_at: after.updated_at,
            ..before
        });
        let search = |text: &str| ModelFilter { search: Some(text.into()), ..ModelFilter::default() };
        assert_eq!(names(&world, ann.id, search("lily")).await, ["Lily"]);
        assert!(names(&world, ann.id, search("iris")).await.is_empty());

        let unknown = world.new_model(ann.id, "x").id;
        let mut tx = world.db.begin().await.unwrap();
        let missing = tx.update_model(unknown, ModelChange::default(), world.now()).await.unwrap();
        assert_eq!(missing, None);
        assert!(!tx.touch_model(unknown, world.now()).await.unwrap());
    }

    async fn a_row_shows_its_latest_and_its_production_version(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let first = world.version(model, ann.id).await;
        world.version(model, ann.id).await;
        let mut candidate = world.new_version(model, ann.id);
        candidate.stage = Stage::Candidate;
        world.insert(candidate).await;
        let mut tx = world.db.begin().await.unwrap();
        tx.promote_version(model, first.id, world.now()).await.unwrap();
        tx.commit().await.unwrap();
        let row = world.db.model_by_id(model).await.unwrap().unwrap();
        assert_eq!((row.last_version, row.latest_version, row.production_version), (3, Some(2), Some(1)));
    }

    async fn deleting_a_model_names_the_contents_it_had(world: World) {
        let ann = world.user("ann").await;
        let model = world.model(ann.id, "iris").await;
        let other = world.model(ann.id, "other").await;
        for content in [&b"one"[..], b"two", b"two"] {
            let mut version = world.new_version(model, ann.id);
            version.sha256 = Digest::of(content);
            world.insert(version).await;
        }
        world.version(other, ann.id).await;
        let mut tx = world.db.begin().await.unwrap();
        let mut expected = vec![Digest::of(b"one"), Digest::of(b"two")];
        expected.sort();
        assert_eq!(tx.delete_model(model).await.unwrap(), expected);
        assert_eq!(tx.delete_model(model).await.unwrap(), []);
        tx.commit().await.unwrap();
        assert_eq!(world.db.model_by_id(model).await.unwrap(), None);
        assert_eq!(world.db.live_versions().await.unwrap().len(), 1);
    }

    async fn all_models_of_a_person_are_archived_together(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let models = [world.model(ann.id, "a").await, world.model(ann.id, "b").await];
        world.model(bob.id, "c").await;
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.models_of_user(ann.id).await.unwrap(), models);
        assert_eq!(tx.archive_models_of_user(ann.id, world.now()).await.unwrap(), 2);
        assert_eq!(tx.archive_models_of_user(ann.id, world.now()).await.unwrap(), 0);
        tx.commit().await.unwrap();
        assert_eq!(names(&world, bob.id, ModelFilter::default()).await, ["c"]);
        assert!(names(&world, ann.id, ModelFilter::default()).await.is_empty());
    }
}
