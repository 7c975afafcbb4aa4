//! The shadow service: judges candidates on held-back traffic, and signs as the validator.
//!
//! ```text
//! shadow.evaluate     ─► queue (bounded) ─► one evaluation at a time ─► one word
//!                                             │ verdicts, questions
//!                                           ledger  (one file an organization, on this machine)
//!                                             │ what passed, which versions were signed
//! shadow.countersign  ─► decision ────────────┘        ─► signature of the statement's exact bytes
//! shadow.status       ─► counts
//! ```
//!
//! The fleet module is judged by the same question, on messages of many organizations (`fleet`).
//!
//! The control plane, which asks, holds the builder's key and none of the held-back messages; this
//! service holds the validator's key. What it signs it rebuilds from its own records, so neither
//! process alone can put code into production. Nothing but one word a candidate leaves it.

mod decision;
mod evaluation;
mod fleet;
mod held_back;
mod ledger;
mod live;
mod service;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;

use bytes::Bytes;
use ratchet_sandbox::WasiLimits;
use ratchet_trust::floor::AcceptedModule;
use ratchet_trust::{ConfigurationDigest, Floor, ModuleDigest, PrivateKey, ProofPolicy, FLEET};

pub use ledger::LedgerError;
pub use live::Live;
pub use service::{serve, ServiceError};

/// What the service needs.
pub struct Setup {
    pub client: async_nats::Client,
    pub context: async_nats::jetstream::Context,
    /// The object store `modules`.
    pub modules: async_nats::jetstream::object_store::ObjectStore,
    /// Where the ledger lies; a directory of the aggregator's own.
    pub directory: PathBuf,
    /// The validator's private key.
    pub key: PrivateKey,
    pub proof: ProofRequirement,
}

/// What is asked of the proof in a statement before it is countersigned.
#[derive(Clone, Debug)]
pub struct ProofRequirement {
    /// The least verdict.
    pub policy: ProofPolicy,
    /// This machine's own attestations, `<codec digest>.json`: the validator believes these alone.
    pub attestations: PathBuf,
    /// Limits of modules that tenants bring, whose codec nobody proved; absent where they may not.
    pub wasi: Option<WasiLimits>,
}

/// An organization with the configuration that is, or is about to be, in effect.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub org: String,
    pub configuration: ConfigurationDigest,
    pub rules: Bytes,
}

/// What the rest of the aggregator knows of an organization, or of the fleet module.
pub trait Knowledge: Send + Sync + 'static {
    /// Whether a module may be for this; the fleet's is of no configuration.
    fn knows(&self, org: &str, configuration: ConfigurationDigest) -> bool {
        match org {
            FLEET => configuration == ConfigurationDigest::NONE,
            _ => self.rules(org, configuration).is_some(),
        }
    }
    /// Whom the fleet module is judged for.
    fn tenants(&self) -> Vec<Tenant>;
    /// The rules blob of a configuration, if the organization has (or lately had) it.
    fn rules(&self, org: &str, configuration: ConfigurationDigest) -> Option<Bytes>;
    /// The newest configuration, in effect or about to be; the fleet has none.
    fn newest(&self, org: &str) -> Option<ConfigurationDigest>;
    /// What serves a configuration now; `None` is the baseline.
    fn serving(&self, org: &str, configuration: ConfigurationDigest) -> Option<ModuleDigest>;
    /// The highest version accepted.
    fn floor(&self, org: &str) -> Option<Floor>;
    /// The modules accepted so far, newest first.
    fn accepted(&self, org: &str) -> Vec<AcceptedModule>;
    /// Whether a module failed in production.
    fn demoted(&self, org: &str, configuration: ConfigurationDigest, module: ModuleDigest) -> bool;
}
