//! Swapping modules: from a signed manifest in the bucket `active` to a module that serves.
//!
//! Start and live change are one path. Whatever is refused leaves the running version in place.

mod install;
mod load;
mod poke;
mod smoke;
mod store;
mod workshop;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::{Entry as BucketEntry, Operation, Store};
use async_nats::jetstream::object_store::ObjectStore;
use futures::StreamExt;
use parking_lot::Mutex;
use ratchet_trust::{FloorStore, ProofPolicy, Refusal, TrustRoot, FLEET};
use tokio::sync::{mpsc, watch};

use crate::events::now_ms;
use crate::identity::Org;
use crate::measure::Job;
use crate::nats::reconnected;
use crate::shared::Shared;
pub use load::Loader;
pub use poke::Pokes;
use workshop::Workshop;

/// The bucket is asked anew so often: a silent watch cannot hide a change, and what was refused for
/// a passing reason is tried again.
const READ_AGAIN_EVERY: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a manifest does not lead to a running module.
#[derive(Debug, thiserror::Error)]
pub enum SwapRefusal {
    #[error(transparent)]
    Trust(#[from] Refusal),
    #[error("`{0}` is no organization")]
    Key(String),
    #[error("the module failed in production before, and was demoted")]
    Demoted,
    #[error("the version floor cannot be kept: {0}")]
    Floor(String),
    #[error("the module store cannot be read: {0}")]
    Store(String),
}

impl SwapRefusal {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Trust(refusal) => refusal.reason(),
            Self::Key(_) => "wrong-organization",
            Self::Demoted => "demoted",
            Self::Floor(_) => "floor",
            Self::Store(_) => "store",
        }
    }

    /// Whether the same manifest may be accepted later on.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Floor(_)
                | Self::Store(_)
                | Self::Trust(
                    Refusal::ModuleMissing { .. }
                        | Refusal::UnknownConfiguration { .. }
                        | Refusal::NotYetValid { .. }
                )
        )
    }
}

/// Turns manifests into running modules; one at a time.
pub struct Swapper {
    pub shared: Arc<Shared>,
    pub modules: ObjectStore,
    pub trust: TrustRoot,
    pub floors: Arc<Mutex<FloorStore>>,
    pub proof_policy: ProofPolicy,
    pub pokes: Pokes,
    pub measure: mpsc::Sender<Job>,
    workshop: Arc<Workshop>,
    /// Revision of each key that needs no further look, and what the last refusal was.
    seen: HashMap<String, Seen>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    revision: u64,
    refused: Option<&'static str>,
    settled: bool,
}

impl Swapper {
    pub fn new(
        shared: Arc<Shared>,
        modules: ObjectStore,
        trust: TrustRoot,
        floors: Arc<Mutex<FloorStore>>,
        proof_policy: ProofPolicy,
        measure: mpsc::Sender<Job>,
    ) -> anyhow::Result<Self> {
        let workshop = Arc::new(Workshop::new()?);
        let (pokes, seen) = (Pokes::default(), HashMap::new());
        Ok(Self {
            shared,
            modules,
            trust,
            floors,
            proof_policy,
            pokes,
            measure,
            workshop,
            seen,
        })
    }

    /// What loads modules again that made room for others.
    pub fn loader(&self) -> Loader {
        Loader {
            shared: self.shared.clone(),
            modules: self.modules.clone(),
            workshop: self.workshop.clone(),
        }
    }

    /// Follows the bucket for ever; `listed` becomes true once its present content is dealt with.
    pub async fn follow(mut self, store: Store, listed: watch::Sender<bool>) {
        loop {
            if let Err(error) = self.follow_once(&store, &listed).await {
                tracing::warn!(error, "watching active modules failed; listing again");
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }

    async fn follow_once(
        &mut self,
        store: &Store,
        listed: &watch::Sender<bool>,
    ) -> Result<(), String> {
        let values = store
            .status()
            .await
            .map_err(|error| error.to_string())?
            .values();
        let watch = store.watch_with_history(">").await;
        let mut watch = watch.map_err(|error| error.to_string())?;
        if values == 0 {
            self.workshop.step_back();
            listed.send_replace(true);
        }
        let mut connections = self.shared.connections.subscribe();
        let until = tokio::time::sleep(READ_AGAIN_EVERY);
        tokio::pin!(until);
        loop {
            let entry = tokio::select! {
                entry = watch.next() => entry,
            () = reconnected(&mut connections) => return Ok(()),
                () = &mut until, if *listed.borrow() => {
                    self.tell_expired();
                    return Ok(());
                }
            };
            let entry = entry
                .ok_or("the watch ended")?
                .map_err(|error| error.to_string())?;
            self.consider(&entry).await;
            if entry.delta == 0 {
                self.workshop.step_back();
                listed.send_replace(true);
            }
        }
    }

    /// Deals with one entry of the bucket, once for each of its revisions.
    async fn consider(&mut self, entry: &BucketEntry) {
        let seen = self.seen.get(&entry.key).copied();
        if seen.is_some_and(|s| s.revision >= entry.revision && s.settled) {
            return;
        }
        if entry.operation != Operation::Put {
            // Nobody signed that; a module is taken out of service by a tombstone.
            tracing::warn!(key = entry.key, "removal of an active entry is ignored");
            return;
        }
        let result = self.install(&entry.key, &entry.value).await;
        let refused = result.as_ref().err().map(SwapRefusal::reason);
        let settled = result
            .as_ref()
            .err()
            .is_none_or(|refusal| !refusal.may_pass());
        let now = Seen {
            revision: entry.revision,
            refused,
            settled,
        };
        let told = seen.is_some_and(|s| s.revision == now.revision && s.refused == now.refused);
        if let (Err(refusal), false) = (&result, told) {
            self.tell_refused(&entry.key, &entry.value, refusal);
        }
        self.seen.insert(entry.key.clone(), now);
    }

    fn tell_refused(&self, key: &str, envelope: &[u8], refusal: &SwapRefusal) {
        let known = key == FLEET || Org::parse(key).is_ok();
        let org = if known {
            key
        } else {
            crate::metrics::UNKNOWN_ORG
        };
        self.shared.metrics.module_refused(org, refusal.reason());
        let fields = serde_json::json!({
            "reason": refusal.reason(),
            "detail": refusal.to_string(),
            "version": install::claimed_version(envelope),
        });
        self.shared.events.send(org, "refused", fields);
    }

    /// A running module outlives its manifest, but not silently.
    fn tell_expired(&self) {
        let now_ms = now_ms();
        let modules = self.shared.registry.list();
        let manifests = modules.iter().map(|(org, installed)| {
            let expired = installed.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
            let org = org.as_ref().map_or(FLEET, Org::as_str);
            if expired {
                tracing::warn!(org, version = installed.version, "the manifest is expired");
            }
            (org, expired)
        });
        self.shared.metrics.tell_expired(manifests);
    }
}
