//! Output within this process: forwarding, and queries of the latest windows. Both have a
//! connection of their own, so that neither holds up what is aggregated.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::bail;
use async_nats::jetstream;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::Router;
use clap::Args;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use ratchet_access::TokenFile;
use ratchet_output::metrics::OutputMetrics;
use ratchet_output::query::{Feed, Query, QuerySettings, Store};
use ratchet_output::remote::{Forwarder, RemoteWriteSettings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Exposition;
use crate::nats;
use crate::serve::serve;
use crate::settings::Login;
use crate::stop::Stop;

#[derive(Args, Clone, Debug)]
pub struct OutputSettings {
    #[command(flatten)]
    pub remote: RemoteWriteSettings,
    #[command(flatten)]
    pub query: QuerySettings,
}

#[derive(Args, Clone, Debug)]
pub struct ForwardSettings {
    #[command(flatten)]
    pub login: Login,
    #[command(flatten)]
    pub output: OutputSettings,
    /// Where metrics and health are served.
    #[arg(long, env = "RATCHET_FORWARD_HTTP", default_value = "127.0.0.1:8483")]
    pub http: SocketAddr,
}

/// What runs of it.
pub struct Output {
    metrics: OutputMetrics,
    connected: Gauge,
    stop: watch::Sender<bool>,
    forwarder: Option<JoinHandle<()>>,
    filled: Option<watch::Receiver<bool>>,
}

impl Output {
    /// Starts what the settings ask for, which may be nothing. Errors: settings that cannot work.
    pub async fn start(settings: &OutputSettings, login: &Login) -> anyhow::Result<Self> {
        let mut output = Self {
            metrics: OutputMetrics::default(),
            connected: Gauge::default(),
            stop: watch::Sender::new(false),
            forwarder: None,
            filled: None,
        };
        let door = settings.query.door()?;
        if settings.remote.url.is_none() && door.is_none() {
            return Ok(output);
        }
        let connected = output.connected.clone();
        let told = move |now: bool| {
            connected.set(now.into());
        };
        let client = nats::dial(login, "ratchet-output", told).await?;
        if settings.remote.url.is_some() {
            output.forward(&settings.remote, &client)?;
        }
        if let Some((address, tokens)) = door {
            let query = output.query(&settings.query, TokenFile::new(tokens), &client);
            serve(address, query.router(), "queries of the latest windows").await?;
        }
        Ok(output)
    }

    fn forward(
        &mut self,
        settings: &RemoteWriteSettings,
        client: &async_nats::Client,
    ) -> anyhow::Result<()> {
        let metrics = self.metrics.clone();
        let forwarder = Forwarder::new(client.clone(), settings.clone(), metrics)?;
        self.forwarder = Some(tokio::spawn(forwarder.run(self.stop.subscribe())));
        tracing::info!(url = settings.url, "aggregated points are forwarded");
        Ok(())
    }

    fn query(
        &mut self,
        settings: &QuerySettings,
        tokens: TokenFile,
        client: &async_nats::Client,
    ) -> Query {
        let store = Arc::new(Store::new(settings.limits(), self.metrics.clone()));
        let feed = Feed {
            context: jetstream::new(client.clone()),
            store: store.clone(),
            metrics: self.metrics.clone(),
            history: settings.history(),
            filled: watch::Sender::new(false),
        };
        let filled = feed.filled.subscribe();
        self.filled = Some(filled.clone());
        tokio::spawn(feed.run());
        Query::new(store, tokens, self.metrics.clone(), filled)
    }

    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register_remote(registry);
        self.metrics.register_query(registry);
        let help = "1 while the output is connected to NATS";
        registry.register("output_connected", help, self.connected.clone());
    }

    /// Whatever keeps it from working now.
    fn missing(&self) -> Vec<String> {
        let filled = self.filled.as_ref().is_none_or(|filled| *filled.borrow());
        let running = self
            .forwarder
            .as_ref()
            .is_none_or(|task| !task.is_finished());
        let checks = [
            (self.connected.get() == 1, "NATS is not connected"),
            (filled, "the latest windows are not read"),
            (running, "the forwarder ended"),
        ];
        let missing = checks.into_iter().filter(|(holds, _)| !holds);
        missing.map(|(_, what)| what.to_owned()).collect()
    }

    /// Finishes what is under way; the rest stays in the stream.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Some(forwarder) = self.forwarder {
            let _ = forwarder.await;
        }
    }
}

/// `aggregator forward`: until the process is told to stop.
pub async fn forward(settings: ForwardSettings) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    let (remote, query) = (&settings.output.remote, &settings.output.query);
    if remote.url.is_none() && query.http.is_none() {
        bail!("nothing to do: give --remote-write or --query-http");
    }
    let output = Arc::new(Output::start(&settings.output, &settings.login).await?);
    let mut registry = Registry::with_prefix("ratchet");
    output.register(&mut registry);
    let exposition = Arc::new(Exposition::of(registry));
    let router = Router::new()
        .route("/livez", get(crate::http::livez))
        .route("/readyz", get(readyz).with_state(output.clone()))
        .route("/metrics", get(crate::http::metrics).with_state(exposition));
    let http = serve(settings.http, router, "metrics and health").await?;
    stop.wait().await;
    http.abort();
    let _ = http.await;
    if let Some(output) = Arc::into_inner(output) {
        output.stop().await;
    }
    Ok(())
}

async fn readyz(State(output): State<Arc<Output>>) -> Response {
    crate::http::answer(output.missing())
}
