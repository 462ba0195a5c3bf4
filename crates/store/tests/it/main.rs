//! Every function of the store, on SQLite and on PostgreSQL.
#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

/// Expands each test body once for each back end.
macro_rules! backends {
    ($(async fn $name:ident($world:ident: World) $body:block)+) => {
        mod body {
            use super::*;
            $(pub(super) async fn $name($world: crate::world::World) $body)+
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::world::on_sqlite(super::body::$name).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::world::on_postgres(super::body::$name).await;
            })+
        }
    };
}

mod changes;
mod database;
mod jobs;
mod keys;
mod log;
mod log_history;
mod log_world;
mod models;
mod refresh;
mod schema;
mod settings;
mod users;
mod versions;
mod world;
