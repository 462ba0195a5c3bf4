//! What every kind of artifact store must do, as one function that checks it.
//!
//! The store given must be empty; it is empty again at the end.

use futures_util::StreamExt;
use plimsoll_core::digest::Digest;
use plimsoll_core::time::Timestamp;

use crate::{BlobError, Blobs, Limits, Put, Stage};

/// Checks everything; panics with what does not hold.
pub async fn conforms(blobs: &Blobs, limits: Limits) {
    what_was_put_can_be_read(blobs).await;
    equal_content_is_stored_once(blobs).await;
    parallel_puts_of_equal_content_agree(blobs).await;
    nothing_is_visible_before_put(blobs).await;
    the_limit_holds_while_streaming(blobs, limits).await;
    what_is_missing_is_said_to_be_missing(blobs).await;
    fresh_content_is_not_collected(blobs).await;
    let left = blobs.list().await.expect("the artifacts can be listed");
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// A stage that holds `content`, written in odd pieces.
pub async fn stage(blobs: &Blobs, content: &[u8]) -> Stage {
    let mut stage = blobs.stage().await.expect("a stage can be made");
    for chunk in content.chunks(7919) {
        let written = stage.write(chunk).await;
        written.expect("content within the limit is taken");
    }
    stage
}

/// Stores `content`.
pub async fn put(blobs: &Blobs, content: &[u8]) -> Put {
    let staged = stage(blobs, content).await.finish().await;
    let staged = staged.expect("a stage can be finished");
    blobs
        .put(staged)
        .await
        .expect("a staged artifact can be put")
}

async fn what_was_put_can_be_read(blobs: &Blobs) {
    let long: Vec<u8> = (0..=255).cycle().take(700_001).collect();
    for content in [&b""[..], b"x", &long] {
        let put = put(blobs, content).await;
        assert_eq!(put.digest, Digest::of(content));
        assert_eq!(put.size, content.len() as u64);
        assert!(!put.existed);
        let read = blobs.read(&put.digest).await.expect("it can be read");
        assert_eq!(read, content);
        let read = blobs.read_blocking(&put.digest).expect("it can be read");
        assert_eq!(read, content);
        let verified = blobs.verify(&put.digest).await;
        verified.expect("it can be verified");
        let (size, chunks) = blobs.stream(&put.digest).await.expect("it can be streamed");
        assert_eq!(size, put.size);
        let chunks: Vec<_> = chunks.collect().await;
        let chunks: Result<Vec<_>, _> = chunks.into_iter().collect();
        assert_eq!(chunks.expect("every chunk is whole").concat(), content);
        delete(blobs, &put).await;
    }
}

async fn equal_content_is_stored_once(blobs: &Blobs) {
    let (first, second) = (put(blobs, b"equal").await, put(blobs, b"equal").await);
    assert!(!first.existed && second.existed);
    assert_eq!(first.digest, second.digest);
    let listed = blobs.list().await.expect("the artifacts can be listed");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].digest, listed[0].size), (first.digest, 5));
    delete(blobs, &first).await;
}

async fn parallel_puts_of_equal_content_agree(blobs: &Blobs) {
    let puts = (0..8).map(|_| put(blobs, b"parallel"));
    let puts = futures_util::future::join_all(puts).await;
    assert_eq!(puts.iter().filter(|put| !put.existed).count(), 1);
    let read = blobs.read(&puts[0].digest).await.expect("it can be read");
    assert_eq!(&read[..], b"parallel");
    delete(blobs, &puts[0]).await;
}

async fn nothing_is_visible_before_put(blobs: &Blobs) {
    let staged = stage(blobs, b"hidden").await.finish().await;
    let staged = staged.expect("a stage can be finished");
    let read = staged.read().await.expect("a staged artifact can be read");
    assert_eq!(&read[..], b"hidden");
    let visible = blobs.contains(&staged.digest).await;
    assert!(!visible.expect("it can be looked for"));
}

async fn the_limit_holds_while_streaming(blobs: &Blobs, limits: Limits) {
    let limit = usize::try_from(limits.max_bytes).expect("the tests' limit is small");
    delete(blobs, &put(blobs, &vec![0; limit]).await).await;
    let mut over = stage(blobs, &vec![0; limit]).await;
    for _ in 0..2 {
        let refused = over.write(b"x").await;
        assert!(matches!(refused, Err(BlobError::TooLarge { limit }) if limit == limits.max_bytes));
    }
    let refused = over.finish().await;
    assert!(matches!(refused, Err(BlobError::TooLarge { .. })));
}

async fn what_is_missing_is_said_to_be_missing(blobs: &Blobs) {
    let digest = Digest::of(b"never stored");
    let read = blobs.read_blocking(&digest);
    assert!(matches!(read, Err(BlobError::Missing { .. })), "{read:?}");
    let read = blobs.read(&digest).await;
    assert!(matches!(read, Err(BlobError::Missing { digest: named }) if named == digest));
    let removed = blobs.delete(&digest).await;
    assert!(!removed.expect("removing nothing is no error"));
}

async fn fresh_content_is_not_collected(blobs: &Blobs) {
    let put = put(blobs, b"fresh").await;
    let listed = blobs.list().await.expect("the artifacts can be listed");
    let modified = listed[0].modified;
    let before = Timestamp::from_micros(modified.as_micros() - 1);
    for (cutoff, goes) in [(before, false), (modified, true), (modified, false)] {
        let removed = blobs.delete_if_older(&put.digest, cutoff).await;
        assert_eq!(removed.expect("an old artifact can be removed"), goes);
    }
}

async fn delete(blobs: &Blobs, put: &Put) {
    let removed = blobs.delete(&put.digest).await;
    assert!(removed.expect("an artifact can be removed"));
}
