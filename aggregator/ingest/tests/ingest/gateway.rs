//! A gateway of a test's own, with a stream of its own.

use std::net::SocketAddr;
use std::time::Instant;

use async_nats::jetstream::{self, stream};
use clap::Parser;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use ratchet_ingest::{IngestSettings, Running, Servers};
use sha2::{Digest as _, Sha256};

use crate::client::{post, Answer, PATIENCE};
use crate::samples::{points, Point};
use crate::server::Server;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    ingest: IngestSettings,
    #[command(flatten)]
    servers: Servers,
}

pub struct Setup {
    pub nats: Server,
    pub context: jetstream::Context,
    pub at: SocketAddr,
    pub grpc: SocketAddr,
    pub running: Running,
    pub registry: Registry,
    directory: tempfile::TempDir,
}

/// A token that may send for the organization.
pub fn token(org: &str) -> String {
    format!("token-of-{org}")
}

fn tokens() -> Vec<serde_json::Value> {
    let entry = |token: &str, org: &str, role: &str| {
        let digest = Sha256::digest(token.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        serde_json::json!({ "token_sha256": hex, "org": org, "role": role })
    };
    vec![
        entry(&token("acme"), "acme", "producer"),
        entry(&token("globex"), "globex", "operator"),
        entry("reads-acme", "acme", "viewer"),
        entry("sends-for-all", "*", "admin"),
    ]
}

fn tokens_in(directory: &tempfile::TempDir) -> String {
    let file = directory.path().join("tokens.json");
    file.to_str().unwrap().to_owned()
}

async fn begin(tokens: &str, url: &str, flags: &[&str]) -> Running {
    let own = [
        "gateway",
        "--ingest-http",
        "127.0.0.1:0",
        "--ingest-grpc",
        "127.0.0.1:0",
        "--ingest-tokens",
        tokens,
        "--nats-url",
        url,
    ];
    let flags = Flags::parse_from(own.iter().chain(flags));
    let running = ratchet_ingest::start(&flags.ingest, &flags.servers, None, None);
    running.await.unwrap()
}

async fn reaches_nats(running: &Running) {
    let until = Instant::now() + PATIENCE;
    while !running.is_ready() {
        assert!(Instant::now() < until, "the gateway does not reach NATS");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Sends OTLP in protobuf to a gateway, as acme.
pub async fn send(at: SocketAddr, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", token("acme"));
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/x-protobuf"),
    ];
    post(at, "/v1/metrics", &headers, body).await
}

impl Setup {
    pub async fn new(flags: &[&str]) -> Self {
        Self::with_stream(flags, |_| {}).await
    }

    /// A gateway whose INGEST stream is as `change` makes it.
    pub async fn with_stream(flags: &[&str], change: impl Fn(&mut stream::Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let nats = Server::start(directory.path()).await;
        let client = async_nats::connect(&nats.url).await.unwrap();
        let context = jetstream::new(client);
        let mut config = stream::Config {
            name: "INGEST".to_owned(),
            subjects: vec!["ingest.*".to_owned(), "totals.*.*.*".to_owned()],
            allow_direct: true,
            allow_atomic_publish: true,
            max_message_size: (1 << 20) + (64 << 10),
            subject_transform: Some(stream::SubjectTransform {
                source: "ingest.*".to_owned(),
                destination: "ingest.{{partition(4,1)}}.{{wildcard(1)}}".to_owned(),
            }),
            ..stream::Config::default()
        };
        change(&mut config);
        context.create_stream(config).await.unwrap();
        let file = tokens_in(&directory);
        std::fs::write(&file, serde_json::to_vec(&tokens()).unwrap()).unwrap();
        let running = begin(&file, &nats.url, flags).await;
        let mut registry = Registry::with_prefix("ratchet");
        running.register(&mut registry);
        let setup = Self {
            nats,
            context,
            at: running.http.unwrap(),
            grpc: running.grpc.unwrap(),
            running,
            registry,
            directory,
        };
        setup.wait_until_ready().await;
        setup
    }

    pub async fn wait_until_ready(&self) {
        reaches_nats(&self.running).await;
    }

    /// Another gateway of the same stream.
    pub async fn another(&self, flags: &[&str]) -> Running {
        let running = begin(&tokens_in(&self.directory), &self.nats.url, flags).await;
        reaches_nats(&running).await;
        running
    }

    /// Sends as the organization.
    pub async fn send(
        &self,
        org: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let bearer = format!("Bearer {}", token(org));
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        post(self.at, path, &headers, body).await
    }

    pub async fn send_v1(&self, body: &[u8]) -> Answer {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
        ];
        self.send("acme", "/api/v1/write", &headers, body).await
    }

    pub async fn send_otlp(&self, body: &[u8]) -> Answer {
        send(self.at, body).await
    }

    /// Subject and bytes of every message in the stream.
    pub async fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let mut stream = self.context.get_stream("INGEST").await.unwrap();
        let state = stream.info().await.unwrap().state.clone();
        let mut found = Vec::new();
        if state.messages == 0 {
            return found;
        }
        for sequence in state.first_sequence..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            found.push((message.subject.to_string(), message.payload.to_vec()));
        }
        found
    }

    /// Every point in the stream.
    pub async fn stored_points(&self) -> Vec<Point> {
        let stored = self.stored().await;
        let of_points = |(subject, _): &&(String, _)| subject.starts_with("ingest.");
        stored
            .iter()
            .filter(of_points)
            .flat_map(|(_, message)| points(message))
            .collect()
    }

    /// The value of a figure, 0 where it is not there yet.
    pub fn figure(&self, name: &str) -> f64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub async fn end(self) {
        self.running.stop().await;
        self.nats.stop().await;
    }
}
