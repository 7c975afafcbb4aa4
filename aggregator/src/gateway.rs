//! `aggregator gateway`: takes in points and stores them; no partitions, no modules, no state.

use std::future::IntoFuture as _;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use ratchet_ingest::Running;
use tokio::net::TcpListener;

use crate::metrics::Exposition;
use crate::settings::GatewaySettings;
use crate::stop::Stop;

/// Serves until the process is told to stop.
pub async fn gateway(settings: GatewaySettings) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    if settings.ingest.is_off() {
        anyhow::bail!("a gateway needs --ingest-http or --ingest-grpc");
    }
    let running = ratchet_ingest::start(&settings.ingest, &settings.nats_url);
    let running = Arc::new(running.await?);
    let mut registry = Registry::with_prefix("ratchet");
    running.register(&mut registry);
    let exposition = Arc::new(Exposition::of(registry));
    let listener = TcpListener::bind(settings.http)
        .await
        .with_context(|| format!("cannot listen on {}", settings.http))?;
    tracing::info!(address = %listener.local_addr()?, "metrics and health");
    let router = Router::new()
        .route("/healthz", get(healthz).with_state(running.clone()))
        .route("/metrics", get(crate::http::metrics).with_state(exposition));
    let serving = axum::serve(listener, router).into_future();
    tokio::select! {
        served = serving => served.context("HTTP")?,
        () = stop.wait() => {}
    }
    tracing::info!("stopping");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn healthz(State(running): State<Arc<Running>>) -> Response {
    let (status, missing) = if running.is_ready() {
        (StatusCode::OK, vec![])
    } else {
        let missing = vec!["NATS is not connected"];
        (StatusCode::SERVICE_UNAVAILABLE, missing)
    };
    let ready = missing.is_empty();
    let body = serde_json::json!({ "ready": ready, "missing": missing });
    (status, Json(body)).into_response()
}
