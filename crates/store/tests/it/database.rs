//! Opening, locking and closing.

use std::time::Duration;

use plimsoll_store::{DatabaseUrl, Db, DbOptions, StoreError};
use plimsoll_testkit::postgres;

use crate::world::open_sqlite;

backends! {
    async fn an_open_database_answers_until_it_is_closed(world: World) {
        world.db.ping().await.unwrap();
        world.db.close().await;
        let refused = world.db.ping().await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn each_back_end_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open_sqlite(folder.path()).await.kind(), "sqlite");
    if let Some(database) = postgres::database().await {
        assert_eq!(database.open().await.kind(), "postgresql");
    }
}

#[tokio::test]
async fn a_sqlite_file_is_private_and_survives_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let db = open_sqlite(folder.path()).await;
    db.migrate().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.touch().await.unwrap();
    tx.commit().await.unwrap();
    #[cfg(unix)]
    for name in ["plimsoll.db", "plimsoll.db-wal"] {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    // What a kill leaves: the file and its write-ahead log, nothing closed.
    let copy = tempfile::tempdir().unwrap();
    for name in ["plimsoll.db", "plimsoll.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let reopened = open_sqlite(copy.path()).await;
    assert_eq!(reopened.change_counter().await.unwrap(), 1);
}

#[tokio::test]
async fn a_held_write_lock_makes_the_next_writer_unavailable_not_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let db = open_sqlite(folder.path()).await;
    db.migrate().await.unwrap();
    let mut impatient = DbOptions::new(DatabaseUrl::Sqlite {
        path: folder.path().join("plimsoll.db"),
    });
    impatient.acquire_timeout = Duration::from_millis(50);
    // Another process, as far as SQLite can tell.
    let other = Db::open(&impatient).await.unwrap();
    let held = db.begin().await.unwrap();
    let refused = other.begin().await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(other.change_counter().await.unwrap(), 0);
    held.commit().await.unwrap();
    other.begin().await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    let options = DbOptions::new(
        "postgresql://x@localhost/x?host=/nonexistent"
            .parse()
            .unwrap(),
    );
    let refused = Db::open(&options).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    let path = "/nonexistent/plimsoll.db".into();
    let refused = Db::open(&DbOptions::new(DatabaseUrl::Sqlite { path })).await;
    assert!(
        matches!(refused, Err(StoreError::Open { .. })),
        "{refused:?}"
    );
}
