//! How often anybody may ask: keys, people, addresses.

mod callers;
mod headers;
mod keys;
mod usage;

use plimsoll_testkit::{Client, Reply};

pub(super) const KEYS: &str = "/api/v1/api-keys";
pub(super) const MODELS: &str = "/api/v1/models";
pub(super) const LIMITS: &str = "/api/v1/limits";

/// How many of `requests` for the same thing are not refused by a limit.
pub(super) async fn passed(client: &Client, path: &str, requests: usize) -> usize {
    let mut passed = 0;
    for _ in 0..requests {
        passed += usize::from(client.get(path).await.code() != 429);
    }
    passed
}

pub(super) fn number(reply: &Reply, header: &str) -> u64 {
    reply.header(header).parse().unwrap()
}
