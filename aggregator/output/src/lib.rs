//! Where aggregated points go: to any receiver of Prometheus remote write, and to whoever asks for
//! the latest windows of a rule over HTTP.
//!
//! Both read the AGGREGATES stream, so they know nothing of partitions and modules: they run
//! inside an aggregator or as processes of their own. [`emission`] decodes a message, [`names`]
//! says what a point is called, [`remote`] forwards, [`query`] answers.
#![forbid(unsafe_code)]

pub mod emission;
pub mod metrics;
pub mod names;
pub mod query;
pub mod remote;

/// The stream of aggregated points, and its subjects: `aggregates.<org>`.
pub const STREAM: &str = "AGGREGATES";
pub const SUBJECTS: &str = "aggregates.*";
/// The header that tells how long the windows of a message are, in milliseconds.
pub const WINDOW_HEADER: &str = "Ratchet-Window";
