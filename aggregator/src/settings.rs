//! What `aggregator run` is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ratchet_ingest::{IngestSettings, Servers};
use ratchet_trust::ProofPolicy;

use crate::cli::WasiPolicy;
use crate::observe::ObserveSettings;
use crate::output::OutputSettings;
use crate::registry::Bounds;
use crate::traces::TraceSettings;
use crate::watermark::Lateness;

/// The most partitions; each has a thread.
pub const PARTITIONS_MAX: u32 = 64;

/// How to reach NATS.
#[derive(Args, Clone, Debug)]
pub struct Login {
    #[command(flatten)]
    pub servers: Servers,
    /// User at NATS; its replies arrive below `_INBOX_<user>`.
    #[arg(long, env = "NATS_USER", default_value = "aggregator")]
    pub nats_user: String,
    /// File with that user's password; without it no credentials are sent.
    #[arg(long, env = "NATS_PASSWORD_FILE")]
    pub nats_password_file: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub struct RunSettings {
    #[command(flatten)]
    pub login: Login,
    #[command(flatten)]
    pub output: OutputSettings,
    #[command(flatten)]
    pub observe: ObserveSettings,
    /// Directory for positions, version floors and demotions. One process at a time may use it.
    #[arg(
        long,
        env = "RATCHET_AGGREGATOR_STATE",
        default_value = ".ratchet/aggregator"
    )]
    pub state_dir: PathBuf,
    /// Public keys that manifests are verified with.
    #[arg(long, env = "RATCHET_TRUST")]
    pub trust: PathBuf,
    /// Private key of the validator role, for the shadow service.
    #[arg(long, env = "RATCHET_VALIDATOR_KEY")]
    pub validator_key: PathBuf,
    /// Secret key that decides which traffic is held back (base64).
    #[arg(long, env = "RATCHET_SPLIT_KEY")]
    pub split_key: PathBuf,
    /// Where metrics, health and status are served.
    #[arg(
        long,
        env = "RATCHET_AGGREGATOR_HTTP",
        default_value = "127.0.0.1:8481"
    )]
    pub http: SocketAddr,
    /// How long a window waits for late points, such as 30s, 500ms or 2m; `window`: as long as it
    /// is itself. All aggregators must be told the same: it decides what a window's values are.
    #[arg(long, env = "RATCHET_LATENESS", default_value = "window")]
    pub lateness: LatenessChoice,
    /// The least proof verdict of a module that may run.
    #[arg(long, env = "RATCHET_PROOF_POLICY", default_value = "attested")]
    pub proof_policy: ProofChoice,
    /// Whether tenants may bring modules of their own: `empty` admits them, in a WASI world with
    /// nothing in it, with limits of their own, and with a codec that nobody proved.
    #[arg(long, env = "RATCHET_WASI", default_value = "none")]
    pub wasi: WasiPolicy,
    /// Directory of the attestations that this machine trusts, for the shadow service: it signs no
    /// module whose codec has none here.
    #[arg(long, env = "RATCHET_ATTESTATIONS")]
    pub attestations: PathBuf,
    /// How many partitions the INGEST stream has.
    #[arg(long, env = "RATCHET_PARTITIONS", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub partitions: u32,
    /// JSON file of limits: of all organizations (`default`) and of single ones (`organizations`);
    /// see docs/tenants.md. All aggregators must be told the same.
    #[arg(long, env = "RATCHET_TENANT_LIMITS")]
    pub tenant_limits: Option<PathBuf>,
    /// Tenants' modules that are loaded at a time; the idlest make room for others.
    #[arg(long, env = "RATCHET_MODULES_MAX", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub modules_max: u32,
    /// Memory for them, in MiB.
    #[arg(long, env = "RATCHET_MODULES_MIB", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub modules_mib: u32,
    /// Instances of modules that are kept at a time; each reserves 4 GiB of addresses, not of
    /// memory. Configurations that were idle for longest make room for others.
    #[arg(long, env = "RATCHET_INSTANCES_MAX", default_value_t = 12_288)]
    #[arg(value_parser = clap::value_parser!(u32).range(256..=16_384))]
    pub instances_max: u32,
    /// Memory for them, in MiB.
    #[arg(long, env = "RATCHET_INSTANCES_MIB", default_value_t = 2048)]
    #[arg(value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub instances_mib: u32,
    /// How long an aggregator may be silent before others take its partitions over.
    #[arg(long, env = "RATCHET_LEASE_TTL", default_value = "4s")]
    pub lease_ttl: Span,
    /// How long INGEST keeps what every partition is done with; five minutes where it is half full,
    /// less where it is fuller.
    #[arg(long, env = "RATCHET_INGEST_KEPT", default_value = "10m")]
    pub ingest_kept: Span,
    /// One message in so many is captured for training or validation.
    #[arg(long, env = "RATCHET_CAPTURE_ONE_IN", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub capture_one_in: u32,
    /// Captured messages of an organization per second, at most.
    #[arg(long, env = "RATCHET_CAPTURE_PER_SECOND", default_value_t = 20)]
    pub capture_per_second: u32,
    /// The same once 128 messages for each purpose are held: enough to keep them fresh.
    #[arg(long, env = "RATCHET_CAPTURE_REFRESH_PER_SECOND", default_value_t = 2)]
    pub capture_refresh_per_second: u32,
    #[command(flatten)]
    pub ingest: IngestSettings,
}

/// What `aggregator gateway` is told.
#[derive(Args, Clone, Debug)]
pub struct GatewaySettings {
    #[command(flatten)]
    pub servers: Servers,
    /// Where metrics and health are served.
    #[arg(long, env = "RATCHET_GATEWAY_HTTP", default_value = "127.0.0.1:8484")]
    pub http: SocketAddr,
    /// How many partitions the INGEST stream has.
    #[arg(long, env = "RATCHET_PARTITIONS", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub partitions: u32,
    #[command(flatten)]
    pub traces: TraceSettings,
    #[command(flatten)]
    pub ingest: IngestSettings,
}

impl RunSettings {
    /// How many of the tenants' modules are loaded at a time.
    pub fn module_bounds(&self) -> Bounds {
        Bounds {
            modules: self.modules_max as usize,
            bytes: (self.modules_mib as usize) << 20,
        }
    }

    pub fn lateness(&self) -> Lateness {
        match self.lateness {
            LatenessChoice::Window => Lateness::OneWindow,
            LatenessChoice::Fixed(span) => {
                Lateness::Milliseconds(i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }

    /// An error names what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.lease_ttl.0 < LEASE_TTL_MIN {
            let (given, least) = (self.lease_ttl.0, LEASE_TTL_MIN);
            return Err(format!("--lease-ttl {given:?}: at least {least:?}"));
        }
        Ok(())
    }
}

/// Below this, a busy machine would lose its partitions again and again.
const LEASE_TTL_MIN: Duration = Duration::from_secs(1);

/// How long windows wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatenessChoice {
    Window,
    Fixed(Span),
}

impl FromStr for LatenessChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "window" => Ok(Self::Window),
            text => text.parse().map(Self::Fixed),
        }
    }
}

/// A length of time as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// The longest lateness: beyond it, messages are refused as ancient.
const SPAN_MAX: Duration = Duration::from_secs(3600);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a length of time such as 30s, 500ms or 2m (≤ 1h)");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(bad()),
        };
        let span = Duration::from_millis(number.checked_mul(unit_ms).ok_or_else(bad)?);
        if span > SPAN_MAX {
            return Err(bad());
        }
        Ok(Self(span))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProofChoice {
    Attested,
    Verified,
}

impl From<ProofChoice> for ProofPolicy {
    fn from(choice: ProofChoice) -> Self {
        match choice {
            ProofChoice::Attested => Self::Attested,
            ProofChoice::Verified => Self::Verified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let check = |text: &str, ms: Option<u64>| {
            let parsed = text.parse::<Span>().ok().map(|s| s.0.as_millis() as u64);
            assert_eq!(parsed, ms, "{text:?}");
        };
        check("30s", Some(30_000));
        check("0s", Some(0));
        check("500ms", Some(500));
        check("1h", Some(3_600_000));
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "61m",
            "1.5s",
            "99999999999999999999s",
            "3 s",
        ] {
            check(bad, None);
        }
    }
}
