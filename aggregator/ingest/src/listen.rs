//! Connections: accepted up to a limit, closed when they take their time, ended in peace.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use ratchet_access::TokenFile;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::access::Access;
use crate::behind::Behind;
use crate::budget::Budget;
use crate::gateway::Gateway;
use crate::known::Shelf;
use crate::metrics::{Metrics, ProtocolLabel};
use crate::publish::Publisher;
use crate::rates::Rates;
use crate::series::Series;
use crate::servers::Servers;
use crate::settings::IngestSettings;
use crate::spread::Spreads;
use crate::trace::RequestTraces;
use crate::{grpc, http};

/// How long requests in progress may go on when the process stops.
const GRACE: Duration = Duration::from_secs(8);
/// After a failed accept; it fails when the process has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often figures are taken that nothing else updates.
const FIGURES_EVERY: Duration = Duration::from_secs(1);

/// Limits of a connection.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const STREAMS_MAX: u32 = 128;
const HEADER_LIST_MAX: u32 = 16 * 1024;
const RESETS_MAX: usize = 32;
const WINDOW: u32 = 1 << 20;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A gateway at work.
pub struct Running {
    /// Where it listens; ports chosen by the system are told.
    pub http: Option<SocketAddr>,
    pub grpc: Option<SocketAddr>,
    gateway: Arc<Gateway>,
    stop: watch::Sender<bool>,
    servers: Mutex<Vec<JoinHandle<()>>>,
    chores: Vec<JoinHandle<()>>,
}

/// Connects to NATS and listens.
pub async fn start(
    settings: &IngestSettings,
    nats: &Servers,
    spreads: Option<Arc<dyn Spreads>>,
    traces: Option<Arc<dyn RequestTraces>>,
) -> anyhow::Result<Running> {
    let metrics = Metrics::default();
    let gateway = Arc::new(Gateway {
        limits: settings.limits(),
        access: Access::new(
            settings.tokens.clone().map(TokenFile::new),
            settings.anonymous.clone(),
        ),
        budget: Budget::new(settings.memory_mib as usize * 1024 * 1024),
        rates: Rates::new(settings.org_points_per_s),
        behind: Behind::default(),
        publisher: Publisher::connect(nats, settings, metrics.clone()).await?,
        series: Series::new(settings.series_max, settings.first_point, now_nanos()),
        known: Shelf::new(settings.known_mib as usize * 1024 * 1024),
        spreads,
        traces,
        metrics,
    });
    let (stop, _) = watch::channel(false);
    let mut running = Running {
        http: None,
        grpc: None,
        gateway: gateway.clone(),
        stop,
        servers: Mutex::default(),
        chores: Vec::new(),
    };
    let most = settings.connections_max as usize;
    if let Some(address) = settings.http.0 {
        running.http = Some(running.listen(address, Protocol::Http, most).await?);
    }
    if let Some(address) = settings.grpc.0 {
        running.grpc = Some(running.listen(address, Protocol::Grpc, most).await?);
    }
    let sweeper = gateway.clone();
    let sweep = async move { sweeper.keep_series_for_ever().await };
    running.chores.push(tokio::spawn(sweep));
    let sweeper = gateway.clone();
    let sweep = async move { sweeper.known.sweep_for_ever().await };
    running.chores.push(tokio::spawn(sweep));
    let listener = gateway.clone();
    let listen = async move { listener.behind.listen(listener.publisher.client()).await };
    running.chores.push(tokio::spawn(listen));
    running.chores.push(tokio::spawn(figures(gateway)));
    Ok(running)
}

impl Running {
    /// Whether points can be stored.
    pub fn is_ready(&self) -> bool {
        self.gateway.publisher.is_connected()
    }

    /// Tells its figures in a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.gateway.metrics.register(registry);
    }

    /// Accepts nothing more, and waits for the requests in progress.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let servers = std::mem::take(&mut *self.servers.lock());
        for server in servers {
            // It ends by itself within the grace; a panic has been told.
            let _ = server.await;
        }
        for chore in &self.chores {
            chore.abort();
        }
    }

    async fn listen(
        &mut self,
        address: SocketAddr,
        protocol: Protocol,
        most: usize,
    ) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        let bound = listener.local_addr()?;
        tracing::info!(address = %bound, protocol = protocol.name(), "taking in points");
        let server = Server {
            listener,
            protocol,
            gateway: self.gateway.clone(),
            slots: Arc::new(Semaphore::new(most)),
            stop: self.stop.subscribe(),
        };
        self.servers.get_mut().push(tokio::spawn(server.serve()));
        Ok(bound)
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Http,
    Grpc,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

struct Server {
    listener: TcpListener,
    protocol: Protocol,
    gateway: Arc<Gateway>,
    slots: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Server {
    async fn serve(mut self) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &self.slots) => accepted,
                _ = self.stop.wait_for(|stop| *stop) => break,
            };
            let Some((stream, slot)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let connection = Connection {
                gateway: self.gateway.clone(),
                protocol: self.protocol,
                _slot: slot,
            };
            tokio::spawn(connection.serve(stream, graceful.watcher()));
        }
        drop(self.listener);
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("requests in progress were broken off");
        }
    }
}

/// A connection, once there is a slot for it: until then it waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            None
        }
    }
}

struct Connection {
    gateway: Arc<Gateway>,
    protocol: Protocol,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, stream: TcpStream, watcher: Watcher) {
        let label = ProtocolLabel {
            protocol: self.protocol.name(),
        };
        let open = self.gateway.metrics.connections.get_or_create_owned(&label);
        open.inc();
        // Small answers should not wait for more; without it they only come later.
        let _ = stream.set_nodelay(true);
        let ended = match self.protocol {
            Protocol::Http => self.http(stream, watcher).await,
            Protocol::Grpc => self.grpc(stream, watcher).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
        open.dec();
    }

    async fn http(&self, stream: TcpStream, watcher: Watcher) -> hyper::Result<()> {
        let service = TowerToHyperService::new(http::router(self.gateway.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.gateway.limits.head_time)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        watcher.watch(connection).await
    }

    async fn grpc(&self, stream: TcpStream, watcher: Watcher) -> hyper::Result<()> {
        let called = Arc::new(AtomicBool::new(false));
        let (gateway, seen) = (self.gateway.clone(), called.clone());
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            seen.store(true, Relaxed);
            grpc::serve(gateway.clone(), request)
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_LIST_MAX)
            .max_pending_accept_reset_streams(RESETS_MAX)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let head_time = self.gateway.limits.head_time;
        // Whoever only connects holds a slot no longer than the head of a request may take.
        let silent = async {
            tokio::time::sleep(head_time).await;
            if called.load(Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = watcher.watch(connection) => ended,
            () = silent => Ok(()),
        }
    }
}

async fn figures(gateway: Arc<Gateway>) {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    loop {
        let metrics = &gateway.metrics;
        metrics.reserved_bytes.set(count(gateway.budget.used()));
        metrics.series.set(count(gateway.series.len()));
        metrics.known_bytes.set(count(gateway.known.bytes()));
        tokio::time::sleep(FIGURES_EVERY).await;
    }
}

fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
