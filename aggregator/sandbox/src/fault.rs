//! What can go wrong with a module while it serves a message.

use thiserror::Error;

/// Why a module gave no usable records. Apart from [`Fault::Capacity`], it counts against the
/// module.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The instance could not be made ready for the rules.
    #[error("init: {0}")]
    Init(String),
    /// The guest trapped, or was stopped for a forbidden read.
    #[error("trap: {0}")]
    Trap(String),
    /// The guest ran longer than its deadline.
    #[error("deadline of {ticks} ticks exceeded")]
    Deadline { ticks: u64 },
    /// The guest burnt its fuel.
    #[error("fuel of {fuel} exhausted")]
    OutOfFuel { fuel: u64 },
    /// The guest trapped after it was refused memory.
    #[error("memory: {wanted} bytes wanted, {limit} allowed")]
    Memory { wanted: usize, limit: usize },
    /// The guest returned, but not records that can be merged.
    #[error("records: {0}")]
    Records(#[from] RecordFault),
    /// The engine's pool of instances is full: the host's fault, not the module's.
    #[error("capacity: {0}")]
    Capacity(String),
}

impl Fault {
    /// A short label for metrics and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Fault::Init(_) => "init",
            Fault::Trap(_) => "trap",
            Fault::Deadline { .. } => "deadline",
            Fault::OutOfFuel { .. } => "out-of-fuel",
            Fault::Memory { .. } => "memory",
            Fault::Records(fault) => fault.reason(),
            Fault::Capacity(_) => "capacity",
        }
    }
}

/// What is wrong with the bytes that a guest returned. `at` is the index of the record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordFault {
    #[error("{bytes} bytes are no whole number of records of 24 bytes")]
    Length { bytes: usize },
    #[error("{records} records, {max} allowed")]
    TooMany { records: usize, max: usize },
    #[error("record {at}: rule {rule} of {rules}")]
    Rule { at: usize, rule: u32, rules: u32 },
    #[error("record {at}: tag-set {set} of {sets}")]
    Set { at: usize, set: u32, sets: u32 },
    #[error("record {at}: window {window} of the {windows} of rule {rule}")]
    Window {
        at: usize,
        rule: u32,
        window: u32,
        windows: u32,
    },
    #[error("record {at}: count {count} of {points} points")]
    Count { at: usize, count: u32, points: u32 },
}

impl RecordFault {
    /// A short label for metrics and events.
    pub fn reason(&self) -> &'static str {
        match self {
            RecordFault::Length { .. } => "record-length",
            RecordFault::TooMany { .. } => "record-number",
            RecordFault::Rule { .. } => "record-rule",
            RecordFault::Set { .. } => "record-set",
            RecordFault::Window { .. } => "record-window",
            RecordFault::Count { .. } => "record-count",
        }
    }
}
