//! Which configuration of an organization serves which windows.
//!
//! A configuration takes effect at a moment T: windows that start before T belong to its
//! predecessor, windows that start at T or later to it. The decision is made window by window, so
//! a message whose points straddle T runs on both and each keeps its own records.

use std::sync::Arc;

use ratchet_trust::ConfigurationDigest;

use crate::configuration::Configuration;

/// Entries kept, the newest: one for each revision that the bucket keeps. The API takes fewer edits
/// within the life of a window than that.
pub const ENTRIES_MAX: usize = 64;

/// From `effective_from_ms` on, windows are served by `configuration` (`None`: by nothing, the
/// organization was removed).
#[derive(Clone)]
pub struct Entry {
    pub effective_from_ms: i64,
    pub configuration: Option<Arc<Configuration>>,
    /// Over how many partitions the organization's series are spread.
    pub spread: u32,
}

/// The half-open range of window starts that one configuration serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from_ms: i64,
    pub until_ms: i64,
}

/// A configuration that has windows for a message.
pub struct Run<'a> {
    pub configuration: &'a Arc<Configuration>,
    pub span: Span,
    pub spread: u32,
}

impl Span {
    pub fn contains(&self, start_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&start_ms)
    }
}

#[derive(Clone, Default)]
pub struct Timeline {
    entries: Vec<Entry>,
    /// The newest revision of the bucket entry that is part of this timeline.
    revision: u64,
}

impl Timeline {
    /// The timeline after one more revision. A later revision is the newer decision: what was
    /// planned for its moment or after is dropped. An old revision changes nothing.
    pub fn with(&self, revision: u64, entry: Entry) -> Self {
        if revision <= self.revision {
            return self.clone();
        }
        let mut entries = self.entries.clone();
        entries.retain(|kept| kept.effective_from_ms < entry.effective_from_ms);
        entries.push(entry);
        let surplus = entries.len().saturating_sub(ENTRIES_MAX);
        entries.drain(..surplus);
        Self { entries, revision }
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The configurations that can have windows for points in `min_ts..=max_ts`.
    pub fn runs(&self, min_ts: i64, max_ts: i64) -> impl Iterator<Item = Run<'_>> {
        self.spans().filter(move |run| {
            let earliest = run.configuration.earliest_window_start_ms(min_ts);
            let latest = run.configuration.latest_window_start_ms(max_ts);
            earliest < run.span.until_ms && latest >= run.span.from_ms
        })
    }

    /// Over how many partitions windows starting at `start_ms` are spread.
    pub fn spread_at(&self, start_ms: i64) -> u32 {
        let mut newest_first = self.entries.iter().rev();
        let entry = newest_first.find(|e| e.effective_from_ms <= start_ms);
        entry.map_or(1, |entry| entry.spread)
    }

    /// The widest spread of any window.
    pub fn spread_max(&self) -> u32 {
        self.entries.iter().map(|e| e.spread).max().unwrap_or(1)
    }

    /// The configuration that serves windows starting at `start_ms`.
    pub fn serving(&self, start_ms: i64) -> Option<&Arc<Configuration>> {
        let mut newest_first = self.entries.iter().rev();
        newest_first
            .find(|e| e.effective_from_ms <= start_ms)?
            .configuration
            .as_ref()
    }

    /// The newest configuration, in effect or about to be.
    pub fn newest(&self) -> Option<&Arc<Configuration>> {
        self.entries.last()?.configuration.as_ref()
    }

    pub fn find(&self, digest: &ConfigurationDigest) -> Option<&Arc<Configuration>> {
        let mut configurations = self
            .entries
            .iter()
            .rev()
            .filter_map(|e| e.configuration.as_ref());
        configurations.find(|c| c.digest == *digest)
    }

    pub fn configurations(&self) -> impl Iterator<Item = &Arc<Configuration>> {
        self.entries.iter().filter_map(|e| e.configuration.as_ref())
    }

    /// Without the entries that no window starting at `start_ms` or later can need.
    pub fn pruned(&self, start_ms: i64) -> Self {
        let needed = self
            .entries
            .partition_point(|e| e.effective_from_ms <= start_ms);
        Self {
            entries: self.entries[needed.saturating_sub(1)..].to_vec(),
            revision: self.revision,
        }
    }

    fn spans(&self) -> impl Iterator<Item = Run<'_>> {
        self.entries.iter().enumerate().filter_map(|(i, entry)| {
            let until_ms = self
                .entries
                .get(i + 1)
                .map_or(i64::MAX, |e| e.effective_from_ms);
            let span = Span {
                from_ms: entry.effective_from_ms,
                until_ms,
            };
            Some(Run {
                configuration: entry.configuration.as_ref()?,
                span,
                spread: entry.spread,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::tests::configuration;

    /// Builds a timeline of `(effective_from_ms, name)`, `""` meaning removal.
    fn timeline(entries: &[(i64, &str)]) -> Timeline {
        let mut timeline = Timeline::default();
        for (i, (effective_from_ms, name)) in entries.iter().enumerate() {
            let configuration = (!name.is_empty()).then(|| configuration(name, &[10, 60]));
            let entry = Entry {
                effective_from_ms: *effective_from_ms,
                configuration,
                spread: 1,
            };
            timeline = timeline.with(i as u64 + 1, entry);
        }
        timeline
    }

    fn name(configuration: &Arc<Configuration>) -> String {
        let id = &configuration.rules[0].rule.id;
        String::from_utf8_lossy(id)
            .split('-')
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    fn check(entries: &[(i64, &str)], points: (i64, i64), expected: &[(&str, i64, i64)]) {
        let timeline = timeline(entries);
        let actual: Vec<_> = timeline
            .runs(points.0, points.1)
            .map(|run| (name(run.configuration), run.span.from_ms, run.span.until_ms))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, from, until)| ((*n).to_owned(), *from, *until))
            .collect();
        assert_eq!(actual, expected, "{entries:?} over {points:?}");
    }

    #[test]
    fn runs_by_window_start() {
        const END: i64 = i64::MAX;
        let two = [(0, "a"), (600_000, "b")];
        check(&[], (0, 1), &[]);
        check(&[(600_000, "a")], (0, 599_999), &[]);
        check(&two, (0, 10), &[("a", 0, 600_000)]);
        check(&two, (600_000, 600_001), &[("b", 600_000, END)]);
        check(
            &two,
            (599_999, 600_000),
            &[("a", 0, 600_000), ("b", 600_000, END)],
        );
        // A moment that is no multiple of the largest window: the open minute stays with "a".
        let odd = [(0, "a"), (630_000, "b")];
        check(
            &odd,
            (640_000, 640_000),
            &[("a", 0, 630_000), ("b", 630_000, END)],
        );
        check(&odd, (660_000, 660_000), &[("b", 630_000, END)]);
        // A later revision for an earlier moment replaces what was planned after it.
        check(
            &[(0, "a"), (900_000, "b"), (600_000, "c")],
            (0, 1_000_000),
            &[("a", 0, 600_000), ("c", 600_000, END)],
        );
        check(&[(0, "a"), (600_000, "")], (700_000, 700_000), &[]);
    }

    #[test]
    fn serving_and_pruning() {
        let timeline = timeline(&[(0, "a"), (600_000, "b"), (900_000, "c")]);
        let serving = |t: &Timeline, start| t.serving(start).map(name);
        assert_eq!(serving(&timeline, -1), None);
        assert_eq!(serving(&timeline, 599_999), Some("a".into()));
        assert_eq!(serving(&timeline, 600_000), Some("b".into()));
        let pruned = timeline.pruned(700_000);
        assert_eq!(
            pruned.configurations().map(name).collect::<Vec<_>>(),
            ["b", "c"]
        );
        assert_eq!(serving(&pruned, 600_000), Some("b".into()));
        assert_eq!(timeline.pruned(-5).configurations().count(), 3);
    }

    #[test]
    fn old_revisions_change_nothing() {
        let timeline = timeline(&[(0, "a"), (600_000, "b")]);
        let stale = Entry {
            effective_from_ms: 5,
            configuration: None,
            spread: 1,
        };
        assert_eq!(timeline.with(2, stale).configurations().count(), 2);
        assert_eq!(timeline.revision(), 2);
    }
}
