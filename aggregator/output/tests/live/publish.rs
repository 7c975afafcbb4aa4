//! A NATS server with an AGGREGATES stream, and messages as aggregators emit them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::{self, stream};
use async_nats::HeaderMap;
use ratchet_codec::payload::write::MessageBuilder;
use tempfile::TempDir;

use crate::server::Server;

pub struct Bed {
    pub directory: TempDir,
    pub server: Server,
    pub nats: async_nats::Client,
    pub context: jetstream::Context,
}

impl Bed {
    /// The stream holds at most `messages` where that is given.
    pub async fn new(messages: Option<i64>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path()).await;
        let nats = async_nats::connect(&server.url).await.unwrap();
        let context = jetstream::new(nats.clone());
        let config = stream::Config {
            name: "AGGREGATES".to_owned(),
            subjects: vec!["aggregates.*".to_owned()],
            max_messages: messages.unwrap_or(-1),
            allow_direct: true,
            ..stream::Config::default()
        };
        context.create_stream(config).await.unwrap();
        Self {
            directory,
            server,
            nats,
            context,
        }
    }

    /// Publishes one message of windows of a second; every group has a point.
    pub async fn publish(&self, org: &str, rule: &str, start_ms: i64, hosts: &[&str]) {
        let rows: Vec<_> = hosts
            .iter()
            .map(|h| (*h, value_of(rule, h, start_ms)))
            .collect();
        self.publish_values(org, rule, (start_ms, 1000), &rows)
            .await;
    }

    pub async fn publish_values(
        &self,
        org: &str,
        rule: &str,
        (start_ms, window_ms): (i64, i64),
        rows: &[(&str, f64)],
    ) {
        let mut builder = MessageBuilder::new();
        for (host, value) in rows {
            let tags = [("host", *host)];
            builder
                .point_with_count(rule, &tags, start_ms, *value, 3)
                .unwrap();
        }
        self.send(org, &window_ms.to_string(), builder.finish().unwrap())
            .await;
    }

    pub async fn send(&self, org: &str, window: &str, body: Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert("Ratchet-Window", window);
        let subject = format!("aggregates.{org}");
        let sent = self
            .context
            .publish_with_headers(subject, headers, body.into());
        sent.await.unwrap().await.unwrap();
    }
}

/// A value that tells where it belongs.
pub fn value_of(rule: &str, host: &str, start_ms: i64) -> f64 {
    let text = format!("{rule}/{host}/{start_ms}");
    let hash = text.bytes().fold(7u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    (hash % 1_000_003) as f64 / 8.0
}

/// `(tenant, metric, host, timestamp)` and the bits of the value.
pub type Samples = BTreeMap<(String, String, String, i64), u64>;

/// What [`Bed::publish`] must become.
pub fn expect(into: &mut Samples, org: &str, rule: &str, start_ms: i64, hosts: &[&str]) {
    for host in hosts {
        let key = (
            org.to_owned(),
            rule.to_owned(),
            (*host).to_owned(),
            start_ms + 1000,
        );
        into.insert(key, value_of(rule, host, start_ms).to_bits());
    }
}

/// The start of a window some seconds ago.
pub fn second_ago(seconds: i64) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    1000 * (now - seconds)
}

/// Waits until something holds; what does not come within a minute fails the test.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(tokio::time::Instant::now() < until, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
