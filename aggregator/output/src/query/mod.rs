//! The latest windows of rules, over HTTP: as JSON, and as the part of Prometheus's API that
//! Grafana needs for plain selectors.
//!
//! ```text
//! AGGREGATES ─► feed ─► store (the last windows of each rule, in memory) ─► windows  (JSON)
//!                                                                        └► prometheus
//! ```
//!
//! Whoever asks shows a bearer token, and sees the organization that it speaks for, no other.

mod answer;
mod door;
mod evaluate;
mod feed;
mod org;
mod params;
mod prometheus;
mod selector;
mod settings;
mod store;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::Router;
use ratchet_access::TokenFile;
use tokio::sync::{watch, Semaphore, SemaphorePermit};

pub use feed::Feed;
pub use settings::{QuerySettings, QuerySettingsError};
pub use store::{Limits, Store};

use crate::metrics::OutputMetrics;

/// A longer request is refused.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Queries worked on at a time; the others wait.
const WORKERS: usize = 4;
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What answers queries.
pub struct Query {
    pub store: Arc<Store>,
    pub tokens: TokenFile,
    pub metrics: OutputMetrics,
    /// Whether the store has what the stream held when it began.
    pub filled: watch::Receiver<bool>,
    workers: Semaphore,
}

impl Query {
    pub fn new(
        store: Arc<Store>,
        tokens: TokenFile,
        metrics: OutputMetrics,
        filled: watch::Receiver<bool>,
    ) -> Self {
        Self {
            store,
            tokens,
            metrics,
            filled,
            workers: Semaphore::new(WORKERS),
        }
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/orgs/{org}/rules/{rule}/windows", get(windows::answer))
            .merge(prometheus::routes())
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::new(self))
    }

    /// A turn to work, `None` when it does not come in time.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let turn = tokio::time::timeout(WAIT_MAX, self.workers.acquire());
        turn.await.ok()?.ok()
    }
}

/// Runs what takes long beside the tasks that answer; `None` when it fell over.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
