//! What a large registry costs: start-up, lists, and the snapshot after a change.
//!
//! `cargo run --example registry_size -- DATABASE FOLDER [MODELS]`, where
//! `DATABASE` is `sqlite:PATH` or `postgresql://…` and `FOLDER` is new; both are
//! left behind. Adds models with ten versions each to one person (10,000 unless
//! told otherwise), then starts the application on them and asks for lists.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_app::auth::Caller;
use plimsoll_app::history::open_log;
use plimsoll_app::registry::{ModelChange, ModelFilter, ModelSort};
use plimsoll_app::{App, AppParts, Background, Settings};
use plimsoll_blob::{Blobs, Limits};
use plimsoll_core::digest::Digest;
use plimsoll_core::entropy::SystemEntropy;
use plimsoll_core::id::{IdSource, ModelId, UserId, VersionId};
use plimsoll_core::model::{ModelRef, Stage, VersionRef};
use plimsoll_core::page::PageRequest;
use plimsoll_core::revision::IfMatch;
use plimsoll_core::schema::Task;
use plimsoll_core::time::{Clock, SystemClock, Timestamp};
use plimsoll_core::user::Role;
use plimsoll_engine::{Engine, EngineOptions};
use plimsoll_store::{DatabaseUrl, Db, DbOptions, Lineage, LogDb, NewModel, NewVersion, SortOrder};
use serde_json::json;

const VERSIONS: usize = 10;
/// Times each question is asked; the middle one is shown.
const ROUNDS: usize = 9;

type Done<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("expected a database")?;
    let folder = arguments.next().ok_or("expected a folder")?;
    let models = arguments.next().map_or(Ok(10_000), |count| count.parse())?;
    let (url, folder): (DatabaseUrl, _) = (url.parse()?, Path::new(&folder));
    std::fs::create_dir_all(folder)?;
    let options = DbOptions::new(url);
    let db = Db::open(&options).await?;
    db.migrate().await?;
    let log = open_log(&Background::start()?, options).await?;
    let app = start(folder, &db, &log).await?;
    let caller = Caller::person(app.ensure_admin_row().await?, Role::Admin);
    let clock = SystemClock::new();
    fill(&db, caller.user, models).await?;
    let started = clock.monotonic();
    let app = start(folder, &db, &log).await?;
    println!(
        "start with {models} models of {VERSIONS} versions: {:?}",
        clock.monotonic().since(started)
    );
    lists(&app, &caller).await?;
    changes(&app, &caller).await?;
    app.stop(Duration::from_secs(10)).await;
    Ok(())
}

async fn start(folder: &Path, db: &Db, log: &LogDb) -> Done<App> {
    let parts = AppParts {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        db: db.clone(),
        log: log.clone(),
        blobs: Blobs::open(folder, Limits { max_bytes: 1 << 30 }).await?,
        engine: Engine::new(EngineOptions {
            onnxruntime: None,
            intra_threads: 1,
        }),
        history: None,
        settings: Settings::default(),
        background: Background::start()?,
    };
    Ok(App::start(parts).await?)
}

/// Adds what is missing to so many models.
async fn fill(db: &Db, owner: UserId, models: usize) -> Done<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids = IdSource::new(clock.clone(), &SystemEntropy);
    let there = db.model_by_name(owner, &name(models - 1)).await?;
    if there.is_some() {
        return Ok(());
    }
    for chunk in (0..models).collect::<Vec<_>>().chunks(500) {
        let mut tx = db.begin().await?;
        for index in chunk {
            let model = NewModel {
                id: ModelId::new(&ids),
                owner_id: owner,
                name: name(*index),
                description: format!("predicts the demand of shop {index}, trained every night"),
                tags: vec!["forecast".to_owned(), format!("shop-{}", index % 100)],
                task: Task::Classification,
                created_at: clock.now(),
            };
            tx.insert_model(&model).await?;
            for _ in 0..VERSIONS {
                let version = version(&ids, model.id, owner, clock.now());
                tx.insert_next_version(version).await?;
            }
        }
        tx.touch().await?;
        tx.commit().await?;
    }
    Ok(())
}

fn name(index: usize) -> String {
    format!("shop.region-{}.demand-{index}", index % 10)
}

fn version(ids: &IdSource, model_id: ModelId, owner: UserId, now: Timestamp) -> NewVersion {
    let id = VersionId::new(ids);
    let fields: Vec<_> = (0..20)
        .map(|index| json!({"name": format!("feature_{index}"), "type": "float64", "nullable": false}))
        .collect();
    NewVersion {
        id,
        model_id,
        label: None,
        description: "as trained".to_owned(),
        stage: Stage::None,
        format: "sklearn-joblib".to_owned(),
        algorithm: "Pipeline(StandardScaler, RandomForestClassifier)".to_owned(),
        library: "scikit-learn 1.7.2".to_owned(),
        task: Task::Classification,
        sha256: Digest::of(id.to_string().as_bytes()),
        size_bytes: 1 << 20,
        file_name: "demand.joblib".to_owned(),
        input_schema: json!(fields),
        output_schema: json!([{"name": "prediction", "type": "string", "nullable": false}]),
        classes: json!(["low", "middle", "high"]),
        metrics: json!({"accuracy": 0.93, "f1": 0.91, "rows": 12_345}),
        config: json!({"n_estimators": 100}),
        training_info: json!({"rows": 12_345}),
        tags: vec!["nightly".to_owned()],
        verification: None,
        samples: None,
        lineage: Lineage::default(),
        created_by: owner,
        created_at: now,
    }
}

async fn lists(app: &App, caller: &Caller) -> Done<()> {
    let first = PageRequest {
        number: 1,
        size: 100,
    };
    let last = PageRequest {
        number: 90,
        ..first
    };
    let by = |sort_by, sort_order| ModelFilter {
        sort_by,
        sort_order,
        ..ModelFilter::default()
    };
    let search = |text: &str| ModelFilter {
        search: Some(text.to_owned()),
        ..ModelFilter::default()
    };
    let tagged = ModelFilter {
        tag: Some("shop-7".to_owned()),
        ..ModelFilter::default()
    };
    for (what, filter, page) in [
        ("newest", ModelFilter::default(), first),
        ("newest, page 90", ModelFilter::default(), last),
        ("by name", by(ModelSort::Name, SortOrder::Ascending), first),
        (
            "by version",
            by(ModelSort::Version, SortOrder::Descending),
            first,
        ),
        ("search, one found", search("demand-7777"), first),
        ("search, many found", search("region"), first),
        ("search, none found", search("nowhere"), first),
        ("tag", tagged, first),
    ] {
        let ask = async || app.models(caller, filter.clone(), page).await.map(drop);
        println!("list, {what}: {:?}", middle(ask).await?);
    }
    let model = ModelRef::Name(name(77));
    let versions = async || {
        app.versions(caller, &model, (None, None), first)
            .await
            .map(drop)
    };
    println!("versions of a model: {:?}", middle(versions).await?);
    let compare = async || {
        for number in [3, 9] {
            app.version(caller, &model, &VersionRef::Number(number))
                .await?;
        }
        Ok(())
    };
    println!("two versions: {:?}", middle(compare).await?);
    Ok(())
}

async fn changes(app: &App, caller: &Caller) -> Done<()> {
    let model = ModelRef::Name(name(77));
    let change = async || {
        let change = ModelChange {
            tags: Some(vec!["changed".to_owned()]),
            ..ModelChange::default()
        };
        let always = IfMatch::Always;
        app.update_model(caller, &model, change, &always)
            .await
            .map(drop)
    };
    println!(
        "change of a model, snapshot included: {:?}",
        middle(change).await?
    );
    Ok(())
}

async fn middle<F>(ask: F) -> Done<Duration>
where
    F: AsyncFn() -> Result<(), plimsoll_app::Error>,
{
    let clock = SystemClock::new();
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let started = clock.monotonic();
        ask().await?;
        took.push(clock.monotonic().since(started));
    }
    took.sort_unstable();
    Ok(took[ROUNDS / 2])
}
