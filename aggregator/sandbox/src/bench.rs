//! Times modules against each other on the same messages, interleaved in one process.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// The engine's own modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    Baseline,
    PerPoint,
}

pub struct Options {
    /// The rules blob.
    pub rules: Vec<u8>,
    /// Valid payloads.
    pub messages: Vec<Bytes>,
    /// Name and component of each module.
    pub modules: Vec<(String, Vec<u8>)>,
    /// Built-in modules, named `baseline` and `per-point`.
    pub builtins: Vec<Builtin>,
    /// The name that ratios refer to.
    pub reference: String,
    pub rounds: u32,
    /// No round begins after this time, once three are done.
    pub time: Option<Duration>,
    /// Fewer messages are an error.
    pub min_messages: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub messages: usize,
    pub points: u64,
    pub rounds: u32,
    pub modules: Vec<ModuleReport>,
    pub ratios: Vec<Ratio>,
    pub divergence: Option<Divergence>,
    pub trap: Option<TrapReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleReport {
    pub name: String,
    /// Median over the rounds.
    pub us_per_message: f64,
    /// Least of the rounds.
    pub us_min: f64,
    pub fuel_per_point: f64,
    pub records: u64,
}

/// How many times faster `name` is than `reference`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub name: String,
    pub reference: String,
    pub ratio: f64,
    pub ci95: [f64; 2],
}

/// The first result of a module that is not the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    pub module: String,
    /// Index of the message.
    pub message: usize,
    /// Id of the rule.
    pub rule: String,
    pub group: Vec<String>,
    pub window_start_ms: i64,
    pub expected: Option<String>,
    pub actual: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrapReport {
    pub module: String,
    pub message: usize,
    pub reason: String,
}

#[derive(Debug, Error)]
pub enum BenchError {
    #[error("{0}")]
    Input(String),
}

/// Runs a benchmark. A module that diverges or traps is reported, and not timed.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    let _ = options;
    Err(BenchError::Input("not there yet".to_owned()))
}
