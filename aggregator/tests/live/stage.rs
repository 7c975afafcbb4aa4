//! Everything a test needs: a server, keys, and hands on the buckets.

use std::time::Duration;

use async_nats::jetstream::{self, kv, object_store};
use futures::StreamExt;
use ratchet_rules::Rule;
use ratchet_trust::{ConfigurationDigest, ModuleDigest};
use serde_json::{json, Value};
use tempfile::TempDir;

use crate::process::Aggregator;
use crate::server::{provision, Server};
use crate::traffic::now_ms;
use crate::trust::{Claim, Keys};

/// How long an event may take to come.
const EVENT_WITHIN: Duration = Duration::from_secs(30);
/// A configuration counts for what is published from then on.
const COUNTS_AFTER: Duration = Duration::from_millis(1_100);
const LATENESS: Duration = Duration::from_millis(1500);

pub struct Stage {
    pub directory: TempDir,
    pub server: Server,
    pub context: jetstream::Context,
    pub keys: Keys,
    /// `None` for what it is by default: a window waits as long as it is itself.
    lateness: Option<Duration>,
    configurations: kv::Store,
    active: kv::Store,
    modules: object_store::ObjectStore,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with_lateness(LATENESS).await
    }

    /// For tests in which messages come late because the server was away.
    pub async fn with_lateness(lateness: impl Into<Option<Duration>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path()).await;
        let context = jetstream::new(async_nats::connect(&server.url).await.unwrap());
        provision(&context).await;
        Self {
            keys: Keys::write(directory.path()),
            lateness: lateness.into(),
            configurations: context.get_key_value("configurations").await.unwrap(),
            active: context.get_key_value("active").await.unwrap(),
            modules: context.get_object_store("modules").await.unwrap(),
            directory,
            server,
            context,
        }
    }

    pub async fn aggregator(&self) -> Aggregator {
        self.aggregator_in("state").await
    }

    /// An aggregator with a state directory of its own.
    pub async fn aggregator_in(&self, state: &str) -> Aggregator {
        Aggregator::start(
            self.directory.path(),
            state,
            &self.server.url,
            self.lateness,
        )
        .await
    }

    /// An aggregator with more flags.
    pub async fn aggregator_with(&self, flags: &[&str]) -> Aggregator {
        let directory = self.directory.path();
        let url = &self.server.url;
        let mut aggregator = Aggregator::spawn_with(directory, "state", url, self.lateness, flags);
        aggregator.is_up(directory).await;
        aggregator
    }

    /// Starts one without waiting.
    pub fn spawn_in(&self, state: &str) -> Aggregator {
        Aggregator::spawn(
            self.directory.path(),
            state,
            &self.server.url,
            self.lateness,
        )
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("aggregator.log")).unwrap()
    }

    pub async fn configure(&self, org: &str, from_ms: i64, rules: &[Rule]) -> ConfigurationDigest {
        self.configure_spread(org, from_ms, rules, 1).await
    }

    /// The same, with the organization's series in several partitions.
    pub async fn configure_spread(
        &self,
        org: &str,
        from_ms: i64,
        rules: &[Rule],
        spread: u32,
    ) -> ConfigurationDigest {
        let blob = ratchet_rules::encode(rules);
        let digest = ConfigurationDigest::of(&blob);
        let mut entry = json!({
            "schema": 1, "org": org, "digest": digest, "effective_from_ms": from_ms,
            "rules": ratchet_trust::dsse::encode(&blob),
        });
        if spread > 1 {
            entry["spread"] = spread.into();
        }
        self.configurations
            .put(org, entry.to_string().into())
            .await
            .unwrap();
        tokio::time::sleep(COUNTS_AFTER).await;
        digest
    }

    /// Puts a component into the store, under its digest.
    pub async fn store(&self, component: &[u8]) -> (ModuleDigest, usize) {
        let digest = ModuleDigest::of(component);
        self.store_as(&digest.to_string(), component).await;
        (digest, component.len())
    }

    pub async fn store_as(&self, name: &str, bytes: &[u8]) {
        let mut bytes = bytes;
        self.modules.put(name, &mut bytes).await.unwrap();
    }

    pub fn claim(
        &self,
        configuration: ConfigurationDigest,
        version: u64,
        module: Option<(ModuleDigest, usize)>,
    ) -> Claim {
        let expires_at_ms = now_ms() + 3_600_000;
        Claim {
            org: "acme".to_owned(),
            configuration,
            version,
            module,
            expires_at_ms,
        }
    }

    pub async fn activate(&self, org: &str, envelope: Vec<u8>) {
        self.active.put(org, envelope.into()).await.unwrap();
    }

    /// Puts a component into service as a version; returns the event of the swap.
    pub async fn promote(
        &self,
        configuration: ConfigurationDigest,
        version: u64,
        component: &[u8],
    ) -> Value {
        let module = self.store(component).await;
        let claim = self.claim(configuration, version, Some(module));
        self.activate("acme", self.keys.envelope(&claim.statement()))
            .await;
        self.event("swapped", |event| event["version"] == version)
            .await
    }

    /// Puts a component into service as a version of the fleet's module.
    pub async fn promote_fleet(&self, version: u64, component: &[u8]) -> Value {
        let module = self.store(component).await;
        let claim = Claim {
            org: "fleet".to_owned(),
            ..self.claim(ConfigurationDigest::NONE, version, Some(module))
        };
        self.activate("fleet", self.keys.envelope(&claim.statement()))
            .await;
        self.event_of("fleet", "swapped", |event| event["version"] == version)
            .await
    }

    /// The first event of a kind, past or to come, that fits.
    pub async fn event(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.event_of("acme", kind, fits).await
    }

    pub async fn event_of(&self, org: &str, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let stream = self.context.get_stream("EVENTS").await.unwrap();
        let config = jetstream::consumer::pull::OrderedConfig {
            filter_subject: format!("evt.{org}.{kind}"),
            ..Default::default()
        };
        let mut messages = stream
            .create_consumer(config)
            .await
            .unwrap()
            .messages()
            .await
            .unwrap();
        let mut last = Value::Null;
        let search = async {
            loop {
                let message = messages.next().await.unwrap().unwrap();
                last = serde_json::from_slice(&message.payload).unwrap();
                if fits(&last) {
                    return last.clone();
                }
            }
        };
        match tokio::time::timeout(EVENT_WITHIN, search).await {
            Ok(event) => event,
            Err(_) => panic!(
                "no such {kind} event; the last is {last}; log:\n{}",
                self.log()
            ),
        }
    }

    /// Waits until windows of `window_s` seconds that hold points of now are closed and emitted.
    pub async fn settle(&self, window_s: u64) {
        let window = Duration::from_secs(window_s);
        let ticks = Duration::from_secs(3);
        let lateness = self.lateness.unwrap_or(window);
        tokio::time::sleep(window + lateness + ticks).await;
    }
}
