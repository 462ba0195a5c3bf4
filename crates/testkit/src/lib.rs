//! Test support: a server with a temporary directory, real databases, an injected clock.
//!
//! ```ignore
//! plimsoll_testkit::backends! {
//!     async fn revoked_key_is_refused(s: TestServer) {
//!         let key = s.admin().await.key(&[Scope::Predict]).await;
//!         s.anonymous().get("/api/v1/models").await.problem("unauthenticated");
//!     }
//! }
//! ```

pub mod postgres;

#[cfg(feature = "server")]
mod client;
#[cfg(feature = "server")]
mod log;
#[cfg(feature = "server")]
mod options;
#[cfg(feature = "server")]
mod raw;
#[cfg(feature = "server")]
mod reply;
#[cfg(feature = "server")]
mod running;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod sqlite;

#[cfg(feature = "server")]
pub use client::{Client, Part, Request};
#[cfg(feature = "server")]
pub use options::Options;
#[cfg(feature = "server")]
pub use raw::RawSocket;
#[cfg(feature = "server")]
pub use reply::Reply;
#[cfg(feature = "server")]
pub use server::{Backend, PASSWORD, TestServer};
#[cfg(feature = "server")]
pub use sqlite::SqliteLock;

use std::path::{Path, PathBuf};

/// Where a file of the folder `fixtures` lies.
pub fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
}

/// The content of a file of the folder `fixtures`.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = fixture_path(name);
    let content = std::fs::read(&path);
    content.unwrap_or_else(|error| unreachable!("{}: {error}", path.display()))
}

/// Runs each test once on SQLite (`sqlite::name`) and once on PostgreSQL
/// (`postgres::name`). At most one call in a module; `#[options(…)]` before a
/// function changes how its server is started.
#[macro_export]
macro_rules! backends {
    ($(
        $(#[doc = $doc:expr])*
        $(#[options($options:expr)])?
        async fn $name:ident($($parameter:tt)+) $body:block
    )+) => {
        $(
            $(#[doc = $doc])*
            async fn $name($($parameter)+) $body
        )+
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let options = $crate::backends!(@options $($options)?);
                    if let Some(s) = options.start($crate::Backend::Sqlite).await {
                        super::$name(s).await;
                    }
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let options = $crate::backends!(@options $($options)?);
                    if let Some(s) = options.start($crate::Backend::Postgres).await {
                        super::$name(s).await;
                    }
                }
            )+
        }
    };
    (@options) => { $crate::Options::new() };
    (@options $options:expr) => {{
        use super::*;
        $options
    }};
}
