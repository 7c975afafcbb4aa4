//! Health, metrics and status over HTTP.

use std::sync::Arc;

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

/// What has to hold before messages are taken for granted.
#[derive(Clone)]
pub struct Readiness {
    pub configurations_listed: watch::Receiver<bool>,
    pub active_listed: watch::Receiver<bool>,
    pub reading: Reading,
    pub share: Share,
}

pub struct Http {
    pub shared: Arc<Shared>,
    pub exposition: Arc<Exposition>,
    pub readiness: Readiness,
}

impl Http {
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics).with_state(self.exposition.clone()))
            .route("/status", get(status))
            .with_state(Arc::new(self))
    }

    /// Whether everything that this process should serve is read.
    fn serves_its_share(&self) -> bool {
        let share = self.readiness.share.get();
        share.is_some_and(|share| self.readiness.reading.count() >= share)
    }

    /// What is still missing.
    fn missing(&self) -> Vec<&'static str> {
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
        ];
        checks
            .iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, missing)| *missing)
            .collect()
    }
}

async fn healthz(State(http): State<Arc<Http>>) -> Response {
    let missing = http.missing();
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
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match exposition.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status(State(http): State<Arc<Http>>) -> Json<serde_json::Value> {
    Json(http.shared.status.json())
}
