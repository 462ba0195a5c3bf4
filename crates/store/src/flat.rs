//! The table `flat_forms`: which content is the flat form of which.

use plimsoll_core::digest::Digest;
use plimsoll_core::id::ModelId;
use sqlx::FromRow;

use crate::pools::on;
use crate::{Db, Result, Tx};

/// The flat form of a content.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FlatForm {
    /// Version of the program's flat form.
    pub version: String,
    /// Its content's name in the blob store.
    #[sqlx(rename = "flat_sha256", try_from = "String")]
    pub digest: Digest,
}

const OF_CONTENT: &str = "select version, flat_sha256 from flat_forms where sha256 = $1";

impl Db {
    /// The flat form of a content, of whatever version.
    pub async fn flat_form(&self, original: &Digest) -> Result<Option<FlatForm>> {
        Ok(on!(self, |c| {
            sqlx::query_as(OF_CONTENT)
                .bind(original.to_string())
                .fetch_optional(c)
                .await?
        }))
    }
}

impl Tx {
    /// Names the flat form of a content; answers the one it had before. A
    /// content has one: that of an older program is of no use to a newer one.
    pub async fn put_flat_form(
        &mut self,
        original: &Digest,
        flat: &FlatForm,
    ) -> Result<Option<FlatForm>> {
        Ok(on!(self, |c| {
            let before = sqlx::query_as(OF_CONTENT)
                .bind(original.to_string())
                .fetch_optional(&mut *c)
                .await?;
            sqlx::query(
                "insert into flat_forms (sha256, version, flat_sha256) values ($1, $2, $3) \
                 on conflict (sha256) do update \
                 set version = excluded.version, flat_sha256 = excluded.flat_sha256",
            )
            .bind(original.to_string())
            .bind(&flat.version)
            .bind(flat.digest.to_string())
            .execute(c)
            .await?;
            before
        }))
    }

    /// The models that have a version with this content.
    pub async fn models_with_content(&mut self, original: &Digest) -> Result<Vec<ModelId>> {
        let ids: Vec<String> = on!(self, |c| {
            sqlx::query_scalar("select distinct model_id from versions where sha256 = $1")
                .bind(original.to_string())
                .fetch_all(c)
                .await?
        });
        let ids = ids.iter().map(|id| id.parse());
        ids.collect::<std::result::Result<_, _>>()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
    }

    /// Removes the flat form of a content unless a version has it; answers its digest.
    pub(crate) async fn drop_flat_form_if_unused(
        &mut self,
        original: &str,
    ) -> Result<Option<String>> {
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "delete from flat_forms where sha256 = $1 \
                 and not exists (select 1 from versions v where v.sha256 = flat_forms.sha256) \
                 returning flat_sha256",
            )
            .bind(original)
            .fetch_optional(c)
            .await?
        }))
    }

    /// Removes the flat forms of contents that no version has; answers their digests.
    pub(crate) async fn drop_unused_flat_forms(&mut self) -> Result<Vec<String>> {
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "delete from flat_forms where sha256 not in (select sha256 from versions) \
                 returning flat_sha256",
            )
            .fetch_all(c)
            .await?
        }))
    }
}
