//! The connection to NATS, and what has to exist there before serving starts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Info, Stream};
use async_nats::{Client, ConnectOptions, Event};
use ratchet_ingest::servers;
use tokio::sync::watch;

use crate::checkpoint::{Checkpoints, Origin};
use crate::metrics::Metrics;
use crate::settings::Login;

/// Streams that an administrator provisions.
const STREAMS: [&str; 6] = [
    "INGEST",
    "TRAINING",
    "VALIDATION",
    "AGGREGATES",
    "LATE",
    "EVENTS",
];
const INGEST: &str = "INGEST";
pub const CONFIGURATIONS: &str = "configurations";
const ACTIVE: &str = "active";
const MODULES: &str = "modules";
const LEASES: &str = "leases";
const CHECKPOINTS: &str = "checkpoints";

const RECONNECT_MAX: Duration = Duration::from_secs(5);
const WAIT: Duration = Duration::from_secs(1);
/// Waiting is told once in so many rounds.
const TELL_EVERY: u32 = 5;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{path}: {error}")]
    Password { path: String, error: std::io::Error },
    #[error(transparent)]
    Connect(#[from] servers::ConnectError),
}

/// Tells of new connections. Cloning shares the count.
#[derive(Clone)]
pub struct Connections(Arc<watch::Sender<u64>>);

impl Default for Connections {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Connections {
    /// There is another connection.
    pub fn renew(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Sees connections that are made from now on.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// Waits for another connection.
pub async fn reconnected(connections: &mut watch::Receiver<u64>) {
    if connections.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Connects, now or as soon as NATS is there, and reconnects for ever.
pub async fn connect(
    login: &Login,
    metrics: Metrics,
    connections: Connections,
) -> Result<Client, ConnectError> {
    let told = move |connected: bool| {
        metrics.connected.set(connected.into());
        if connected {
            connections.renew();
        }
    };
    dial(login, "ratchet-aggregator", told).await
}

/// Connects under a name; `told` hears of connections and of their loss.
pub async fn dial(
    login: &Login,
    name: &str,
    told: impl Fn(bool) + Send + Sync + 'static,
) -> Result<Client, ConnectError> {
    let told = Arc::new(told);
    let mut options = ConnectOptions::new()
        .name(name)
        .custom_inbox_prefix(format!("_INBOX_{}", login.nats_user))
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let doubled = Duration::from_millis(50 << attempts.min(10));
            doubled.min(RECONNECT_MAX)
        })
        .event_callback(move |event| {
            let told = told.clone();
            async move { tell(event, &*told) }
        });
    if let Some(path) = &login.nats_password_file {
        let password = read_password(path)?;
        options = options.user_and_password(login.nats_user.clone(), password);
    }
    Ok(login.servers.connect(options).await?)
}

fn read_password(path: &Path) -> Result<String, ConnectError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| ConnectError::Password {
        path: path.display().to_string(),
        error,
    })?;
    Ok(text.trim().to_owned())
}

fn tell(event: Event, told: &impl Fn(bool)) {
    match event {
        Event::Connected => {
            told(true);
            tracing::info!("connected to NATS");
        }
        Event::Disconnected => {
            told(false);
            tracing::warn!("disconnected from NATS");
        }
        other => tracing::warn!(event = %other, "NATS"),
    }
}

/// Handles on what was provisioned.
#[derive(Clone)]
pub struct Provisioned {
    pub context: jetstream::Context,
    pub configurations: jetstream::kv::Store,
    pub active: jetstream::kv::Store,
    pub modules: jetstream::object_store::ObjectStore,
    pub leases: jetstream::kv::Store,
    pub checkpoints: Checkpoints,
}

/// Waits until everything is there; tells what it is waiting for.
pub async fn wait_for_provisioning(client: &Client) -> Provisioned {
    let context = jetstream::new(client.clone());
    let mut round = 0;
    loop {
        match find(&context).await {
            Ok(provisioned) => return provisioned,
            Err(missing) if round % TELL_EVERY == 0 => {
                tracing::info!(missing, "waiting for NATS to be provisioned");
            }
            Err(_) => {}
        }
        round += 1;
        tokio::time::sleep(WAIT).await;
    }
}

async fn find(context: &jetstream::Context) -> Result<Provisioned, String> {
    for name in STREAMS {
        context
            .get_stream(name)
            .await
            .map_err(|e| format!("stream {name}: {e}"))?;
    }
    let bucket = |name: &'static str| async move {
        context
            .get_key_value(name)
            .await
            .map_err(|e| format!("bucket {name}: {e}"))
    };
    let modules = context
        .get_object_store(MODULES)
        .await
        .map_err(|e| format!("object store {MODULES}: {e}"))?;
    Ok(Provisioned {
        context: context.clone(),
        configurations: bucket(CONFIGURATIONS).await?,
        active: bucket(ACTIVE).await?,
        modules,
        leases: bucket(LEASES).await?,
        checkpoints: Checkpoints::new(bucket(CHECKPOINTS).await?),
    })
}

/// The INGEST stream as it is now.
pub async fn ingest(context: &jetstream::Context) -> Result<Stream, String> {
    let stream = context.get_stream(INGEST).await;
    stream.map_err(|error| error.to_string())
}

/// What tells it from others that have its name.
pub fn origin_of(info: &Info) -> Origin {
    let created_ms = info.created.unix_timestamp_nanos() / 1_000_000;
    Origin {
        stream: format!("{INGEST} {}", info.created),
        created_ms: i64::try_from(created_ms).unwrap_or(i64::MAX),
        last_sequence: info.state.last_sequence,
    }
}
