//! A NATS server of a test's own, provisioned as an administrator would.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, kv, object_store, stream};
use tokio::process::{Child, Command};

const VERSION: &str = "v2.15.2";

pub struct Server {
    child: Child,
    pub url: String,
    directory: PathBuf,
}

/// The pinned server; a test that cannot find it fails, it does not pass.
fn binary() -> PathBuf {
    let path = std::env::var_os("RATCHET_NATS_SERVER").map_or_else(
        || cache().join("bin").join(format!("nats-server-{VERSION}")),
        PathBuf::from,
    );
    let path_shown = path.display();
    assert!(
        path.is_file(),
        "{path_shown} is missing: run `npm run bootstrap`"
    );
    path
}

fn cache() -> PathBuf {
    let own = std::env::var_os("RATCHET_CACHE").map(PathBuf::from);
    own.unwrap_or_else(|| {
        let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
        std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(home, PathBuf::from)
            .join("ratchet")
    })
}

/// A port that nobody listens on, below those that the kernel gives to connections: whoever starts
/// later, or again, still finds it free.
pub fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16;
    loop {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + first.wrapping_mul(97).wrapping_add(tried) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    pub async fn start(directory: &Path) -> Self {
        Self::start_at(directory, &free_port().to_string()).await
    }

    /// SIGKILL, and another one at the same address with the same streams.
    pub async fn restart(&mut self) {
        self.kill().await;
        let port = self.url.rsplit(':').next().unwrap().to_owned();
        *self = Self::start_at(&self.directory.clone(), &port).await;
    }

    async fn start_at(directory: &Path, port: &str) -> Self {
        let binary = binary();
        let child = Command::new(&binary)
            .args(["--addr", "127.0.0.1", "--port", port, "--jetstream"])
            .arg("--store_dir")
            .arg(directory)
            .arg("--ports_file_dir")
            .arg(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let name = binary.file_name().unwrap().to_string_lossy().into_owned();
        let ports = directory.join(format!("{name}_{}.ports", child.id().unwrap()));
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < until, "no {}", ports.display());
            let text = std::fs::read(&ports).unwrap_or_default();
            let told: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            if let Some(url) = told["nats"][0].as_str() {
                let (url, directory) = (url.to_owned(), directory.to_owned());
                return Self {
                    child,
                    url,
                    directory,
                };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL, unless it is gone.
    pub async fn kill(&mut self) {
        if self.child.id().is_some() {
            self.child.kill().await.unwrap();
        }
    }

    pub async fn stop(mut self) {
        self.kill().await;
    }
}

/// Makes the streams and buckets of the contract.
pub async fn provision(context: &jetstream::Context) {
    let plain = |name: &str, subjects: &[&str]| stream::Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        allow_direct: true,
        duplicate_window: Duration::from_secs(120),
        ..stream::Config::default()
    };
    let ingest = stream::Config {
        subject_transform: Some(stream::SubjectTransform {
            source: "ingest.*".to_owned(),
            destination: "ingest.{{partition(4,1)}}.{{wildcard(1)}}".to_owned(),
        }),
        discard: stream::DiscardPolicy::New,
        allow_atomic_publish: true,
        ..plain(
            "INGEST",
            &[
                "ingest.*",
                "ingest.*.*",
                "parts.*.*.*",
                "tick.*",
                "totals.*.*.*",
            ],
        )
    };
    let captured = |name: &str, subject: &str| stream::Config {
        max_messages_per_subject: 512,
        ..plain(name, &[subject])
    };
    for config in [
        ingest,
        captured("TRAINING", "training.*.*"),
        captured("VALIDATION", "validation.*.*"),
        plain("AGGREGATES", &["aggregates.*"]),
        plain("LATE", &["late.*", "late.*.*"]),
        plain("EVENTS", &["evt.*.*"]),
    ] {
        context.create_stream(config).await.unwrap();
    }
    for (bucket, history) in [
        ("configurations", 64),
        ("active", 10),
        ("leases", 1),
        ("checkpoints", 1),
    ] {
        let config = kv::Config {
            bucket: bucket.to_owned(),
            history,
            ..kv::Config::default()
        };
        context.create_key_value(config).await.unwrap();
    }
    for bucket in ["modules", "evidence"] {
        let config = object_store::Config {
            bucket: bucket.to_owned(),
            ..object_store::Config::default()
        };
        context.create_object_store(config).await.unwrap();
    }
}
