//! `aggregator gateway`: takes in points and stores them; no partitions, no modules, no state.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use ratchet_ingest::spread::Spreads;
use ratchet_ingest::Running;
use tokio::sync::watch;

use crate::configurations;
use crate::directory::Directory;
use crate::metrics::Exposition;
use crate::nats::{self, Connections};
use crate::serve::serve;
use crate::settings::{GatewaySettings, Login};
use crate::spreads::{self, KnownSpreads};
use crate::stop::Stop;
use crate::traces::Traces;

const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Serves until the process is told to stop.
pub async fn gateway(settings: GatewaySettings) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    if settings.ingest.is_off() {
        anyhow::bail!("a gateway needs --ingest-http or --ingest-grpc");
    }
    let directory = Arc::new(Directory::default());
    let spreads: Arc<dyn Spreads> = Arc::new(KnownSpreads {
        directory: directory.clone(),
        partitions: settings.partitions,
    });
    let traces = Arc::new(Traces::new(&settings.traces)?);
    let (ingest, told) = (&settings.ingest, Some(traces.clone() as _));
    let running = ratchet_ingest::start(ingest, &settings.servers, Some(spreads), told);
    let running = Arc::new(running.await?);
    let following = tokio::spawn(follow(settings.clone(), directory));
    let mut registry = Registry::with_prefix("ratchet");
    running.register(&mut registry);
    let exposition = Arc::new(Exposition::of(registry));
    let router = Router::new()
        .route("/livez", get(crate::http::livez))
        .route("/healthz", get(readyz).with_state(running.clone()))
        .route("/readyz", get(readyz).with_state(running.clone()))
        .route("/metrics", get(crate::http::metrics).with_state(exposition));
    let serving = serve(settings.http, router, "metrics and health").await?;
    stop.wait().await;
    tracing::info!("stopping");
    following.abort();
    serving.abort();
    running.stop().await;
    let _ = tokio::task::spawn_blocking(move || traces.stop()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Learns how organizations are spread; until it does, their points go home.
async fn follow(settings: GatewaySettings, directory: Arc<Directory>) -> anyhow::Result<()> {
    let login = Login {
        servers: settings.servers,
        nats_user: settings.ingest.nats_user,
        nats_password_file: settings.ingest.nats_password_file,
    };
    let connections = Connections::default();
    let told = connections.clone();
    let client = nats::dial(&login, "ratchet-gateway", move |connected| {
        if connected {
            told.renew();
        }
    });
    let context = jetstream::new(client.await?);
    let store = loop {
        match context.get_key_value(nats::CONFIGURATIONS).await {
            Ok(store) => break store,
            Err(error) => tracing::info!(%error, "configurations are not there yet"),
        }
        tokio::time::sleep(RETRY_DELAY).await;
    };
    tokio::spawn(spreads::stay_fresh(directory.clone()));
    let (listed, _) = watch::channel(false);
    configurations::follow(store, directory, connections, None, listed).await;
    Ok(())
}

/// It stores what it acknowledges.
async fn readyz(State(running): State<Arc<Running>>) -> Response {
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
