//! Files that no row names any more.

use plimsoll_core::digest::Digest;

use crate::{App, Error};

impl App {
    /// Removes those of these files that nothing names. Only after the commit that
    /// took their rows away: a row must never lack its file. An upload of the same
    /// content holds the lock until its own row is there.
    pub(crate) async fn discard(&self, files: Vec<Digest>) -> Result<(), Error> {
        let _no_upload = self.contents().write().await;
        for digest in files {
            let mut tx = self.db().begin().await?;
            let uses = tx.uses_of_content(&digest).await?;
            drop(tx);
            if uses == 0 {
                self.blobs().delete(&digest).await?;
            }
        }
        Ok(())
    }
}
