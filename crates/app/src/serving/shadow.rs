//! Shadows: versions that see what an endpoint is asked, and whose answers
//! nobody gets.
//!
//! A shadow must never slow a caller down. So it is asked after the answer was
//! made, by threads that give way to all others, and if it cannot keep up it
//! misses requests, which are counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use plimsoll_core::decode::Decoded;
use plimsoll_core::endpoint::Ticket;
use plimsoll_core::entropy::Entropy;
use plimsoll_core::id::{PredictionId, UserId};
use plimsoll_core::record::Outcome;
use plimsoll_core::time::Clock;
use tokio::sync::Semaphore;

use super::asking::Kept;
use super::pool::{Pool, Priority};
use super::predict::{PredictCall, Run, failure_code, run_model, undecodable};
use super::{Route, Serving};
use crate::history::{Asked, Ran};
use crate::live::{EndpointEntry, VersionEntry};
use crate::{App, Error, PredictSettings};

/// Requests that may wait for shadows at once, in the whole process.
const WAITING: usize = 256;

/// Who is asked besides those who answer, and by lot.
pub(super) struct Shadows {
    places: Arc<Semaphore>,
    /// Started by the first request that a shadow sees.
    pool: OnceLock<Pool>,
    seed: u64,
    drawn: AtomicU64,
}

impl Shadows {
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let mut seed = [0; 8];
        entropy.fill(&mut seed);
        Self {
            places: Arc::new(Semaphore::new(WAITING)),
            pool: OnceLock::new(),
            seed: u64::from_le_bytes(seed),
            drawn: AtomicU64::new(0),
        }
    }
}

/// What a shadow is shown.
struct Shown {
    endpoint: Arc<EndpointEntry>,
    version: Arc<VersionEntry>,
    body: Kept,
    user: UserId,
    request_id: String,
    client_request_id: Option<String>,
}

impl Serving {
    /// A random place in an endpoint's traffic.
    pub(super) fn draw(&self) -> Ticket {
        let count = self.shadows.drawn.fetch_add(1, Ordering::Relaxed);
        Ticket::drawn(self.shadows.seed, count)
    }

    fn shadow_pool(&self) -> &Pool {
        self.shadows.pool.get_or_init(|| {
            let settings = PredictSettings {
                pool_threads: 1,
                queue: WAITING,
                // A late answer of a shadow is as good as any.
                queue_max_age: Duration::MAX,
                ..self.settings.clone()
            };
            let (clock, meters) = (self.clock.clone(), self.meters.clone());
            Pool::new(&settings, clock, meters, Priority::Behind)
        })
    }
}

impl App {
    /// Shows a request that was answered to the endpoint's shadows.
    pub(super) fn show_to_shadows(
        &self,
        route: &Route,
        call: &PredictCall<'_>,
        client_request_id: Option<&str>,
    ) {
        let Some(endpoint) = &route.endpoint else {
            return;
        };
        for version in endpoint.shadows(route.ticket) {
            let places = self.serving().shadows.places.clone();
            let Ok(place) = places.try_acquire_owned() else {
                self.meters().shadow_missed.inc();
                continue;
            };
            let shown = Shown {
                endpoint: endpoint.clone(),
                version: version.clone(),
                body: call.body.keep(),
                user: call.caller.user,
                request_id: call.request_id.to_owned(),
                client_request_id: client_request_id.map(str::to_owned),
            };
            let app = self.clone();
            self.tasks().detach_behind(async move {
                let _place = place;
                match app.ask_shadow(&shown).await {
                    Ok(()) => app.meters().shadow_predictions.inc(),
                    Err(_) => app.meters().shadow_failures.inc(),
                };
            });
        }
    }

    async fn ask_shadow(&self, shown: &Shown) -> Result<(), Error> {
        let (loaded, cached) = self.loaded(&shown.version).await?;
        let max_rows = self.settings().predict.max_rows;
        let decoded = shown.body.decode(loaded.predictor.schema(), max_rows);
        let Decoded { batch, .. } = decoded.map_err(undecodable)?;
        let batch = Arc::new(batch);
        let started = self.clock().monotonic();
        let deadline = started.plus(self.settings().predict.timeout);
        let (model, rows, clock) = (loaded.clone(), batch.clone(), self.clock().clone());
        let work = move |cancelled: &_| {
            let clock: &dyn Clock = clock.as_ref();
            run_model(&model, &rows, (clock, deadline, cancelled))
        };
        let pool = loaded.lane.as_ref();
        let ran = pool
            .unwrap_or_else(|| self.serving().shadow_pool())
            .run(work)
            .await?;
        let at = self.clock().now();
        let facts = Ran {
            id: PredictionId::new_at(self.ids(), at),
            at,
            started,
            model: &shown.endpoint.model,
            version: &shown.version,
            schema: loaded.predictor.schema(),
            client_request_id: shown.client_request_id.as_deref(),
            request_id: &shown.request_id,
            asked: Asked::Shadow(shown.user),
            endpoint: Some(&shown.endpoint.name),
            cached,
            result_cached: false,
        };
        let Run { output, .. } = match ran {
            Ok(run) => run,
            Err(error) => {
                if let Some(code) = failure_code(&error) {
                    self.record(&facts, &batch, Outcome::Failed { code })
                        .await?;
                }
                return Err(error);
            }
        };
        self.record(&facts, &batch, Outcome::Answered(&output))
            .await
    }
}
