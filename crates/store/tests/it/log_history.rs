//! The log's lists, held to a naive reading of all rows.

use plimsoll_core::id::{KeyId, ModelId, UserId, VersionId};
use plimsoll_core::time::Timestamp;
use plimsoll_store::{InvalidCursor, PredictionFilter, PredictionRow, PredictionStatus};

use crate::log_world::{LogWorld, START, on_both_logs};

/// What a filter means, said once more without a database.
fn passes(filter: &PredictionFilter, row: &PredictionRow) -> bool {
    let contains = |text: &Option<String>, part: &str| {
        text.as_ref()
            .is_some_and(|text| text.to_ascii_lowercase().contains(part))
    };
    let found = filter.search.as_ref().is_none_or(|part| {
        let part = part.to_ascii_lowercase();
        [&row.input, &row.output, &row.request_id]
            .iter()
            .any(|text| contains(text, &part))
            || row.header_request_id.to_ascii_lowercase().contains(&part)
    });
    found
        && row.owner_id == filter.owner
        && (filter.models.is_empty() || filter.models.contains(&row.model_id))
        && filter.model.is_none_or(|model| row.model_id == model)
        && filter
            .version
            .is_none_or(|version| row.version_id == version)
        && (filter.endpoint.is_none() || row.endpoint == filter.endpoint)
        && (filter.key.is_none() || row.key_id == filter.key)
        && filter.status.is_none_or(|status| row.status() == status)
        && filter.from.is_none_or(|from| row.created_at >= from)
        && filter.to.is_none_or(|to| row.created_at < to)
}

/// The rows that pass, newest first.
fn expected(filter: &PredictionFilter, rows: &[PredictionRow]) -> Vec<PredictionRow> {
    let mut passing: Vec<_> = rows
        .iter()
        .filter(|row| passes(filter, row))
        .cloned()
        .collect();
    passing.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
    passing
}

fn model(number: usize) -> ModelId {
    ModelId::from_u128(number as u128)
}

const TEXTS: [&str; 7] = [
    "plain",
    "100%",
    "a_b",
    r"back\slash",
    "Ärger",
    "ärger",
    "MiXeD",
];

fn random_row(world: &LogWorld) -> PredictionRow {
    let number = world.number(5);
    let some = |text: &str| Some(text.to_owned());
    PredictionRow {
        owner_id: UserId::from_u128(1 + (number / 4) as u128),
        version_id: VersionId::from_u128((2 * number + world.number(2)) as u128),
        // Few moments for many rows: most share theirs.
        created_at: START.plus(std::time::Duration::from_micros(world.number(60) as u64)),
        endpoint: world.one(&[None, some("a"), some("b")]),
        key_id: world.one(&[None, Some(KeyId::from_u128(1)), Some(KeyId::from_u128(2))]),
        request_id: world.one(&[None, some("order-17"), some(world.one(&TEXTS))]),
        header_request_id: format!("req_{}", world.one(&TEXTS)),
        error_code: world.one(&[None, None, some("model-failed")]),
        input: world.one(&[None, some(world.one(&TEXTS)), some(world.one(&TEXTS))]),
        output: world.one(&[None, some(world.one(&TEXTS))]),
        ..world.row(model(number), 0)
    }
}

fn random_filter(world: &LogWorld) -> PredictionFilter {
    let sometimes = |odds| world.number(odds) == 0;
    let moment = || START.plus(std::time::Duration::from_micros(world.number(70) as u64));
    let mut filter = PredictionFilter::of(UserId::from_u128(1 + world.number(2) as u128));
    if sometimes(3) {
        filter.models = (0..world.number(4))
            .map(|_| model(world.number(6)))
            .collect();
    }
    filter.model = sometimes(3).then(|| model(world.number(6)));
    filter.version = sometimes(5).then(|| VersionId::from_u128(world.number(12) as u128));
    filter.endpoint = sometimes(5).then(|| world.one(&["a", "b", "c"]).to_owned());
    filter.key = sometimes(5).then(|| KeyId::from_u128(1 + world.number(3) as u128));
    let statuses = [PredictionStatus::Success, PredictionStatus::Error];
    filter.status = sometimes(4).then(|| world.one(&statuses));
    filter.from = sometimes(4).then(moment);
    filter.to = sometimes(4).then(moment);
    let parts = [
        "PLAIN", "%", "_", r"\", "rger", "Ä", "mixed", "Order-1", "req_m", "nowhere",
    ];
    filter.search = sometimes(3).then(|| world.one(&parts).to_owned());
    filter.limit = u32::try_from(1 + world.number(60)).unwrap();
    filter
}

/// All pages put together; checks what holds for each.
async fn walk(world: &LogWorld, filter: &PredictionFilter) -> Vec<PredictionRow> {
    let mut all = Vec::new();
    let mut place = None;
    for _ in 0..1000 {
        let page = world.log.predictions(filter, place).await.unwrap();
        assert!(page.items.len() <= filter.limit as usize);
        all.extend(page.items);
        let Some(next) = page.next else {
            return all;
        };
        place = Some(filter.position(&next).unwrap());
    }
    unreachable!("the list has no end: {filter:?}");
}

on_both_logs! {
    async fn every_filter_and_page_shows_what_a_naive_reading_shows(world: LogWorld) {
        let rows: Vec<_> = (0..500).map(|_| random_row(&world)).collect();
        world.add(&rows).await;
        let mut found = 0;
        for _ in 0..120 {
            let filter = random_filter(&world);
            let expected = expected(&filter, &rows);
            let walked = walk(&world, &filter).await;
            let ids = |rows: &[PredictionRow]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
            assert_eq!(ids(&walked), ids(&expected), "{filter:?}");
            assert_eq!(walked, expected);
            found += walked.len();
        }
        // Otherwise the filters are so narrow that nothing was compared.
        assert!(found > 2000, "{found}");
        for number in 0..6 {
            let mut newest = expected(&PredictionFilter {
                model: Some(model(number)),
                ..PredictionFilter::of(UserId::from_u128(1 + (number / 4) as u128))
            }, &rows);
            newest.truncate(20);
            assert_eq!(world.log.recent(model(number), 20).await.unwrap(), newest);
        }
    }

    async fn a_search_for_what_is_rare_ends_early_and_goes_on(world: LogWorld) {
        let mut rows: Vec<_> = (0..1000).map(|second| PredictionRow {
            request_id: None,
            ..world.row(model(1), second)
        }).collect();
        rows[3].request_id = Some("needle".into());
        world.add(&rows).await;
        let mut filter = PredictionFilter::of(UserId::from_u128(1));
        filter.search = Some("NEEDLE".into());
        let first = world.log.predictions(&filter, None).await.unwrap();
        assert_eq!(first.items, []);
        assert!(first.next.is_some());
        assert_eq!(walk(&world, &filter).await, [rows[3].clone()]);
    }

    async fn rows_of_one_moment_do_not_stop_a_search(world: LogWorld) {
        // Many more than a window holds.
        let mut rows: Vec<_> = (0..300).map(|_| world.row(model(1), 0)).collect();
        rows[0].endpoint = Some("rare".into());
        world.add(&rows).await;
        let mut filter = PredictionFilter::of(UserId::from_u128(1));
        filter.endpoint = Some("rare".into());
        assert_eq!(walk(&world, &filter).await, [rows[0].clone()]);
        filter.endpoint = Some("fraud".into());
        filter.limit = 7;
        assert_eq!(walk(&world, &filter).await.len(), 299);
    }

    async fn a_page_stands_still_while_rows_arrive(world: LogWorld) {
        let rows: Vec<_> = (0..20).map(|second| world.row(model(1), second)).collect();
        world.add(&rows).await;
        let filter = PredictionFilter { limit: 10, ..PredictionFilter::of(UserId::from_u128(1)) };
        let first = world.log.predictions(&filter, None).await.unwrap();
        let newer: Vec<_> = (30..40).map(|second| world.row(model(1), second)).collect();
        world.add(&newer).await;
        let place = filter.position(&first.next.unwrap()).unwrap();
        let second = world.log.predictions(&filter, Some(place)).await.unwrap();
        let seconds = |row: &PredictionRow| row.created_at.since(START).as_secs();
        assert_eq!(first.items.iter().map(seconds).collect::<Vec<_>>(), (10..20).rev().collect::<Vec<_>>());
        assert_eq!(second.items.iter().map(seconds).collect::<Vec<_>>(), (0..10).rev().collect::<Vec<_>>());
        assert_eq!(second.next, None);
    }

    async fn a_cursor_of_another_person_is_refused(world: LogWorld) {
        let rows: Vec<_> = (0..3).map(|second| world.row(model(1), second)).collect();
        world.add(&rows).await;
        let ann = PredictionFilter { limit: 1, ..PredictionFilter::of(UserId::from_u128(1)) };
        let cursor = world.log.predictions(&ann, None).await.unwrap().next.unwrap();
        let bob = PredictionFilter { owner: UserId::from_u128(2), ..ann.clone() };
        assert_eq!(bob.position(&cursor), Err(InvalidCursor));
        let later = PredictionFilter { from: Some(Timestamp::from_micros(0)), ..ann };
        assert_eq!(later.position(&cursor), Err(InvalidCursor));
    }
}
