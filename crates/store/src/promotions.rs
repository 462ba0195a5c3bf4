//! The table `promotions`: who made which version the production one, append-only.

use plimsoll_core::id::{ModelId, PromotionId, UserId, VersionId};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::column::Column;
use crate::db::on;
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
}
