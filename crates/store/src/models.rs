//! The table `models`.

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{ModelId, UserId};
use plimsoll_core::model::Status;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::record::CapturePolicy;
use plimsoll_core::schema::Task;
use plimsoll_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;

use crate::column::{Column, contains_pattern, ids_text, json_text, tag_needle, tags_text};
use crate::pools::on;
use crate::{Db, Result, Tx};

/// A model.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct ModelRow {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: ModelId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub owner_id: UserId,
    /// Unique among its owner's.
    pub name: String,
    /// As given; may be empty.
    pub description: String,
    /// As given.
    #[sqlx(try_from = "Column<String>")]
    pub tags: Vec<String>,
    /// What it is for.
    #[sqlx(try_from = "String")]
    pub task: Task,
    /// Whether it is in use.
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// Since when.
    #[sqlx(try_from = "i64")]
    pub status_at: Timestamp,
    /// The highest version number ever given; numbers are not used twice.
    pub last_version: i64,
    /// Number of the newest active version that is not a candidate.
    pub latest_version: Option<i64>,
    /// Number of the version in production.
    pub production_version: Option<i64>,
    /// Successful predictions of all its versions.
    pub prediction_count: i64,
    /// What is kept of requests to it.
    #[sqlx(try_from = "Column<String>")]
    pub capture: CapturePolicy,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When it or one of its versions was last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Timestamp,
}

/// What a new model starts with.
#[derive(Clone, Debug)]
pub struct NewModel {
    /// Identity.
    pub id: ModelId,
    /// Whose it is.
    pub owner_id: UserId,
    /// Unique among its owner's.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// In the order given.
    pub tags: Vec<String>,
    /// What it is for.
    pub task: Task,
    /// Now.
    pub created_at: Timestamp,
}

/// What to change of a model; `None` leaves a column alone.
#[derive(Clone, Debug, Default)]
pub struct ModelChange {
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New tags, replacing all.
    pub tags: Option<Vec<String>>,
    /// New task.
    pub task: Option<Task>,
    /// New status.
    pub status: Option<Status>,
    /// What is kept of requests to it from now on.
    pub capture: Option<CapturePolicy>,
}

/// Which models a list shows. Archived ones appear only if asked for by status.
#[derive(Clone, Debug, Default)]
pub struct ModelFilter {
    /// Only with this status.
    pub status: Option<Status>,
    /// Only with this text in name, description or tags, whatever its case.
    pub search: Option<String>,
    /// Only with this tag, exactly.
    pub tag: Option<String>,
    /// Only with this task.
    pub task: Option<Task>,
    /// Only those whose name has this in front of its first dot.
    pub catalog: Option<String>,
    /// Only these; empty = all.
    pub only: Vec<ModelId>,
    /// By what to sort.
    pub sort_by: ModelSort,
    /// In which direction.
    pub sort_order: SortOrder,
}

/// By what a list of models is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelSort {
    /// When it was made.
    #[default]
    CreatedAt,
    /// When it was last changed.
    UpdatedAt,
    /// Its name, by code point.
    Name,
    /// Number of its latest version.
    Version,
}

/// In which direction a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// Smallest first.
    Ascending,
    /// Largest first.
    #[default]
    Descending,
}

/// The subquery follows `VersionRef::Production`; `latest_version` is kept by
/// [`Tx::settle_latest_version`].
macro_rules! columns {
    () => {
        "id, owner_id, name, description, tags, task, status, status_at, last_version, \
         nullif(latest_version, 0) as latest_version, \
         (select v.number from versions v where v.model_id = models.id \
          and v.stage = 'production') as production_version, \
         prediction_count, capture, created_at, updated_at"
    };
}

macro_rules! filter {
    () => {
        " from models where owner_id = $1 \
         and (status = $2 or (cast($2 as text) is null and status <> 'archived')) \
         and (cast($3 as text) is null or search_text like $3 escape '\\') \
         and (cast($4 as text) is null or replace(tags, $4, '') <> tags) \
         and (cast($5 as text) is null or task = $5) \
         and (cast($6 as text) is null or substr(name, 1, length($6)) = $6) \
         and (cast($7 as text) is null or $7 like '%' || id || '%') "
    };
}

/// The page is cut out of an index of its order; only its rows are looked up whole.
macro_rules! page_in_order {
    ($order:literal) => {
        concat!(
            "select ",
            columns!(),
            filter!(),
            "order by ",
            $order,
            ", id desc limit $8 offset $9"
        )
    };
}

const BY_ID: &str = concat!("select ", columns!(), " from models where id = $1");
const BY_NAME: &str = concat!(
    "select ",
    columns!(),
    " from models where owner_id = $1 and name = $2"
);

impl Db {
    /// The model with this id, archived or not.
    pub async fn model_by_id(&self, id: ModelId) -> Result<Option<ModelRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// `owner`'s model of this name, archived or not.
    pub async fn model_by_name(&self, owner: UserId, name: &str) -> Result<Option<ModelRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_NAME)
                .bind(owner.to_string())
                .bind(name)
                .fetch_optional(c)
                .await?
        }))
    }

    /// Failed predictions of all of a model's versions, those in the log left out.
    pub async fn failures_of_model(&self, id: ModelId) -> Result<i64> {
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "select cast(coalesce(sum(failure_count), 0) as bigint) \
                 from versions where model_id = $1",
            )
            .bind(id.to_string())
            .fetch_one(c)
            .await?
        }))
    }

    /// One page of `owner`'s models that pass `filter`.
    pub async fn models_page(
        &self,
        owner: UserId,
        filter: &ModelFilter,
        page: PageRequest,
    ) -> Result<Page<ModelRow>> {
        const COUNT: &str = concat!("select count(*)", filter!());
        let owner = owner.to_string();
        let status = filter.status.map(Status::name);
        let search = filter.search.as_ref();
        let search = search.map(|text| contains_pattern(&text.to_lowercase()));
        let tag = filter.tag.as_deref().map(tag_needle);
        let task = filter.task.map(Task::name);
        let catalog = filter.catalog.as_ref().map(|name| format!("{name}."));
        let only = ids_text(&filter.only);
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(in_order(filter))
                .bind(&owner)
                .bind(status)
                .bind(&search)
                .bind(&tag)
                .bind(task)
                .bind(&catalog)
                .bind(&only)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar(COUNT)
                .bind(&owner)
                .bind(status)
                .bind(&search)
                .bind(&tag)
                .bind(task)
                .bind(&catalog)
                .bind(&only);
            (items, total.fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }
}

impl Tx {
    /// Adds a model, unless its owner has one of that name; says whether it was
    /// added. Waits for another transaction that is adding the same name.
    pub async fn insert_model(&mut self, model: &NewModel) -> Result<bool> {
        let added = on!(self, |c| {
            sqlx::query(
                "insert into models (id, owner_id, name, description, tags, task, status, \
                 status_at, search_text, last_version, prediction_count, created_at, updated_at) \
                 values ($1, $2, $3, $4, $5, $6, 'active', $8, $7, 0, 0, $8, $8) \
                 on conflict (owner_id, name) do nothing",
            )
            .bind(model.id.to_string())
            .bind(model.owner_id.to_string())
            .bind(&model.name)
            .bind(&model.description)
            .bind(tags_text(&model.tags))
            .bind(model.task.name())
            .bind(search_text(&model.name, &model.description, &model.tags))
            .bind(model.created_at.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        });
        Ok(added > 0)
    }

    /// The model with this id, archived or not.
    pub async fn model_by_id(&mut self, id: ModelId) -> Result<Option<ModelRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// `owner`'s model of this name, archived or not.
    pub async fn model_by_name(&mut self, owner: UserId, name: &str) -> Result<Option<ModelRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_NAME)
                .bind(owner.to_string())
                .bind(name)
                .fetch_optional(c)
                .await?
        }))
    }

    /// Changes a model; answers the new row, or nothing if there is none.
    pub async fn update_model(
        &mut self,
        id: ModelId,
        change: ModelChange,
        now: Timestamp,
    ) -> Result<Option<ModelRow>> {
        // Locks the row, so that the search text is made of what is really there.
        if !self.touch_model(id, now).await? {
            return Ok(None);
        }
        let Some(mut model) = self.model_by_id(id).await? else {
            return Ok(None);
        };
        model.name = change.name.unwrap_or(model.name);
        model.description = change.description.unwrap_or(model.description);
        model.tags = change.tags.unwrap_or(model.tags);
        model.task = change.task.unwrap_or(model.task);
        if let Some(status) = change.status.filter(|status| *status != model.status) {
            (model.status, model.status_at) = (status, now);
        }
        model.capture = change.capture.unwrap_or(model.capture);
        on!(self, |c| {
            sqlx::query(
                "update models set name = $2, description = $3, tags = $4, task = $5, \
                 status = $6, search_text = $7, capture = $8, status_at = $9 where id = $1",
            )
            .bind(id.to_string())
            .bind(&model.name)
            .bind(&model.description)
            .bind(tags_text(&model.tags))
            .bind(model.task.name())
            .bind(model.status.name())
            .bind(search_text(&model.name, &model.description, &model.tags))
            .bind(json_text(&model.capture))
            .bind(model.status_at.as_micros())
            .execute(c)
            .await?;
        });
        Ok(Some(model))
    }

    /// The input fields of each of a model's versions, archived ones included.
    pub async fn input_schemas(&mut self, id: ModelId) -> Result<Vec<Value>> {
        let texts: Vec<String> = on!(self, |c| {
            sqlx::query_scalar("select input_schema from versions where model_id = $1")
                .bind(id.to_string())
                .fetch_all(c)
                .await?
        });
        let schemas = texts.iter().map(|text| serde_json::from_str(text));
        schemas
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
    }

    /// Sets `updated_at` and locks the row until the commit; answers whether there is one.
    pub async fn touch_model(&mut self, id: ModelId, now: Timestamp) -> Result<bool> {
        let touched = on!(self, |c| {
            sqlx::query("update models set updated_at = $2 where id = $1")
                .bind(id.to_string())
                .bind(now.as_micros())
                .execute(c)
                .await?
                .rows_affected()
        });
        Ok(touched > 0)
    }

    /// Writes down which version is a model's latest one (see `VersionRef::Latest`).
    /// Part of everything that changes the status or stage of a version, or adds or removes one.
    pub(crate) async fn settle_latest_version(&mut self, model: &str) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "update models set latest_version = coalesce((select max(v.number) \
                 from versions v where v.model_id = models.id and v.status = 'active' \
                 and v.stage <> 'candidate'), 0) where id = $1",
            )
            .bind(model)
            .execute(c)
            .await?;
        });
        Ok(())
    }

    /// Removes a model and its versions; answers the digests they named and those
    /// of flat forms that went with them, whether or not somebody still needs them.
    pub async fn delete_model(&mut self, id: ModelId) -> Result<Vec<Digest>> {
        let id = id.to_string();
        let mut texts: Vec<String> = on!(self, |c| {
            let texts = sqlx::query_scalar(
                "select sha256 from versions where model_id = $1 union \
                 select samples_sha256 from versions \
                 where model_id = $1 and samples_sha256 is not null order by sha256",
            )
            .bind(&id)
            .fetch_all(&mut *c)
            .await?;
            sqlx::query("delete from versions where model_id = $1")
                .bind(&id)
                .execute(&mut *c)
                .await?;
            sqlx::query("delete from models where id = $1")
                .bind(&id)
                .execute(c)
                .await?;
            texts
        });
        texts.extend(self.drop_unused_flat_forms().await?);
        let digests = texts.iter().map(|text| text.parse());
        digests
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
    }

    /// Ids of all of a person's models.
    pub async fn models_of_user(&mut self, owner: UserId) -> Result<Vec<ModelId>> {
        let texts: Vec<String> = on!(self, |c| {
            sqlx::query_scalar("select id from models where owner_id = $1 order by id")
                .bind(owner.to_string())
                .fetch_all(c)
                .await?
        });
        let ids = texts.iter().map(|text| text.parse());
        ids.collect::<std::result::Result<_, _>>()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
    }

    /// Archives all of a person's models; answers how many were not archived before.
    pub async fn archive_models_of_user(&mut self, owner: UserId, now: Timestamp) -> Result<u64> {
        Ok(on!(self, |c| {
            sqlx::query(
                "update models set status = 'archived', status_at = $2, updated_at = $2 \
                 where owner_id = $1 and status <> 'archived'",
            )
            .bind(owner.to_string())
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        }))
    }
}

/// Lower-cased here and not by the databases, which disagree on letters beyond ASCII.
fn search_text(name: &str, description: &str, tags: &[String]) -> String {
    format!("{name}\n{description}\n{}", tags.join("\n")).to_lowercase()
}

/// The statement of a page in the order that is asked for.
const fn in_order(filter: &ModelFilter) -> &'static str {
    match (filter.sort_by, filter.sort_order) {
        (ModelSort::CreatedAt, SortOrder::Ascending) => page_in_order!("created_at asc"),
        (ModelSort::CreatedAt, SortOrder::Descending) => page_in_order!("created_at desc"),
        (ModelSort::UpdatedAt, SortOrder::Ascending) => page_in_order!("updated_at asc"),
        (ModelSort::UpdatedAt, SortOrder::Descending) => page_in_order!("updated_at desc"),
        (ModelSort::Name, SortOrder::Ascending) => page_in_order!("name asc"),
        (ModelSort::Name, SortOrder::Descending) => page_in_order!("name desc"),
        (ModelSort::Version, SortOrder::Ascending) => page_in_order!("models.latest_version asc"),
        (ModelSort::Version, SortOrder::Descending) => page_in_order!("models.latest_version desc"),
    }
}
