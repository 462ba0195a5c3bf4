//! How far versions have come, and the table `promotions`: who made which
//! version the production one, append-only.

use plimsoll_core::id::{ModelId, PromotionId, UserId, VersionId};
use plimsoll_core::model::Stage;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::column::Column;
use crate::pools::on;
use crate::{Db, Result, Tx};

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct PromotionRow {
    /// Identity; sorts by time.
    #[sqlx(try_from = "String")]
    pub id: PromotionId,
    /// The model.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// The version it was about.
    #[sqlx(try_from = "String")]
    pub version_id: VersionId,
    /// What was in production before.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub previous_version_id: Option<VersionId>,
    /// What was done: `promote`.
    pub action: String,
    /// Who did it.
    #[sqlx(try_from = "String")]
    pub by_user_id: UserId,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
}

macro_rules! columns {
    () => {
        "id, model_id, version_id, previous_version_id, action, by_user_id, at"
    };
}

impl Db {
    /// A model's entries, newest first.
    pub async fn promotions_page(
        &self,
        model: ModelId,
        page: PageRequest,
    ) -> Result<Page<PromotionRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from promotions where model_id = $1 order by id desc limit $2 offset $3"
        );
        let model = model.to_string();
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(SQL)
                .bind(&model)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar("select count(*) from promotions where model_id = $1");
            (items, total.bind(&model).fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }
}

impl Tx {
    /// Adds an entry.
    pub async fn insert_promotion(&mut self, entry: &PromotionRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into promotions (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7)"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(entry.id.to_string())
                .bind(entry.model_id.to_string())
                .bind(entry.version_id.to_string())
                .bind(entry.previous_version_id.map(|id| id.to_string()))
                .bind(&entry.action)
                .bind(entry.by_user_id.to_string())
                .bind(entry.at.as_micros())
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// Makes a version the only production version of its model, in one step;
    /// answers the one that was it before (possibly the same). The model's row
    /// is locked first, so that two promotions follow each other.
    pub async fn promote_version(
        &mut self,
        model: ModelId,
        version: VersionId,
        now: Timestamp,
    ) -> Result<Option<VersionId>> {
        self.touch_model(model, now).await?;
        let (model, version) = (model.to_string(), version.to_string());
        let previous: Option<String> = on!(self, |c| {
            let previous = sqlx::query_scalar(
                "update versions set stage = 'none' \
                 where model_id = $1 and stage = 'production' returning id",
            )
            .bind(&model)
            .fetch_optional(&mut *c)
            .await?;
            let promoted = sqlx::query(
                "update versions set stage = 'production' where id = $1 and model_id = $2",
            )
            .bind(&version)
            .bind(&model)
            .execute(c)
            .await?;
            if promoted.rows_affected() == 0 {
                return Err(sqlx::Error::RowNotFound.into());
            }
            previous
        });
        // A candidate that was promoted may be the latest one now.
        self.settle_latest_version(&model).await?;
        let previous = previous.map(|text| text.parse()).transpose();
        previous.map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
    }

    /// Sets a version's stage to `none` or `candidate`; answers whether there
    /// is one that is not in production.
    pub async fn set_version_stage(&mut self, id: VersionId, stage: Stage) -> Result<bool> {
        let model: Option<String> = on!(self, |c| {
            sqlx::query_scalar(
                "update versions set stage = $2 where id = $1 and stage <> 'production' \
                 returning model_id",
            )
            .bind(id.to_string())
            .bind(stage.name())
            .fetch_optional(c)
            .await?
        });
        if let Some(model) = &model {
            self.settle_latest_version(model).await?;
        }
        Ok(model.is_some())
    }
}
