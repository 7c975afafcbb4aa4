//! The aggregator as a process.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::server::free_port;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Short, so that tests see many take-overs.
pub const LEASE_TTL: Duration = Duration::from_millis(1_500);

pub struct Aggregator {
    child: Child,
    address: String,
}

pub fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

impl Aggregator {
    /// Starts it without waiting; logs go to `aggregator.log` in the directory. Its state lies in
    /// the directory below, as `state`: two that run at a time need two.
    pub fn spawn(directory: &Path, state: &str, url: &str, lateness: Option<Duration>) -> Self {
        Self::spawn_with(directory, state, url, lateness, &[])
    }

    /// The same with more flags. Without a lateness, it is what it is by default.
    pub fn spawn_with(
        directory: &Path,
        state: &str,
        url: &str,
        lateness: Option<Duration>,
        flags: &[&str],
    ) -> Self {
        let address = free_address();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join("aggregator.log"))
            .unwrap();
        let file = |name: &str| directory.join(name);
        let child = Command::new(env!("CARGO_BIN_EXE_aggregator"))
            .arg("run")
            .args(["--nats-url", url, "--http", &address])
            .args(lateness.map(|lateness| format!("--lateness={}ms", lateness.as_millis())))
            .args(["--proof-policy", "attested", "--capture-one-in", "2"])
            .arg("--state-dir")
            .arg(file(state))
            .args(["--lease-ttl", &format!("{}ms", LEASE_TTL.as_millis())])
            .arg("--attestations")
            .arg(file("attestations"))
            .arg("--trust")
            .arg(file("trust.json"))
            .arg("--validator-key")
            .arg(file("validator.key"))
            .arg("--split-key")
            .arg(file("split.key"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, address }
    }

    pub async fn start(
        directory: &Path,
        state: &str,
        url: &str,
        lateness: Option<Duration>,
    ) -> Self {
        let mut aggregator = Self::spawn(directory, state, url, lateness);
        aggregator.is_up(directory).await;
        aggregator
    }

    /// Waits until it serves what it should; the directory is that of its log.
    pub async fn is_up(&mut self, directory: &Path) {
        let until = Instant::now() + READY_WITHIN;
        while self
            .get("/healthz")
            .await
            .is_none_or(|(status, _)| status != 200)
        {
            let ended = self.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(directory.join("aggregator.log")).unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "not ready: {}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL: no chance to save anything.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and the exit status.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal("-TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.expect("it ends within 30 s").unwrap().code()
    }

    /// Stops it in its tracks, until [`Aggregator::wake`].
    pub async fn pause(&self) {
        self.signal("-STOP").await;
    }

    pub async fn wake(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// How many partitions it serves.
    pub async fn partitions(&self) -> usize {
        let Some((_, body)) = self.get("/metrics").await else {
            return 0;
        };
        body.lines()
            .filter(|line| line.starts_with("ratchet_partition_epoch{"))
            .count()
    }

    /// Waits until it serves so many.
    pub async fn serves(&self, partitions: usize) -> Duration {
        let started = Instant::now();
        while self.partitions().await != partitions {
            let waited = started.elapsed();
            assert!(
                waited < READY_WITHIN,
                "{} partitions",
                self.partitions().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        started.elapsed()
    }

    /// Status and body of a GET, if anybody answers.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&self.address, path, "").await
    }

    /// One organization's line of the status.
    pub async fn status(&self, org: &str) -> Value {
        let (_, body) = self.get("/status").await.expect("an answer");
        let status: Value = serde_json::from_str(&body).expect("JSON");
        status["organizations"][org].clone()
    }

    /// Waits until an organization is served by a module of this version. It is told of from its
    /// first message on, which may come after all that readiness asks for.
    pub async fn serves_version(&self, org: &str, version: u64) {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let status = self.status(org).await;
            if status["version"] == version {
                return;
            }
            assert!(Instant::now() < until, "{org}: {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is told of the fleet's module.
    pub async fn fleet(&self) -> Value {
        let (_, body) = self.get("/status").await.expect("an answer");
        let status: Value = serde_json::from_str(&body).expect("JSON");
        status["fleet"].clone()
    }

    /// The value of one metric, 0 when it does not exist.
    pub async fn metric(&self, series: &str) -> f64 {
        let (_, body) = self.get("/metrics").await.expect("an answer");
        let line = body
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }
}

/// Status and body of a GET with more headers, each line ended.
pub async fn get(address: &str, path: &str, headers: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
