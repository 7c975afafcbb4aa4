//! What the gateway is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ratchet_codec::payload::MAX_KEYS;

use crate::organization::Org;
use crate::reach::{self, Reach};

const MIB: usize = 1 << 20;

#[derive(Args, Clone, Debug)]
pub struct IngestSettings {
    /// Where OTLP/HTTP, remote write and native messages are taken in; `none` for nowhere.
    #[arg(
        id = "ingest-http",
        long = "ingest-http",
        env = "RATCHET_INGEST_HTTP",
        default_value = "none"
    )]
    pub http: Listen,
    /// Where OTLP/gRPC is taken in; `none` for nowhere.
    #[arg(
        id = "ingest-grpc",
        long = "ingest-grpc",
        env = "RATCHET_INGEST_GRPC",
        default_value = "none"
    )]
    pub grpc: Listen,
    /// Digests of the senders' tokens, in the shape of the control plane's file; read again when it
    /// changes. Without the file nobody may send.
    #[arg(
        id = "ingest-tokens",
        long = "ingest-tokens",
        env = "RATCHET_INGEST_TOKENS"
    )]
    pub tokens: Option<PathBuf>,
    /// The organization of requests without a token. By default there is none: they are refused.
    #[arg(
        id = "ingest-anonymous",
        long = "ingest-anonymous",
        env = "RATCHET_INGEST_ANONYMOUS"
    )]
    #[arg(value_parser = org)]
    pub anonymous: Option<Org>,
    /// User at NATS; it needs the rights to publish to `ingest.*`, `ingest.*.*` and `totals.*.*.*`,
    /// to read the last of these, to ask about the stream INGEST, to read the bucket
    /// `configurations`, and to subscribe to `behind.*`.
    #[arg(
        id = "ingest-nats-user",
        long = "ingest-nats-user",
        env = "RATCHET_INGEST_NATS_USER",
        default_value = "producer"
    )]
    pub nats_user: String,
    /// File with that user's password; without it no credentials are sent.
    #[arg(
        id = "ingest-nats-password-file",
        long = "ingest-nats-password-file",
        env = "RATCHET_INGEST_NATS_PASSWORD_FILE"
    )]
    pub nats_password_file: Option<PathBuf>,
    /// What to do with the first point of a cumulative series.
    #[arg(
        id = "ingest-first-point",
        long = "ingest-first-point",
        env = "RATCHET_INGEST_FIRST_POINT",
        default_value = "auto"
    )]
    pub first_point: FirstPoint,
    /// Whether the stream drops a message that it stored moments ago.
    #[arg(
        id = "ingest-repeated",
        long = "ingest-repeated",
        env = "RATCHET_INGEST_REPEATED",
        default_value = "drop"
    )]
    pub repeated: Repeated,
    /// Bytes that all requests together may hold in memory, and three quarters of them those of
    /// one organization; beyond it they are refused for now.
    #[arg(
        id = "ingest-memory-mib",
        long = "ingest-memory-mib",
        env = "RATCHET_INGEST_MEMORY_MIB",
        default_value_t = 256
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub memory_mib: u32,
    /// Points a second that each organization may send through this process, on average; beyond it
    /// requests are refused for now. With 0 there is no limit.
    #[arg(
        id = "ingest-org-points-per-s",
        long = "ingest-org-points-per-s",
        env = "RATCHET_INGEST_ORG_POINTS_PER_S",
        default_value_t = 0
    )]
    pub org_points_per_s: u32,
    /// The most bytes of a body as it is sent.
    #[arg(id = "ingest-body-max", long = "ingest-body-max", default_value_t = 8 * MIB)]
    pub body_max: usize,
    /// The most bytes of a body once it is decompressed.
    #[arg(id = "ingest-content-max", long = "ingest-content-max", default_value_t = 32 * MIB)]
    pub content_max: usize,
    /// The most points of a request.
    #[arg(
        id = "ingest-points-max",
        long = "ingest-points-max",
        default_value_t = 200_000
    )]
    pub points_max: usize,
    /// The most tags of a point.
    #[arg(id = "ingest-tags-max", long = "ingest-tags-max", default_value_t = 64)]
    #[arg(value_parser = tags_max)]
    pub tags_max: usize,
    /// How far a point's timestamp may lie ahead of this machine's clock, in seconds.
    #[arg(
        id = "ingest-ahead-max-s",
        long = "ingest-ahead-max-s",
        default_value_t = reach::AHEAD_S
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=reach::AHEAD_S_MAX))]
    pub ahead_max_s: u32,
    /// How far a point's timestamp may lie behind this machine's clock, in seconds.
    #[arg(
        id = "ingest-behind-max-s",
        long = "ingest-behind-max-s",
        default_value_t = reach::BEHIND_S
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=reach::BEHIND_S_MAX))]
    pub behind_max_s: u32,
    /// Cumulative series that are remembered for all organizations together; a quarter of them for
    /// each at most.
    #[arg(
        id = "ingest-series-max",
        long = "ingest-series-max",
        default_value_t = 1_000_000
    )]
    pub series_max: usize,
    /// Memory for series of remote write that are recognised by the bytes of their labels; a
    /// quarter of it for each organization at most. With 0 each is parsed every time.
    #[arg(
        id = "ingest-known-mib",
        long = "ingest-known-mib",
        env = "RATCHET_INGEST_KNOWN_MIB",
        default_value_t = 128
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=16_384))]
    pub known_mib: u32,
    /// The most connections at a time, for each of the two addresses.
    #[arg(
        id = "ingest-connections-max",
        long = "ingest-connections-max",
        default_value_t = 1024
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub connections_max: u32,
    /// How long the head of a request may take, idle time before it included, in milliseconds.
    #[arg(
        id = "ingest-head-timeout-ms",
        long = "ingest-head-timeout-ms",
        default_value_t = 75_000
    )]
    pub head_timeout_ms: u64,
    /// How long the body of a request may take, in milliseconds.
    #[arg(
        id = "ingest-body-timeout-ms",
        long = "ingest-body-timeout-ms",
        default_value_t = 30_000
    )]
    pub body_timeout_ms: u64,
    /// How long the stream may take to store a request's messages, in milliseconds.
    #[arg(
        id = "ingest-store-timeout-ms",
        long = "ingest-store-timeout-ms",
        default_value_t = 5_000
    )]
    pub store_timeout_ms: u64,
}

impl IngestSettings {
    pub fn is_off(&self) -> bool {
        self.http.0.is_none() && self.grpc.0.is_none()
    }

    pub fn limits(&self) -> Limits {
        Limits {
            body: self.body_max,
            content: self.content_max,
            points: self.points_max,
            tags: self.tags_max,
            reach: Reach {
                ahead: Duration::from_secs(self.ahead_max_s.into()),
                behind: Duration::from_secs(self.behind_max_s.into()),
            },
            head_time: Duration::from_millis(self.head_timeout_ms),
            body_time: Duration::from_millis(self.body_timeout_ms),
            store_time: Duration::from_millis(self.store_timeout_ms),
        }
    }
}

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub body: usize,
    pub content: usize,
    pub points: usize,
    pub tags: usize,
    pub reach: Reach,
    pub head_time: Duration,
    pub body_time: Duration,
    pub store_time: Duration,
}

/// An address, or nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let address = text.parse();
        let bad = |_| format!("{text:?} is neither an address such as 127.0.0.1:4318 nor none");
        address.map(|address| Self(Some(address))).map_err(bad)
    }
}

/// What the processor `cumulativetodelta` of OpenTelemetry calls `initial_value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FirstPoint {
    /// Count it where the series began after this gateway did, so that nothing was counted before.
    Auto,
    /// Count it.
    Keep,
    /// Leave it out.
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Repeated {
    /// A message of the same points, sent again within the stream's duplicate window, is dropped.
    Drop,
    /// Every message is stored, whatever it holds.
    Keep,
}

fn org(text: &str) -> Result<Org, String> {
    Org::parse(text).map_err(|error| error.to_string())
}

fn tags_max(text: &str) -> Result<usize, String> {
    match text.parse() {
        // A histogram's bucket has one more.
        Ok(tags) if (1..MAX_KEYS as usize).contains(&tags) => Ok(tags),
        _ => Err(format!(
            "{text:?} is not a number from 1 to {}",
            MAX_KEYS - 1
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_limits() {
        let check = |text: &str, expected: Option<Option<&str>>| {
            let parsed = text.parse::<Listen>().ok();
            let shown = parsed.map(|listen| listen.0.map(|address| address.to_string()));
            assert_eq!(shown, expected.map(|e| e.map(str::to_owned)), "{text:?}");
        };
        check("none", Some(None));
        check("127.0.0.1:4318", Some(Some("127.0.0.1:4318")));
        check("[::1]:0", Some(Some("[::1]:0")));
        check("4318", None);
        check("localhost", None);
        assert_eq!(tags_max("255"), Ok(255));
        assert!(tags_max("0").is_err() && tags_max("256").is_err() && tags_max("x").is_err());
    }
}
