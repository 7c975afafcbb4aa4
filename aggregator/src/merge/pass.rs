//! What goes into the merge of a message, and what comes of it.

use ratchet_codec::payload::Header;
use ratchet_codec::DecodeError;
use ratchet_sandbox::Record;

use super::Binding;
use crate::timeline::Span;

/// What is known of a message before its records are merged.
pub struct Pass<'a> {
    pub payload: &'a [u8],
    pub header: &'a Header,
    pub sequence: u64,
    pub binding: &'a Binding,
    /// The windows that the binding's configuration serves.
    pub span: Span,
    /// The organization's time: windows that closed by then take no more points.
    pub time_ms: i64,
}

/// What became of a message's records. All that is not listed went into windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub records: u64,
    /// Whether they went the way of those of a message before.
    pub is_recalled: bool,
    pub late: Vec<LatePoints>,
    /// Points of windows that another configuration serves.
    pub elsewhere: Vec<RulePoints>,
    /// Points of groups that did not fit.
    pub overflow: Vec<RulePoints>,
    /// How many of them met the limit of groups, and that of memory.
    pub beyond_series: u64,
    pub beyond_memory: u64,
}

/// The limit that a group met.
#[derive(Clone, Copy)]
pub(super) enum Beyond {
    Series,
    Memory,
}

impl Tally {
    /// That of records which all went the way of others before.
    pub(super) fn recalled(records: usize) -> Self {
        Self {
            records: records as u64,
            is_recalled: true,
            ..Self::default()
        }
    }

    pub(super) fn refuse(&mut self, record: &Record, beyond: Beyond) {
        let refused = match beyond {
            Beyond::Series => &mut self.beyond_series,
            Beyond::Memory => &mut self.beyond_memory,
        };
        *refused += u64::from(record.count);
        add(&mut self.overflow, record);
    }

    /// How many points of all records went into windows.
    pub fn matched_of(&self, records: &[Record]) -> u64 {
        let all: u64 = records.iter().map(|record| u64::from(record.count)).sum();
        let late: u64 = self.late.iter().map(|late| u64::from(late.points)).sum();
        let apart = self.elsewhere.iter().chain(&self.overflow);
        all - late - apart.map(|apart| apart.points).sum::<u64>()
    }

    pub(super) fn leave_out(&mut self, record: &Record) {
        add(&mut self.elsewhere, record);
    }
}

/// Points of one rule; a rule may come several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulePoints {
    /// Index of the rule in its configuration.
    pub rule: u32,
    pub points: u64,
}

/// Adds to the last entry when that is of the same rule.
fn add(all: &mut Vec<RulePoints>, record: &Record) {
    let (rule, points) = (record.rule, u64::from(record.count));
    match all.last_mut().filter(|last| last.rule == rule) {
        Some(last) => last.points += points,
        None => all.push(RulePoints { rule, points }),
    }
}

/// Points of one message that came after their window had closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatePoints {
    /// Index of the rule in its configuration.
    pub rule: u32,
    pub start_ms: i64,
    pub points: u32,
}

/// Records that no correct module returns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeFault {
    #[error("message does not decode: {0:?}")]
    Decode(DecodeError),
    #[error("record {at}: rule {rule} or tag-set {set} is out of range")]
    Range { at: usize, rule: u32, set: u32 },
    #[error("record {at}: tag-set {set} is not of the metric of rule {rule}")]
    Metric { at: usize, rule: u32, set: u32 },
    #[error("record {at}: a second one of the group of tag-set {set}, rule {rule}, {window}")]
    Duplicate {
        at: usize,
        rule: u32,
        set: u32,
        window: u32,
    },
}

impl MergeFault {
    /// A short label for metrics and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Decode(_) => "record-decode",
            Self::Range { .. } => "record-range",
            Self::Metric { .. } => "record-metric",
            Self::Duplicate { .. } => "record-duplicate",
        }
    }
}
