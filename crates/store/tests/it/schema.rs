//! Migrations: same on both back ends, all or nothing, never backwards.

use std::collections::BTreeSet;
use std::path::Path;

use plimsoll_store::{DatabaseUrl, Db, StoreError, migration_names, newest_migration};
use plimsoll_testkit::postgres;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::task::JoinSet;

use crate::world::open_sqlite;

/// `table.column null|not null key|-` and `index(columns) unique|-`.
pub(crate) type Facts = BTreeSet<String>;

async fn sqlite_facts(file: &Path) -> Facts {
    let mut connection = connect_sqlite(file).await;
    let columns = sqlx::query_scalar(
        "select t.name || '.' || c.name || \
         case when c.\"notnull\" = 1 then ' not null' else ' null' end || \
         case when c.pk > 0 then ' key' else ' -' end \
         from sqlite_master t join pragma_table_info(t.name) c \
         where t.type = 'table' and t.name not like '\\_sqlx%' escape '\\'",
    );
    let indexes = sqlx::query_scalar(
        "select i.name || '(' || group_concat(c.name, ',') || ')' || \
         case when i.\"unique\" = 1 then ' unique' else ' -' end || \
         case when i.partial = 1 then ' partial' else ' -' end \
         from sqlite_master t join pragma_index_list(t.name) i join pragma_index_info(i.name) c \
         where t.type = 'table' and i.origin = 'c' group by i.name, i.\"unique\", i.partial",
    );
    let mut facts = columns.fetch_all(&mut connection).await.unwrap();
    facts.extend(indexes.fetch_all(&mut connection).await.unwrap());
    facts.into_iter().collect()
}

async fn postgres_facts(url: &str) -> Facts {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let columns = sqlx::query_scalar(
        "select c.relname || '.' || a.attname || \
         case when a.attnotnull then ' not null' else ' null' end || \
         case when exists (select 1 from pg_index i where i.indrelid = c.oid and i.indisprimary \
           and a.attnum = any (i.indkey)) then ' key' else ' -' end \
         from pg_class c join pg_attribute a on a.attrelid = c.oid \
         where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace \
         and a.attnum > 0 and not a.attisdropped and c.relname not like '\\_sqlx%'",
    );
    let indexes = sqlx::query_scalar(
        "select x.relname || '(' || string_agg(a.attname, ',' order by a.attnum) || ')' || \
         case when i.indisunique then ' unique' else ' -' end || \
         case when i.indpred is not null then ' partial' else ' -' end \
         from pg_index i join pg_class x on x.oid = i.indexrelid \
         join pg_class t on t.oid = i.indrelid join pg_attribute a on a.attrelid = x.oid \
         where t.relnamespace = 'public'::regnamespace and not i.indisprimary \
         and t.relname not like '\\_sqlx%' group by x.relname, i.indisunique, i.indpred is not null",
    );
    let mut facts = columns.fetch_all(&mut connection).await.unwrap();
    facts.extend(indexes.fetch_all(&mut connection).await.unwrap());
    facts.into_iter().collect()
}

/// The tables, columns and indexes of a database, whichever it is.
pub(crate) async fn facts(url: &DatabaseUrl) -> Facts {
    match url {
        DatabaseUrl::Sqlite { path } => sqlite_facts(path).await,
        DatabaseUrl::Postgres { url } => postgres_facts(url.expose()).await,
    }
}

pub(crate) fn only_here(one: &Facts, other: &Facts) -> Vec<String> {
    one.difference(other).cloned().collect()
}

async fn connect_sqlite(file: &Path) -> SqliteConnection {
    let url = format!("sqlite:{}", file.display());
    SqliteConnection::connect(&url).await.unwrap()
}

pub(crate) fn text(url: &DatabaseUrl) -> &str {
    match url {
        DatabaseUrl::Postgres { url } => url.expose(),
        DatabaseUrl::Sqlite { .. } => unreachable!("a PostgreSQL database was asked for"),
    }
}

#[test]
fn both_back_ends_have_the_same_migrations() {
    let (sqlite, postgres) = migration_names();
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
}

#[tokio::test]
async fn both_back_ends_get_the_same_tables_columns_and_indexes() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    open_sqlite(folder.path()).await.migrate().await.unwrap();
    let sqlite = sqlite_facts(&folder.path().join("plimsoll.db")).await;
    let postgres = postgres_facts(text(&database.url())).await;
    assert_eq!(only_here(&sqlite, &postgres), [""; 0], "only on SQLite");
    assert_eq!(only_here(&postgres, &sqlite), [""; 0], "only on PostgreSQL");
    // The queries themselves find what is known to be there.
    for known in [
        "users.email not null -",
        "users.id not null key",
        "users_email_key(email) unique -",
    ] {
        assert!(sqlite.contains(known), "{known} in {sqlite:#?}");
    }
}

async fn starts_at_once(dbs: Vec<Db>) {
    let mut starts = JoinSet::new();
    for db in dbs {
        starts.spawn(async move {
            db.migrate().await.unwrap();
            // Again: nothing to do.
            db.migrate().await.unwrap();
            (
                db.schema_version().await.unwrap(),
                db.change_counter().await.unwrap(),
            )
        });
    }
    let newest = newest_migration();
    for seen in starts.join_all().await {
        assert_eq!(seen, (newest, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_start_at_once_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = open_sqlite(folder.path()).await;
    assert_eq!(first.schema_version().await.unwrap(), 0);
    let mut dbs = vec![first];
    for _ in 0..3 {
        dbs.push(open_sqlite(folder.path()).await);
    }
    starts_at_once(dbs).await;

    let Some(database) = postgres::empty_database().await else {
        return;
    };
    let first = database.open().await;
    assert_eq!(first.schema_version().await.unwrap(), 0);
    starts_at_once(vec![first, database.open().await, database.open().await]).await;
}

/// What a program of the future leaves: one more row among the migrations.
const FROM_THE_FUTURE: &str = "insert into _sqlx_migrations \
    (version, description, success, checksum, execution_time) \
    select 9999, 'future', success, checksum, 0 from _sqlx_migrations where version = 1";

fn assert_too_new(outcome: Result<(), StoreError>) {
    let newest = newest_migration();
    assert!(
        matches!(outcome, Err(StoreError::SchemaTooNew { found: 9999, known }) if known == newest),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let db = open_sqlite(folder.path()).await;
    db.migrate().await.unwrap();
    let mut connection = connect_sqlite(&folder.path().join("plimsoll.db")).await;
    sqlx::query(FROM_THE_FUTURE)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_too_new(db.migrate().await);
    assert_eq!(db.schema_version().await.unwrap(), 9999);

    let Some(database) = postgres::database().await else {
        return;
    };
    let db = database.open().await;
    let mut connection = PgConnection::connect(text(&database.url())).await.unwrap();
    sqlx::query(FROM_THE_FUTURE)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_too_new(db.migrate().await);
    assert_eq!(db.schema_version().await.unwrap(), 9999);
}

#[tokio::test]
async fn a_migration_that_fails_half_way_changes_nothing() {
    // The last table of the first migration is in its way.
    let folder = tempfile::tempdir().unwrap();
    let db = open_sqlite(folder.path()).await;
    let file = folder.path().join("plimsoll.db");
    let mut connection = connect_sqlite(&file).await;
    let obstacle = "create table changes (id bigint not null)";
    sqlx::query(obstacle)
        .execute(&mut connection)
        .await
        .unwrap();
    let before = sqlite_facts(&file).await;
    assert!(matches!(db.migrate().await, Err(StoreError::Migrate(_))));
    assert_eq!(sqlite_facts(&file).await, before);
    assert_eq!(db.schema_version().await.unwrap(), 0);
    sqlx::query("drop table changes")
        .execute(&mut connection)
        .await
        .unwrap();
    db.migrate().await.unwrap();

    let Some(database) = postgres::empty_database().await else {
        return;
    };
    let db = database.open().await;
    let mut connection = PgConnection::connect(text(&database.url())).await.unwrap();
    sqlx::query(obstacle)
        .execute(&mut connection)
        .await
        .unwrap();
    let before = postgres_facts(text(&database.url())).await;
    assert!(matches!(db.migrate().await, Err(StoreError::Migrate(_))));
    assert_eq!(postgres_facts(text(&database.url())).await, before);
    sqlx::query("drop table changes")
        .execute(&mut connection)
        .await
        .unwrap();
    db.migrate().await.unwrap();
}
