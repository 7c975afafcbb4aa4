//! Health, metrics and status over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{header, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::watch;

use crate::lease::Share;
use crate::metrics::Exposition;
use crate::partition::Reading;
use crate::shared::Shared;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What has to hold before messages are taken for granted.
#[derive(Clone)]
pub struct Readiness {
    pub configurations_listed: watch::Receiver<bool>,
    pub active_listed: watch::Receiver<bool>,
    pub reading: Reading,
    pub share: Share,
    /// A partition that is further behind than this is not ready.
    pub lag_max: Duration,
}

pub struct Http {
    pub shared: Arc<Shared>,
    pub exposition: Arc<Exposition>,
    pub readiness: Readiness,
    /// If points are taken in here, too.
    pub gateway: Option<Arc<ratchet_ingest::Running>>,
}

impl Http {
    pub fn router(self) -> Router {
        Router::new()
            .route("/livez", get(livez))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics).with_state(self.exposition.clone()))
            .route("/status", get(status))
            .with_state(Arc::new(self))
    }

    /// Whether everything that this process should serve is read.
    fn serves_its_share(&self) -> bool {
        let share = self.readiness.share.get();
        share.is_some_and(|share| self.readiness.reading.count() >= share)
    }

    /// Whether points that senders bring can be stored: the gateway has a connection of its own.
    fn stores(&self) -> bool {
        let gateway = self.gateway.as_deref();
        gateway.is_none_or(ratchet_ingest::Running::is_ready)
    }

    /// What is still missing before it serves what it should.
    fn missing(&self) -> Vec<String> {
        let readiness = &self.readiness;
        let checks = [
            (
                self.shared.metrics.connected.get() == 1,
                "NATS is not connected",
            ),
            (
                *readiness.configurations_listed.borrow(),
                "configurations are not listed",
            ),
            (
                *readiness.active_listed.borrow(),
                "active modules are not listed",
            ),
            (self.serves_its_share(), "partitions are not reading"),
            (self.stores(), "the gateway is not connected to NATS"),
        ];
        checks
            .iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, missing)| (*missing).to_owned())
            .collect()
    }

    /// How it lags, if it does.
    fn behind(&self) -> Option<String> {
        let (partition, lag) = self.shared.metrics.lag.greatest()?;
        let (lag_s, max_s) = (lag.as_secs_f64(), self.readiness.lag_max.as_secs_f64());
        let told = || format!("partition {partition} is {lag_s:.1} s behind, more than {max_s} s");
        (lag > self.readiness.lag_max).then(told)
    }
}

/// The process runs: nothing that a restart would mend is told.
pub async fn livez() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "live": true }))
}

/// Everything that it should serve is served, however far behind.
async fn healthz(State(http): State<Arc<Http>>) -> Response {
    answer(http.missing())
}

/// The same, and it keeps up.
async fn readyz(State(http): State<Arc<Http>>) -> Response {
    let mut missing = http.missing();
    missing.extend(http.behind());
    answer(missing)
}

pub fn answer(missing: Vec<String>) -> Response {
    let ready = missing.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(serde_json::json!({ "ready": ready, "missing": missing })),
    )
        .into_response()
}

pub async fn metrics(State(exposition): State<Arc<Exposition>>) -> Response {
    match exposition.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status(State(http): State<Arc<Http>>) -> Json<serde_json::Value> {
    let fleet = http.shared.registry.fleet();
    Json(http.shared.status.json(fleet.as_deref()))
}
