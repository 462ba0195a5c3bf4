//! The table of older paths. Everything known about one is its row.

/// What is changed about a request or its answer besides method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adapter {
    /// Nothing.
    None,
    /// These query parameters become members of a JSON body.
    QueryAsBody(&'static [&'static str]),
    /// This placeholder becomes the one member of a JSON body.
    PathAsBody(&'static str),
    /// The empty answer becomes 200 with `endpoint_name` and `status`.
    StoppedWithBody(&'static str),
}

/// One older path.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    asked: &'static str,
    target: &'static str,
    pub(super) adapter: Adapter,
    /// Whether a wrong mode is 403 here, as it was there, and not 409.
    pub(super) mode_is_forbidden: bool,
    /// What is asked for while there is no default model.
    pub(super) without_model: Option<&'static str>,
    /// What has to be built before it does what it did, if it does not yet.
    pub waits_for: Option<&'static str>,
}

impl Alias {
    /// Method and path, with placeholders in braces.
    pub fn asked(&self) -> (&'static str, &'static str) {
        self.asked.split_once(' ').unwrap_or_default()
    }

    /// Method and path of its canonical route; `{default}` is the default model.
    pub fn target(&self) -> (&'static str, &'static str) {
        self.target.split_once(' ').unwrap_or_default()
    }

    const fn adapter(mut self, adapter: Adapter) -> Self {
        self.adapter = adapter;
        self
    }

    const fn mode_is_forbidden(mut self) -> Self {
        self.mode_is_forbidden = true;
        self
    }

    const fn without_model(mut self, path: &'static str) -> Self {
        self.without_model = Some(path);
        self
    }

    const fn waits_for(mut self, what: &'static str) -> Self {
        self.waits_for = Some(what);
        self
    }
}

const fn alias(asked: &'static str, target: &'static str) -> Alias {
    Alias {
        asked,
        target,
        adapter: Adapter::None,
        mode_is_forbidden: false,
        without_model: None,
        waits_for: None,
    }
}

const MONITORING: &str = "monitoring";
const TRAINING: &str = "training";
const FORECASTS: &str = "forecasts";
const FEEDBACK: &str = "feedback";

/// Every older path, by the system that it comes from.
#[rustfmt::skip]
pub const ALIASES: &[Alias] = &[
    // Keys and predictions under /production.
    alias("POST /api/v1/production/api-keys",                  "POST /api/v1/api-keys"),
    alias("GET /api/v1/production/api-keys",                   "GET /api/v1/api-keys"),
    alias("DELETE /api/v1/production/api-keys/{key}",          "DELETE /api/v1/api-keys/{key}"),
    alias("POST /api/v1/production/v1/models/{model}/predict", "POST /api/v1/models/{model}/predict"),
    alias("GET /api/v1/production/v1/models/{model}/info",     "GET /api/v1/models/{model}/info"),

    // Verbs as collections.
    alias("POST /api/v1/models/upload",             "POST /api/v1/models"),
    alias("POST /api/v1/predict/{model}",           "POST /api/v1/models/{model}/predict"),
    alias("GET /api/v1/predict/history",            "GET /api/v1/predictions"),
    alias("POST /api/v1/predict/batch/{model}",     "POST /api/v1/models/{model}/batch"),
    alias("GET /api/v1/analytics/overview",         "GET /api/v1/monitoring/overview").waits_for(MONITORING),
    alias("GET /api/v1/analytics/models/{model}",   "GET /api/v1/models/{model}/analytics"),

    // One forecasting model at the root.
    alias("POST /train",   "POST /api/v1/models/{default}/train").waits_for(TRAINING),
    alias("POST /predict", "POST /api/v1/models/{default}/forecast").waits_for(FORECASTS),
    alias("GET /logs",     "GET /api/v1/monitoring/models/{default}/logs").waits_for(MONITORING),
    alias("POST /retrain", "POST /api/v1/models/{default}/retrain").waits_for(TRAINING),

    // One model under /api.
    alias("GET /api/model/versions",            "GET /api/v1/models/{default}/versions").without_model("/api/v1/models"),
    alias("POST /api/model/save",               "POST /api/v1/models/{default}/versions").mode_is_forbidden().waits_for(TRAINING),
    alias("POST /api/model/load/{version}",     "POST /api/v1/models/{default}/versions/{version}/load").mode_is_forbidden()
        .waits_for("a current version beside production"),
    alias("POST /api/model/promote/{version}",  "POST /api/v1/models/{default}/versions/{version}/promote").mode_is_forbidden(),
    alias("GET /api/monitoring/stats",          "GET /api/v1/monitoring/models/{default}/metrics").waits_for(MONITORING),
    alias("GET /api/monitoring/drift",          "GET /api/v1/monitoring/models/{default}/drift").waits_for(MONITORING),
    alias("POST /api/monitoring/baseline",      "POST /api/v1/monitoring/models/{default}/baseline").waits_for(MONITORING),
    alias("GET /api/mode",                      "GET /api/v1/mode"),
    alias("POST /api/mode/{mode}",              "PUT /api/v1/mode").adapter(Adapter::PathAsBody("{mode}")),
    alias("GET /api/health",                    "GET /health"),
    alias("GET /api/health/detailed",           "GET /health/detailed"),
    alias("GET /api/status",                    "GET /health"),
    alias("POST /api/auth/token",               "POST /api/v1/auth/login"),

    // Endpoints under /deployment; what is watched by the endpoint's name alone.
    alias("GET /api/v1/deployment/models",                          "GET /api/v1/models"),
    alias("GET /api/v1/deployment/models/{model}/versions",         "GET /api/v1/models/{model}/versions"),
    alias("GET /api/v1/deployment/models/{model}/deployments",      "GET /api/v1/models/{model}/deployments"),
    alias("GET /api/v1/deployment/endpoints",                       "GET /api/v1/endpoints"),
    alias("GET /api/v1/deployment/endpoints/{endpoint}",            "GET /api/v1/endpoints/{endpoint}"),
    alias("PUT /api/v1/deployment/endpoints/{endpoint}",            "PATCH /api/v1/endpoints/{endpoint}")
        .adapter(Adapter::QueryAsBody(&["model_version", "workload_size", "scale_to_zero"])),
    alias("DELETE /api/v1/deployment/endpoints/{endpoint}",         "DELETE /api/v1/endpoints/{endpoint}")
        .adapter(Adapter::StoppedWithBody("{endpoint}")),
    alias("POST /api/v1/deployment/deploy",                         "POST /api/v1/endpoints"),
    alias("POST /api/v1/deployment/endpoints/{endpoint}/query",     "POST /api/v1/endpoints/{endpoint}/predict"),
    alias("POST /api/v1/deployment/endpoints/{endpoint}/rollback",  "POST /api/v1/endpoints/{endpoint}/rollback")
        .adapter(Adapter::QueryAsBody(&["target_version"])),
    alias("POST /api/v1/deployment/endpoints/{endpoint}/validate",  "POST /api/v1/endpoints/{endpoint}/validate"),
    alias("GET /api/v1/deployment/endpoints/{endpoint}/history",    "GET /api/v1/endpoints/{endpoint}/history"),
    alias("GET /api/v1/deployment/deployments",                     "GET /api/v1/deployments"),
    alias("GET /api/v1/monitoring/metrics/performance",             "GET /api/v1/monitoring/performance").waits_for(MONITORING),
    alias("GET /api/v1/monitoring/metrics/realtime/{endpoint}",     "GET /api/v1/monitoring/endpoints/{endpoint}/realtime").waits_for(MONITORING),
    alias("GET /api/v1/monitoring/drift/{endpoint}",                "GET /api/v1/monitoring/endpoints/{endpoint}/drift").waits_for(MONITORING),
    alias("GET /api/v1/monitoring/health/{endpoint}",               "GET /api/v1/monitoring/endpoints/{endpoint}/health").waits_for(MONITORING),
    alias("GET /api/v1/feedback/endpoint/{endpoint}/recent",        "GET /api/v1/endpoints/{endpoint}/feedback").waits_for(FEEDBACK),
    alias("POST /api/v1/feedback/{feedback}/flag",                  "PUT /api/v1/feedback/{feedback}/flag").waits_for(FEEDBACK),
];
