//! The gateway: takes points by the protocols that platforms already speak, and puts them into the
//! INGEST stream as messages of Ratchet's own format.
//!
//! [`listen`] accepts connections; [`http`] and [`grpc`] speak the protocols; [`gateway`] is the
//! way of every request, whatever its protocol: [`access`] finds the organization, [`body`] reads
//! and decompresses under a byte [`budget`], [`otlp`] and [`remote_write`] put points into a
//! [`batch`] ([`known`] spares it series that came before), [`series`] turns cumulative sums into
//! differences, which [`cumulative`] stores [`together`] with the [`totals`] that they lead to, and
//! [`publish`] answers once JetStream has stored every message. What users should
//! know of it is in `docs/ingest.md`.
#![forbid(unsafe_code)]

pub mod access;
pub mod batch;
pub mod behind;
pub mod body;
pub mod buckets;
pub mod budget;
pub mod cumulative;
pub mod fingerprint;
pub mod gateway;
pub mod grpc;
pub mod http;
pub mod known;
pub mod listen;
pub mod metrics;
pub mod organization;
pub mod otlp;
pub mod publish;
pub mod rates;
pub mod reach;
pub mod refusal;
pub mod remote_write;
pub mod room;
pub mod series;
pub mod servers;
pub mod settings;
pub mod spread;
pub mod status;
pub mod tally;
pub mod together;
pub mod totals;
pub mod trace;
pub mod wire;

pub use listen::{start, Running};
pub use servers::Servers;
pub use settings::IngestSettings;
