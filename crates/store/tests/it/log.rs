//! The log's writes: batches, cursors, usage, retention, schema.

use plimsoll_core::id::{KeyId, ModelId, UserId, VersionId};
use plimsoll_core::time::Timestamp;
use plimsoll_store::{
    DatabaseUrl, JournalCursor, KeyUsage, Payload, PredictionRow, StoreError, VersionCounts,
    log_migration_names,
};
use plimsoll_testkit::postgres;
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::log_world::{START, on_both_logs, open};
use crate::schema::{facts, only_here, text};

fn model(number: u128) -> ModelId {
    ModelId::from_u128(number)
}

fn cursor(boot: &str, byte_offset: i64) -> JournalCursor {
    JournalCursor {
        boot: boot.into(),
        segment: 3,
        byte_offset,
        closed: false,
        updated_at: Timestamp::from_micros(byte_offset),
    }
}

on_both_logs! {
    async fn a_row_comes_back_as_it_was_written(world: LogWorld) {
        let full = world.row(model(1), 0);
        let bare = PredictionRow {
            endpoint: None,
            key_id: None,
            request_id: None,
            error_code: None,
            error_message: None,
            truncated: false,
            payload: Payload::None,
            confidence: None,
            input: None,
            output: None,
            ..world.row(model(2), -1)
        };
        assert_eq!(world.add(&[full.clone(), bare.clone()]).await, 2);
        for row in [full, bare] {
            let read = world.log.prediction(row.owner_id, row.id).await.unwrap();
            assert_eq!(read.as_ref(), Some(&row));
            let foreign = world.log.prediction(UserId::from_u128(2), row.id).await.unwrap();
            assert_eq!(foreign, None);
        }
    }

    async fn a_character_no_database_stores_is_replaced(world: LogWorld) {
        let row = PredictionRow {
            request_id: Some("a\0b".into()),
            header_request_id: "\0".into(),
            error_message: Some("\0\0".into()),
            ..world.row(model(1), 0)
        };
        world.add(std::slice::from_ref(&row)).await;
        let read = world.log.prediction(row.owner_id, row.id).await.unwrap().unwrap();
        assert_eq!(read.request_id.as_deref(), Some("a\u{fffd}b"));
        assert_eq!(read.header_request_id, "\u{fffd}");
        assert_eq!(read.error_message.as_deref(), Some("\u{fffd}\u{fffd}"));
    }

    async fn a_batch_of_any_size_is_written_once_however_often_it_comes(world: LogWorld) {
        let mut expected = 0;
        for size in [0, 1, 2, 3, 127, 128, 129, 300] {
            let rows: Vec<_> = (0..size).map(|second| world.row(model(1), second)).collect();
            expected += size;
            assert_eq!(world.add(&rows).await, size.unsigned_abs());
            assert_eq!(world.add(&rows).await, 0, "again");
            assert_eq!(world.held().await.values().sum::<i64>(), expected);
            let newest = world.log.recent(model(1), 1000).await.unwrap();
            assert_eq!(newest.len(), usize::try_from(expected).unwrap());
        }
        // Half of a batch known already.
        let rows: Vec<_> = (0..10).map(|second| world.row(model(2), second)).collect();
        assert_eq!(world.add(&rows[..5]).await, 5);
        assert_eq!(world.add(&rows).await, 5);
        assert_eq!(world.held().await[&model(2)], 10);
    }

    async fn a_row_that_is_there_already_stays_as_it_is(world: LogWorld) {
        let row = world.row(model(1), 0);
        world.add(std::slice::from_ref(&row)).await;
        let other = PredictionRow { latency_us: 1, ..row.clone() };
        assert_eq!(world.add(&[other]).await, 0);
        assert_eq!(world.log.prediction(row.owner_id, row.id).await.unwrap(), Some(row));
    }

    async fn rows_usage_and_cursor_are_there_together_or_not_at_all(world: LogWorld) {
        let rows: Vec<_> = (0..5).map(|second| world.row(model(1), second)).collect();
        let (key, version) = (KeyId::from_u128(1), VersionId::from_u128(1));
        let keys = [KeyUsage { key, requests: 5, last_used_at: START }];
        let versions = [VersionCounts { model_id: model(1), version_id: version, predictions: 4, failures: 1 }];
        for commit in [false, true] {
            let mut tx = world.log.begin().await.unwrap();
            tx.insert_predictions(&rows).await.unwrap();
            tx.add_usage(&keys, &versions).await.unwrap();
            assert!(tx.move_cursor(None, &cursor("boot", 700)).await.unwrap());
            if commit {
                tx.commit().await.unwrap();
            } else {
                drop(tx);
            }
            assert_eq!(world.log.recent(model(1), 10).await.unwrap().len(), if commit { 5 } else { 0 });
            let used = world.log.key_usage(&[key]).await.unwrap();
            assert_eq!(used, if commit { &keys[..] } else { &[] });
            let used = world.log.version_usage(&[version]).await.unwrap();
            assert_eq!(used, if commit { &versions[..] } else { &[] });
            let cursors = world.log.cursors().await.unwrap();
            assert_eq!(cursors, if commit { vec![cursor("boot", 700)] } else { vec![] });
        }
    }

    async fn a_cursor_moves_closes_and_is_forgotten(world: LogWorld) {
        let mut tx = world.log.begin().await.unwrap();
        for (from, to, moves) in [
            (Some((3, 5)), cursor("b", 9), false),
            (None, cursor("b", 5), true),
            (None, cursor("a", 1), true),
            (None, cursor("b", 9), false),
            (Some((3, 4)), cursor("b", 9), false),
            (Some((3, 5)), cursor("b", 9), true),
            (Some((3, 5)), cursor("b", 9), false),
        ] {
            assert_eq!(tx.move_cursor(from, &to).await.unwrap(), moves, "{from:?}");
        }
        assert!(!tx.forget_boot("b").await.unwrap(), "still open");
        assert!(tx.close_boot("b", START).await.unwrap());
        assert!(!tx.close_boot("b", START).await.unwrap(), "closed before");
        assert!(!tx.close_boot("c", START).await.unwrap(), "never seen");
        assert!(!tx.move_cursor(Some((3, 9)), &cursor("b", 10)).await.unwrap(), "closed");
        tx.commit().await.unwrap();
        let closed = JournalCursor { closed: true, updated_at: START, ..cursor("b", 9) };
        assert_eq!(world.log.cursors().await.unwrap(), [cursor("a", 1), closed]);
        let mut tx = world.log.begin().await.unwrap();
        assert!(tx.forget_boot("b").await.unwrap());
        assert!(!tx.forget_boot("b").await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(world.log.cursors().await.unwrap(), [cursor("a", 1)]);
    }

    async fn usage_adds_up_and_the_last_use_never_goes_back(world: LogWorld) {
        let key = |number| KeyId::from_u128(number);
        let version = |number| VersionId::from_u128(number);
        for (round, last) in [(1, 7), (2, 9), (3, 8)] {
            let keys: Vec<_> = (0..20).rev().map(|number| KeyUsage {
                key: key(number),
                requests: round,
                last_used_at: Timestamp::from_micros(last),
            }).collect();
            let versions: Vec<_> = (0..20).rev().map(|number| VersionCounts {
                model_id: model(1),
                version_id: version(number),
                predictions: round,
                failures: 1,
            }).collect();
            let mut tx = world.log.begin().await.unwrap();
            tx.add_usage(&keys, &versions).await.unwrap();
            tx.commit().await.unwrap();
        }
        let keys: Vec<_> = (0..21).map(key).collect();
        let used = world.log.key_usage(&keys).await.unwrap();
        let expected: Vec<_> = keys[..20].iter().map(|&key| KeyUsage {
            key,
            requests: 6,
            last_used_at: Timestamp::from_micros(9),
        }).collect();
        assert_eq!(used, expected);
        let versions: Vec<_> = (0..21).map(version).collect();
        let used = world.log.version_usage(&versions).await.unwrap();
        let expected: Vec<_> = versions[..20].iter().map(|&version_id| VersionCounts {
            model_id: model(1),
            version_id,
            predictions: 6,
            failures: 3,
        }).collect();
        assert_eq!(used, expected);
        assert_eq!(world.log.key_usage(&[]).await.unwrap(), []);
    }

    async fn what_is_too_old_goes_in_batches_of_one_model(world: LogWorld) {
        for number in [1, 2] {
            let rows: Vec<_> = (0..10).map(|second| world.row(model(number), second)).collect();
            world.add(&rows).await;
        }
        let before = world.row(model(1), 5).created_at;
        let mut batches = Vec::new();
        loop {
            match world.log.delete_before(before, 3).await.unwrap() {
                0 => break,
                deleted => batches.push(deleted),
            }
        }
        assert_eq!(batches, [3, 2, 3, 2]);
        for number in [1, 2] {
            let left = world.log.recent(model(number), 100).await.unwrap();
            assert_eq!(left.len(), 5);
            assert!(left.iter().all(|row| row.created_at >= before));
            assert_eq!(world.held().await[&model(number)], 5);
        }
    }

    async fn space_is_made_by_the_largest_model_but_never_with_its_newest_rows(world: LogWorld) {
        // At one moment, so that only the id tells which is newer.
        for (number, count) in [(1, 30), (2, 60), (3, 5)] {
            let rows: Vec<_> = (0..count).map(|_| world.row(model(number), 0)).collect();
            world.add(&rows).await;
        }
        let newest = world.log.recent(model(2), 10).await.unwrap();
        assert_eq!(world.log.delete_beyond(i64::MAX, 10, 25).await.unwrap(), 0);
        let counts = |held: std::collections::BTreeMap<ModelId, i64>| held.into_values().collect::<Vec<_>>();
        for (deleted, left) in [(25, [30, 35, 5]), (25, [30, 10, 5]), (20, [10, 10, 5]), (0, [10, 10, 5])] {
            assert_eq!(world.log.delete_beyond(0, 10, 25).await.unwrap(), deleted);
            assert_eq!(counts(world.held().await), left);
        }
        assert_eq!(world.log.recent(model(2), 100).await.unwrap(), newest);
        let stored = world.log.stored_predictions().await.unwrap();
        let total: i64 = stored.iter().map(|model| model.bytes).sum();
        assert_eq!(world.log.delete_beyond(total, 0, 25).await.unwrap(), 0, "fits exactly");
        assert_eq!(world.log.delete_beyond(total - 1, 0, 4).await.unwrap(), 4);
    }

    async fn a_model_is_forgotten_row_by_row(world: LogWorld) {
        let rows: Vec<_> = (0..10).map(|second| world.row(model(1), second)).collect();
        world.add(&rows).await;
        world.add(&[world.row(model(2), 0)]).await;
        for expected in [6, 4, 0] {
            assert_eq!(world.log.delete_of_model(model(1), 0, 6).await.unwrap(), expected);
        }
        assert_eq!(world.held().await, [(model(2), 1)].into());
    }

    async fn the_size_follows_the_rows(world: LogWorld) {
        let before = world.log.size_bytes().await.unwrap();
        let rows: Vec<_> = (0..2000).map(|second| world.row(model(1), second)).collect();
        world.add(&rows).await;
        let grown = world.log.size_bytes().await.unwrap() - before;
        assert!((400_000..4_000_000).contains(&grown), "{grown}");
        assert!(world.log.sync().await.unwrap());
        world.log.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_waits_for_readers_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = open(DatabaseUrl::Sqlite { path: path.clone() }).await;
    log.migrate().await.unwrap();
    let url = format!("sqlite:{}", path.display());
    let mut reader = SqliteConnection::connect(&url).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("select count(*) from log_cursors")
        .execute(&mut *reading)
        .await
        .unwrap();
    let mut tx = log.begin().await.unwrap();
    assert!(tx.move_cursor(None, &cursor("boot", 1)).await.unwrap());
    tx.commit().await.unwrap();
    assert!(!log.sync().await.unwrap());
    reading.rollback().await.unwrap();
    assert!(log.sync().await.unwrap());
}

#[test]
fn both_back_ends_have_the_same_log_migrations() {
    let (sqlite, postgres) = log_migration_names();
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
}

#[tokio::test]
async fn both_back_ends_get_the_same_log_tables_columns_and_indexes() {
    let Some(database) = postgres::empty_database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut found = Vec::new();
    for url in [DatabaseUrl::Sqlite { path }, database.url()] {
        let log = open(url.clone()).await;
        assert_eq!(log.schema_version().await.unwrap(), 0);
        log.migrate().await.unwrap();
        log.migrate().await.unwrap();
        assert_eq!(log.schema_version().await.unwrap(), 3);
        found.push(facts(&url).await);
        log.close().await;
    }
    assert_eq!(only_here(&found[0], &found[1]), [""; 0], "only on SQLite");
    assert_eq!(
        only_here(&found[1], &found[0]),
        [""; 0],
        "only on PostgreSQL"
    );
    assert!(found[0].contains("predictions_model_id(model_id,created_at) - -"));
}

#[tokio::test]
async fn the_schemas_of_one_postgres_database_do_not_meet() {
    let Some(database) = postgres::empty_database().await else {
        return;
    };
    let log = open(database.url()).await;
    log.migrate().await.unwrap();
    let db = database.open().await;
    assert_eq!(db.schema_version().await.unwrap(), 0);
    db.migrate().await.unwrap();
    log.migrate().await.unwrap();
    let mut connection = PgConnection::connect(text(&database.url())).await.unwrap();
    sqlx::query(
        "insert into _sqlx_log_migrations (version, description, success, checksum, execution_time) \
         select 9999, 'future', success, checksum, 0 from _sqlx_log_migrations where version = 1",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let refused = log.migrate().await;
    assert!(
        matches!(refused, Err(StoreError::SchemaTooNew { found: 9999, .. })),
        "{refused:?}"
    );
    db.migrate().await.unwrap();
}
