//! Reading rows of `predictions`, newest first.
//!
//! Two indexes serve every list: a person's times and a model's times. What
//! else a filter asks for is looked up row by row, within windows of so many
//! rows. They grow, so that what is frequent is found in a small one and what is
//! rare needs few statements, and they end: a page of a search that finds
//! nothing is an empty one with a cursor to go on from.

use plimsoll_core::id::{ModelId, PredictionId, UserId};
use plimsoll_core::time::Timestamp;

use super::row::columns;
use super::{LogDb, Position, PredictionFilter, PredictionRow, PredictionStatus};
use crate::Result;
use crate::column::contains_pattern;
use crate::pools::on;

/// Windows looked through for one page, each [`GROWTH`] times the one before.
const WINDOWS: u32 = 5;
const GROWTH: u32 = 4;

/// Rows of the first window, so that all together have about `page_scan`.
pub(super) fn first_window(page_scan: u32) -> i64 {
    let all: u32 = (0..WINDOWS).map(|window| GROWTH.pow(window)).sum();
    i64::from(page_scan / all).max(1)
}

/// Some predictions, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionPage {
    /// At most as many as the filter's limit. Fewer, even none, do not mean
    /// that there are no more: only a missing `next` does.
    pub items: Vec<PredictionRow>,
    /// Where to go on, if there may be more.
    pub next: Option<String>,
}

/// Rows of a list within a window of time. `$lead` names them through an index.
///
/// The other conditions are `case` expressions: an index cannot serve them, and
/// PostgreSQL takes them to pass every second row, so that it walks the index
/// in order instead of collecting and sorting what it believes to be few rows.
macro_rules! rows {
    ($lead:literal) => {
        concat!(
            "select ",
            columns!(),
            " from predictions where ",
            $lead,
            " and created_at >= $3 and (created_at, id) < ($4, $5) \
             and case when cast($6 as text) is null then true else version_id = $6 end \
             and case when cast($7 as text) is null then true else endpoint = $7 end \
             and case when cast($8 as text) is null then true else key_id = $8 end \
             and case when cast($9 as boolean) is null then true \
             else (error_code is not null) = $9 end \
             and case when cast($10 as text) is null then true \
             else lower(input) like $10 escape '\\' or lower(output) like $10 escape '\\' \
             or lower(request_id) like $10 escape '\\' \
             or lower(header_request_id) like $10 escape '\\' end \
             order by created_at desc, id desc limit $11"
        )
    };
}

/// `$2`: ids of models one after the other, nothing for all.
const ROWS_OF_OWNER: &str = rows!(
    "owner_id = $1 and case when cast($2 as text) is null then true \
     else $2 like '%' || model_id || '%' end"
);
const ROWS_OF_MODEL: &str =
    rows!("model_id = $2 and case when owner_id = $1 then true else false end");

/// The time of the last row of a window, read from the index alone.
macro_rules! window {
    ($lead:literal) => {
        concat!(
            "select created_at from predictions where ",
            $lead,
            " = $1 and created_at >= $2 and created_at <= $3 \
             order by created_at desc limit 1 offset $4"
        )
    };
}

const WINDOW_OF_OWNER: &str = window!("owner_id");
const WINDOW_OF_MODEL: &str = window!("model_id");

impl LogDb {
    /// One page of the predictions that pass `filter`, from `after` on or from
    /// the newest.
    pub async fn predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<Position>,
    ) -> Result<PredictionPage> {
        let mut items: Vec<PredictionRow> = Vec::new();
        let mut list = List::new(self, filter);
        if !list.possible {
            return Ok(PredictionPage { items, next: None });
        }
        let start = Position::start(filter.to);
        let mut place = after.map_or(start, |after| after.min(start));
        for window in 0..WINDOWS {
            let rows = self.first_window * i64::from(GROWTH.pow(window));
            let end = list.window_end(place, rows).await?;
            items.extend(list.rows(place, end).await?);
            if list.missing == 0 {
                items.pop();
                let last = items.last().map(Position::of);
                let next = last.map(|position| filter.cursor(position));
                return Ok(PredictionPage { items, next });
            }
            let Some(end) = end else {
                return Ok(PredictionPage { items, next: None });
            };
            place = Position::before(end);
        }
        let next = Some(filter.cursor(place));
        Ok(PredictionPage { items, next })
    }

    /// `owner`'s prediction of this id.
    pub async fn prediction(
        &self,
        owner: UserId,
        id: PredictionId,
    ) -> Result<Option<PredictionRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from predictions where id = $1 and owner_id = $2"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .bind(owner.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// The newest `limit` predictions of a model, newest first.
    pub async fn recent(&self, model: ModelId, limit: u32) -> Result<Vec<PredictionRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from predictions where model_id = $1 order by created_at desc, id desc limit $2"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(model.to_string())
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?
        }))
    }
}

impl Position {
    fn of(row: &PredictionRow) -> Self {
        Self {
            created_at: row.created_at.as_micros(),
            id: row.id,
        }
    }
}

/// A filter in the words of the statements.
struct List<'a> {
    log: &'a LogDb,
    /// False: no row can pass.
    possible: bool,
    owner: String,
    model: Option<String>,
    models: Option<String>,
    version: Option<String>,
    endpoint: Option<&'a str>,
    key: Option<String>,
    failed: Option<bool>,
    search: Option<String>,
    from: i64,
    /// Rows still to be read: one more than wanted, which tells whether there are more.
    missing: i64,
}

impl<'a> List<'a> {
    fn new(log: &'a LogDb, filter: &'a PredictionFilter) -> Self {
        let only = &filter.models;
        let single = (only.len() == 1).then(|| only[0]);
        let model = filter.model.or(single);
        let texts = only.iter().map(ToString::to_string);
        let search = filter.search.as_ref();
        Self {
            log,
            possible: only.is_empty() || model.is_none_or(|model| only.contains(&model)),
            owner: filter.owner.to_string(),
            model: model.map(|id| id.to_string()),
            models: (!only.is_empty()).then(|| texts.collect::<Vec<_>>().join(",")),
            version: filter.version.map(|id| id.to_string()),
            endpoint: filter.endpoint.as_deref(),
            key: filter.key.map(|id| id.to_string()),
            failed: filter
                .status
                .map(|status| status == PredictionStatus::Error),
            search: search.map(|text| contains_pattern(&text.to_ascii_lowercase())),
            from: filter.from.map_or(i64::MIN, Timestamp::as_micros),
            missing: i64::from(filter.limit.max(1)) + 1,
        }
    }

    /// Whether rows must be looked through that do not pass.
    const fn is_sparse(&self) -> bool {
        (self.models.is_some() && self.model.is_none())
            || self.version.is_some()
            || self.endpoint.is_some()
            || self.key.is_some()
            || self.failed.is_some()
            || self.search.is_some()
    }

    /// The time at which the window of so many rows behind `place` ends; `None`
    /// if it reaches the end of the list.
    async fn window_end(&self, place: Position, rows: i64) -> Result<Option<i64>> {
        if !self.is_sparse() {
            return Ok(None);
        }
        let (text, lead) = match &self.model {
            Some(model) => (WINDOW_OF_MODEL, model),
            None => (WINDOW_OF_OWNER, &self.owner),
        };
        Ok(on!(self.log, |c| {
            sqlx::query_scalar(text)
                .bind(lead)
                .bind(self.from)
                .bind(place.latest())
                .bind(rows)
                .fetch_optional(c)
                .await?
        }))
    }

    /// The next rows behind `place`, down to `end` or the end of the list.
    async fn rows(&mut self, place: Position, end: Option<i64>) -> Result<Vec<PredictionRow>> {
        let (text, models) = match &self.model {
            Some(model) => (ROWS_OF_MODEL, Some(model)),
            None => (ROWS_OF_OWNER, self.models.as_ref()),
        };
        let rows: Vec<PredictionRow> = on!(self.log, |c| {
            sqlx::query_as(text)
                .bind(&self.owner)
                .bind(models)
                .bind(end.unwrap_or(self.from))
                .bind(place.created_at)
                .bind(place.id.to_string())
                .bind(&self.version)
                .bind(self.endpoint)
                .bind(&self.key)
                .bind(self.failed)
                .bind(&self.search)
                .bind(self.missing)
                .fetch_all(c)
                .await?
        });
        self.missing -= i64::try_from(rows.len()).unwrap_or(self.missing);
        Ok(rows)
    }
}
