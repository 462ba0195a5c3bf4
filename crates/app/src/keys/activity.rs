//! What keys are used for.

use std::collections::HashMap;
use std::time::Duration;

use plimsoll_core::id::{KeyId, ModelId};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_store::KeyRow;

use crate::auth::Caller;
use crate::{App, Error};

const DAY: Duration = Duration::from_hours(24);

/// What one key is used for.
#[derive(Debug)]
pub struct KeyActivity {
    /// The key, with its totals.
    pub key: KeyRow,
    /// Predictions of the last 24 hours that are in the log.
    pub predictions_last_24h: i64,
    /// The models of those predictions, by name; a model that is gone by its id.
    pub models: Vec<String>,
    /// Requests that this hour's limit counted in this process.
    pub used_this_hour: u64,
}

impl App {
    /// What the caller's keys are used for, newest key first. Totals are exact; what
    /// is of the last 24 hours is read from the log, with one pass over the caller's
    /// predictions of that time.
    pub async fn key_activity(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<KeyActivity>, Error> {
        let keys = self.keys(caller, page, false).await?;
        let now = self.clock().now();
        let mut by_key: HashMap<KeyId, Vec<(ModelId, i64)>> = HashMap::new();
        for used in self.log().key_models(caller.user, now.minus(DAY)).await? {
            let models = by_key.entry(used.key_id).or_default();
            models.push((used.model_id, used.predictions));
        }
        let live = self.live();
        let name = |id: &ModelId| match live.model_by_id(*id) {
            Some(model) => model.name.clone(),
            None => id.to_string(),
        };
        Ok(keys.map(|key| {
            let used = by_key.remove(&key.id).unwrap_or_default();
            let entry = live.key(&key.handle);
            KeyActivity {
                predictions_last_24h: used.iter().map(|(_, predictions)| predictions).sum(),
                models: used.iter().map(|(model, _)| name(model)).collect(),
                used_this_hour: entry.map_or(0, |entry| entry.usage.allowance.spent(now)),
                key,
            }
        }))
    }
}
