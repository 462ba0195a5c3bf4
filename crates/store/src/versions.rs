//! The table `versions`. A version's content never changes; its status, stage,
//! words and counters do.

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{ModelId, UserId, VersionId};
use plimsoll_core::model::{Stage, Status};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::schema::Task;
use plimsoll_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;

use crate::column::{Column, tag_needle, tags_text};
use crate::pools::on;
use crate::{Db, Result, Tx};

/// A version of a model.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct VersionRow {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: VersionId,
    /// The model it belongs to.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// Counted from 1 within the model; never used twice.
    pub number: i64,
    /// Unique within the model.
    pub label: String,
    /// As given; may be empty.
    pub description: String,
    /// Whether it is in use.
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// Since when.
    #[sqlx(try_from = "i64")]
    pub status_at: Timestamp,
    /// How far it has come.
    #[sqlx(try_from = "String")]
    pub stage: Stage,
    /// File format, e.g. `onnx`.
    pub format: String,
    /// What computes, e.g. `RandomForestClassifier`.
    pub algorithm: String,
    /// What made the file, e.g. `scikit-learn 1.7.2`; may be empty.
    pub library: String,
    /// What it is for.
    #[sqlx(try_from = "String")]
    pub task: Task,
    /// Its content's name in the blob store.
    #[sqlx(try_from = "String")]
    pub sha256: Digest,
    /// Length of the content.
    pub size_bytes: i64,
    /// What the uploader called the file; for display only.
    pub file_name: String,
    /// Input fields.
    #[sqlx(try_from = "Column<String>")]
    pub input_schema: Value,
    /// Output fields.
    #[sqlx(try_from = "Column<String>")]
    pub output_schema: Value,
    /// Classes of a classifier, in probability order.
    #[sqlx(try_from = "Column<String>")]
    pub classes: Value,
    /// Named figures.
    #[sqlx(try_from = "Column<String>")]
    pub metrics: Value,
    /// How it was configured.
    #[sqlx(try_from = "Column<String>")]
    pub config: Value,
    /// How it was trained.
    #[sqlx(try_from = "Column<String>")]
    pub training_info: Value,
    /// As given.
    #[sqlx(try_from = "Column<String>")]
    pub tags: Vec<String>,
    /// Outcome of the comparison with sample outputs, if any were given.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub verification: Option<Value>,
    /// The content with its sample rows, if there are any.
    #[sqlx(rename = "samples_sha256", try_from = "Column<Option<String>>")]
    pub samples: Option<Digest>,
    /// Where it comes from.
    #[sqlx(flatten)]
    pub lineage: Lineage,
    /// Who made it.
    #[sqlx(try_from = "String")]
    pub created_by: UserId,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// Successful predictions.
    pub prediction_count: i64,
    /// Failed predictions.
    pub failure_count: i64,
}

/// Where a version comes from, as far as whatever made it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Lineage {
    /// Number of the version it grew from.
    pub parent_version: Option<i64>,
    /// Id of the job that made it.
    pub job_id: Option<String>,
    /// Id of the dataset it was trained on.
    pub dataset_id: Option<String>,
}

/// What a new version starts with; it is active.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Identity.
    pub id: VersionId,
    /// The model it belongs to.
    pub model_id: ModelId,
    /// `None` = `N.0.0`, or the next free `N.0.1`, `N.0.2`, …
    pub label: Option<String>,
    /// May be empty.
    pub description: String,
    /// Production is only reached by promotion.
    pub stage: Stage,
    /// File format.
    pub format: String,
    /// What computes.
    pub algorithm: String,
    /// What made the file; may be empty.
    pub library: String,
    /// What it is for.
    pub task: Task,
    /// Its content's name in the blob store.
    pub sha256: Digest,
    /// Length of the content.
    pub size_bytes: i64,
    /// What the uploader called the file.
    pub file_name: String,
    /// Input fields.
    pub input_schema: Value,
    /// Output fields.
    pub output_schema: Value,
    /// Classes of a classifier.
    pub classes: Value,
    /// Named figures.
    pub metrics: Value,
    /// How it was configured.
    pub config: Value,
    /// How it was trained.
    pub training_info: Value,
    /// In the order given.
    pub tags: Vec<String>,
    /// Outcome of the comparison with sample outputs.
    pub verification: Option<Value>,
    /// The content with its sample rows.
    pub samples: Option<Digest>,
    /// Where it comes from.
    pub lineage: Lineage,
    /// Who makes it.
    pub created_by: UserId,
    /// Now.
    pub created_at: Timestamp,
}

/// What to change of a version; `None` leaves a column alone.
#[derive(Clone, Debug, Default)]
pub struct VersionChange {
    /// New description.
    pub description: Option<String>,
    /// New tags, replacing all.
    pub tags: Option<Vec<String>>,
    /// New status.
    pub status: Option<Status>,
    /// New figures, replacing all.
    pub metrics: Option<Value>,
    /// New outcome of a comparison.
    pub verification: Option<Value>,
}

macro_rules! columns {
    () => {
        "id, model_id, number, label, description, status, stage, format, algorithm, library, \
         task, sha256, size_bytes, file_name, input_schema, output_schema, classes, metrics, \
         config, training_info, tags, verification, samples_sha256, created_by, created_at, \
         prediction_count, failure_count, status_at, parent_version, job_id, dataset_id"
    };
}

macro_rules! filter {
    () => {
        " from versions where model_id = $1 \
         and (cast($2 as text) is null or status = $2) \
         and (cast($3 as text) is null or replace(tags, $3, '') <> tags) "
    };
}

const BY_ID: &str = concat!("select ", columns!(), " from versions where id = $1");

impl Db {
    /// The version with this id, archived or not.
    pub async fn version_by_id(&self, id: VersionId) -> Result<Option<VersionRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// A model's versions, newest first; all of them, or those with a status or a tag.
    pub async fn versions_page(
        &self,
        model: ModelId,
        status: Option<Status>,
        tag: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<VersionRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            filter!(),
            "order by number desc limit $4 offset $5"
        );
        const COUNT: &str = concat!("select count(*)", filter!());
        let model = model.to_string();
        let status = status.map(Status::name);
        let tag = tag.map(tag_needle);
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(SQL)
                .bind(&model)
                .bind(status)
                .bind(&tag)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar(COUNT)
                .bind(&model)
                .bind(status)
                .bind(&tag);
            (items, total.fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }
}

impl Tx {
    /// Adds the next version of a model; answers its row, or nothing if there
    /// is no such model. Numbers are counted on the model's row, which stays
    /// locked until the commit: uploads at the same moment get different ones.
    /// A taken label is `Unique { column: "versions.label" }`.
    pub async fn insert_next_version(&mut self, new: NewVersion) -> Result<Option<VersionRow>> {
        let number: Option<i64> = on!(self, |c| {
            sqlx::query_scalar(
                "update models set last_version = last_version + 1, updated_at = $2 \
                 where id = $1 returning last_version",
            )
            .bind(new.model_id.to_string())
            .bind(new.created_at.as_micros())
            .fetch_optional(c)
            .await?
        });
        let Some(number) = number else {
            return Ok(None);
        };
        let label = match new.label.clone() {
            Some(label) => label,
            None => self.free_label(new.model_id, number).await?,
        };
        let row = first_row(new, number, label);
        self.insert_version(&row).await?;
        self.settle_latest_version(&row.model_id.to_string())
            .await?;
        Ok(Some(row))
    }

    /// The version with this id, archived or not.
    pub async fn version_by_id(&mut self, id: VersionId) -> Result<Option<VersionRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// Changes a version; answers the new row, or nothing if there is none.
    pub async fn update_version(
        &mut self,
        id: VersionId,
        change: VersionChange,
        now: Timestamp,
    ) -> Result<Option<VersionRow>> {
        const SQL: &str = concat!(
            "update versions set description = coalesce(cast($2 as text), description), \
             tags = coalesce(cast($3 as text), tags), \
             status_at = case when cast($4 as text) <> status then $7 else status_at end, \
             status = coalesce(cast($4 as text), status), \
             metrics = coalesce(cast($5 as text), metrics), \
             verification = coalesce(cast($6 as text), verification) \
             where id = $1 returning ",
            columns!()
        );
        let row: Option<VersionRow> = on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .bind(change.description)
                .bind(change.tags.map(|tags| tags_text(&tags)))
                .bind(change.status.map(Status::name))
                .bind(change.metrics.map(|value| value.to_string()))
                .bind(change.verification.map(|value| value.to_string()))
                .bind(now.as_micros())
                .fetch_optional(c)
                .await?
        });
        if let Some(row) = &row
            && change.status.is_some()
        {
            self.settle_latest_version(&row.model_id.to_string())
                .await?;
        }
        Ok(row)
    }

    /// Removes a version that is not in production; answers the digests it named and
    /// that of a flat form which went with it, whether or not somebody still needs
    /// them, or nothing if there is no such version.
    pub async fn delete_version(&mut self, id: VersionId) -> Result<Option<Vec<Digest>>> {
        let removed: Option<(String, String, Option<String>)> = on!(self, |c| {
            sqlx::query_as(
                "delete from versions where id = $1 and stage <> 'production' \
                 returning model_id, sha256, samples_sha256",
            )
            .bind(id.to_string())
            .fetch_optional(c)
            .await?
        });
        let Some((model, content, samples)) = removed else {
            return Ok(None);
        };
        self.settle_latest_version(&model).await?;
        let flat = self.drop_flat_form_if_unused(&content).await?;
        let named = [Some(content), samples, flat].into_iter().flatten();
        let digests = named.map(|text| text.parse());
        let digests: std::result::Result<Vec<_>, _> = digests.collect();
        digests
            .map(Some)
            .map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
    }

    /// How many rows name this content: a blob that none names may be removed.
    pub async fn uses_of_content(&mut self, digest: &Digest) -> Result<i64> {
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "select (select count(*) from versions where sha256 = $1 or samples_sha256 = $1) \
                 + (select count(*) from flat_forms where flat_sha256 = $1) \
                 + (select count(*) from job_files where sha256 = $1)",
            )
            .bind(digest.to_string())
            .fetch_one(c)
            .await?
        }))
    }

    /// `N.0.0`, or the next of its kind if somebody gave that name by hand.
    async fn free_label(&mut self, model: ModelId, number: i64) -> Result<String> {
        let model = model.to_string();
        let mut patch = 0;
        loop {
            let label = format!("{number}.0.{patch}");
            let taken: i64 = on!(self, |c| {
                sqlx::query_scalar(
                    "select count(*) from versions where model_id = $1 and label = $2",
                )
                .bind(&model)
                .bind(&label)
                .fetch_one(c)
                .await?
            });
            if taken == 0 {
                return Ok(label);
            }
            patch += 1;
        }
    }

    async fn insert_version(&mut self, row: &VersionRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into versions (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(row.id.to_string())
                .bind(row.model_id.to_string())
                .bind(row.number)
                .bind(&row.label)
                .bind(&row.description)
                .bind(row.status.name())
                .bind(row.stage.name())
                .bind(&row.format)
                .bind(&row.algorithm)
                .bind(&row.library)
                .bind(row.task.name())
                .bind(row.sha256.to_string())
                .bind(row.size_bytes)
                .bind(&row.file_name)
                .bind(row.input_schema.to_string())
                .bind(row.output_schema.to_string())
                .bind(row.classes.to_string())
                .bind(row.metrics.to_string())
                .bind(row.config.to_string())
                .bind(row.training_info.to_string())
                .bind(tags_text(&row.tags))
                .bind(row.verification.as_ref().map(Value::to_string))
                .bind(row.samples.as_ref().map(Digest::to_string))
                .bind(row.created_by.to_string())
                .bind(row.created_at.as_micros())
                .bind(row.prediction_count)
                .bind(row.failure_count)
                .bind(row.status_at.as_micros())
                .bind(row.lineage.parent_version)
                .bind(&row.lineage.job_id)
                .bind(&row.lineage.dataset_id)
                .execute(c)
                .await?;
        });
        Ok(())
    }
}

fn first_row(new: NewVersion, number: i64, label: String) -> VersionRow {
    VersionRow {
        id: new.id,
        model_id: new.model_id,
        number,
        label,
        description: new.description,
        status: Status::Active,
        status_at: new.created_at,
        stage: new.stage,
        format: new.format,
        algorithm: new.algorithm,
        library: new.library,
        task: new.task,
        sha256: new.sha256,
        size_bytes: new.size_bytes,
        file_name: new.file_name,
        input_schema: new.input_schema,
        output_schema: new.output_schema,
        classes: new.classes,
        metrics: new.metrics,
        config: new.config,
        training_info: new.training_info,
        tags: new.tags,
        verification: new.verification,
        samples: new.samples,
        lineage: new.lineage,
        created_by: new.created_by,
        created_at: new.created_at,
        prediction_count: 0,
        failure_count: 0,
    }
}
