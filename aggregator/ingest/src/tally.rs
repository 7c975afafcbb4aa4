//! What became of the data points of a request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Why a data point is refused. The sender is told; trying again would not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    NoName,
    EmptyKey,
    StringTooLong,
    NotUtf8,
    DuplicateTag,
    TooManyTags,
    Timestamp,
    Future,
    TooOld,
    NoValue,
    NoTemporality,
    BadHistogram,
    TooManyPoints,
    TooManyMessages,
    TooManySeries,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::NoName => "no-name",
            Self::EmptyKey => "empty-key",
            Self::StringTooLong => "string-too-long",
            Self::NotUtf8 => "not-utf8",
            Self::DuplicateTag => "duplicate-tag",
            Self::TooManyTags => "too-many-tags",
            Self::Timestamp => "timestamp",
            Self::Future => "future",
            Self::TooOld => "too-old",
            Self::NoValue => "no-value",
            Self::NoTemporality => "no-temporality",
            Self::BadHistogram => "bad-histogram",
            Self::TooManyPoints => "too-many-points",
            Self::TooManyMessages => "too-many-messages",
            Self::TooManySeries => "too-many-series",
        }
    }
}

/// What is left out on purpose, as `docs/ingest.md` says: counted, but no fault of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// A marker that a series has ended, or a point without a recorded value.
    Stale,
    Exemplar,
    /// The first point of a cumulative series, which only tells where it begins.
    First,
    /// A cumulative point that is not newer than the one before.
    Repeated,
    /// A tag's value that was cut.
    CutTag,
}

impl Ignored {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Exemplar => "exemplar",
            Self::First => "first",
            Self::Repeated => "repeated",
            Self::CutTag => "cut-tag",
        }
    }
}

/// Counts of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Points written into messages; a histogram makes several of one data point.
    pub written: u64,
    pub rejected: BTreeMap<Reason, u64>,
    pub ignored: BTreeMap<Ignored, u64>,
    /// What the first refused data point was about.
    first: Option<String>,
}

/// The text of a metric's name that is quoted to the sender.
const SHOWN_CHARS_MAX: usize = 80;

impl Tally {
    /// Of points that were all written.
    pub fn of(written: u64) -> Self {
        Self {
            written,
            ..Self::default()
        }
    }

    pub fn reject(&mut self, reason: Reason, metric: &str) {
        *self.rejected.entry(reason).or_default() += 1;
        self.first.get_or_insert_with(|| {
            let shown: String = metric.chars().take(SHOWN_CHARS_MAX).collect();
            format!("{} in {shown:?}", reason.name())
        });
    }

    pub fn ignore(&mut self, what: Ignored, count: u64) {
        if count > 0 {
            *self.ignored.entry(what).or_default() += count;
        }
    }

    /// How many data points were refused.
    pub fn rejections(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Says what was refused, or `None`.
    pub fn complaint(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let mut text = format!("{} data points refused (", self.rejections());
        for (n, (reason, count)) in self.rejected.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{}: {count}", reason.name());
        }
        let _ = write!(text, "); the first: {first}");
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_count_and_quote() {
        let mut tally = Tally::default();
        tally.ignore(Ignored::Stale, 3);
        assert_eq!(tally.complaint(), None);
        tally.reject(Reason::Future, "cpu");
        tally.reject(Reason::NoName, "");
        tally.reject(Reason::Future, "disk");
        assert_eq!(
            tally.complaint().as_deref(),
            Some("3 data points refused (no-name: 1, future: 2); the first: future in \"cpu\"")
        );
    }
}
