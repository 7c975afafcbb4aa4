//! What was known of an organization's configuration, and when.
//!
//! A timeline says which windows a configuration serves; a chronicle says which timeline a message
//! is served by. A revision counts for the messages that the server received at least
//! [`VISIBLE_AFTER_MS`] after it stored the revision. Both moments are the server's and are stored,
//! so whoever reads the stream again serves every message by the same configurations, also one
//! that points into the time of a configuration that was not thought of yet.

use std::sync::Arc;

use ratchet_trust::{ConfigurationDigest, Sha256Digest};

use crate::configuration::{Configuration, MeaningfulRule};
use crate::timeline::{Entry, Timeline, ENTRIES_MAX};

/// So long a revision has to reach every aggregator before it counts. A new configuration is stored
/// at least three seconds before it takes effect.
pub const VISIBLE_AFTER_MS: i64 = 1_000;
/// Revisions kept, the newest; the bucket keeps as many.
pub const REVISIONS_MAX: usize = ENTRIES_MAX;

#[derive(Clone)]
pub struct Revision {
    pub number: u64,
    /// When the server stored it.
    pub stored_ms: i64,
    pub entry: Entry,
}

#[derive(Clone, Default)]
pub struct Chronicle {
    /// Ascending by number, and by the moment from which on they count.
    revisions: Vec<(i64, Revision)>,
    newest: Arc<Timeline>,
}

/// A timeline, and the moments of the stream that it is for.
#[derive(Clone, Default)]
pub struct View {
    pub timeline: Timeline,
    from_ms: i64,
    until_ms: i64,
}

impl View {
    /// From this moment on another view holds.
    pub fn until_ms(&self) -> i64 {
        self.until_ms
    }

    pub fn is_for(&self, received_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&received_ms)
    }
}

impl Chronicle {
    /// The newest revision that is known.
    pub fn revision(&self) -> u64 {
        self.revisions.last().map_or(0, |(_, newest)| newest.number)
    }

    /// With everything that is known, whether it counts yet or not.
    pub fn newest(&self) -> &Arc<Timeline> {
        &self.newest
    }

    /// The chronicle with one more revision; an old one changes nothing.
    pub fn with(&self, revision: Revision) -> Self {
        if revision.number <= self.revision() {
            return self.clone();
        }
        let mut revisions = self.revisions.clone();
        // The server's clock may have gone back; the order of revisions does not.
        let before = revisions
            .last()
            .map_or(i64::MIN, |(counts_ms, _)| *counts_ms);
        let counts_ms = before.max(revision.stored_ms.saturating_add(VISIBLE_AFTER_MS));
        let mut revision = revision;
        let entry = &mut revision.entry;
        if !self.revisions.is_empty() || entry.spread > 1 {
            // No window is served one way before the revision counts and another way after, and all
            // partitions see it the same way, whatever the clock of whoever wrote the revision.
            entry.effective_from_ms = entry.effective_from_ms.max(counts_ms);
        }
        let newest = self.newest.with(revision.number, revision.entry.clone());
        revisions.push((counts_ms, revision));
        let surplus = revisions.len().saturating_sub(REVISIONS_MAX);
        revisions.drain(..surplus);
        Self {
            revisions,
            newest: Arc::new(newest),
        }
    }

    /// A configuration that was ever in a revision that is known.
    pub fn find(&self, digest: &ConfigurationDigest) -> Option<&Arc<Configuration>> {
        let newest_first = self.revisions.iter().rev();
        let mut known = newest_first.filter_map(|(_, r)| r.entry.configuration.as_ref());
        known.find(|configuration| configuration.digest == *digest)
    }

    /// A rule that was ever in a revision that is known.
    pub fn rule(&self, meaning: &Sha256Digest) -> Option<&Arc<MeaningfulRule>> {
        let newest_first = self.revisions.iter().rev();
        let mut known = newest_first.filter_map(|(_, r)| r.entry.configuration.as_ref());
        known.find_map(|configuration| configuration.rule(meaning))
    }

    /// The widest spread of any revision.
    pub fn spread_max(&self) -> u32 {
        let spreads = self.revisions.iter().map(|(_, r)| r.entry.spread);
        spreads.max().unwrap_or(1)
    }

    /// What a message is served by that the server received at a moment.
    pub fn at(&self, received_ms: i64) -> View {
        let known = self
            .revisions
            .partition_point(|(counts_ms, _)| *counts_ms <= received_ms);
        let (past, future) = self.revisions.split_at(known);
        let timeline = past
            .iter()
            .fold(Timeline::default(), |timeline, (_, revision)| {
                timeline.with(revision.number, revision.entry.clone())
            });
        View {
            timeline,
            from_ms: past.last().map_or(i64::MIN, |(counts_ms, _)| *counts_ms),
            until_ms: future.first().map_or(i64::MAX, |(counts_ms, _)| *counts_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::tests::configuration;

    fn chronicle(stored: &[(u64, i64, i64)]) -> Chronicle {
        let with = |chronicle: Chronicle,
                    (number, stored_ms, effective_from_ms): &(u64, i64, i64)| {
            chronicle.with(Revision {
                number: *number,
                stored_ms: *stored_ms,
                entry: Entry {
                    effective_from_ms: *effective_from_ms,
                    configuration: None,
                    spread: 1,
                },
            })
        };
        stored.iter().fold(Chronicle::default(), with)
    }

    fn check(stored: &[(u64, i64, i64)], received_ms: i64, revision: u64, range: (i64, i64)) {
        let view = chronicle(stored).at(received_ms);
        assert_eq!(
            view.timeline.revision(),
            revision,
            "{stored:?} at {received_ms}"
        );
        assert_eq!(
            (view.from_ms, view.until_ms),
            range,
            "{stored:?} at {received_ms}"
        );
        assert!(view.is_for(received_ms));
    }

    #[test]
    fn a_message_knows_what_was_stored_before_it() {
        const FIRST: i64 = i64::MIN;
        const LAST: i64 = i64::MAX;
        check(&[], 5_000, 0, (FIRST, LAST));
        let two = [(3, 10_000, 14_000), (7, 20_000, 24_000)];
        check(&two, 10_999, 0, (FIRST, 11_000));
        check(&two, 11_000, 3, (11_000, 21_000));
        check(&two, 20_999, 3, (11_000, 21_000));
        check(&two, 21_000, 7, (21_000, LAST));
        // The clock went back between the two.
        check(&[(3, 10_000, 0), (4, 5_000, 0)], 11_000, 4, (11_000, LAST));
        assert_eq!(chronicle(&two).newest().revision(), 7);
    }

    #[test]
    fn old_revisions_change_nothing() {
        let known = chronicle(&[(3, 10_000, 0), (3, 90_000, 0), (2, 5_000, 0)]);
        assert_eq!((known.revision(), known.revisions.len()), (3, 1));
        let many: Vec<_> = (1..200).map(|n| (n, n as i64, 0)).collect();
        assert_eq!(chronicle(&many).revisions.len(), REVISIONS_MAX);
    }

    #[test]
    fn an_edit_begins_when_everybody_knows() {
        let revision = |number, stored_ms, effective_from_ms, name| Revision {
            number,
            stored_ms,
            entry: Entry {
                effective_from_ms,
                configuration: Some(configuration(name, &[10])),
                spread: 1,
            },
        };
        let check = |effective_from_ms, expected_ms| {
            let first = Chronicle::default().with(revision(3, 10_000, 0, "a"));
            // Those of windows from before there was a configuration count all the same.
            assert!(first.at(11_000).timeline.serving(0).is_some());
            let edited = first.with(revision(4, 20_000, effective_from_ms, "b"));
            let timeline = edited.at(30_000).timeline;
            let (before, after) = (
                timeline.serving(expected_ms - 1),
                timeline.serving(expected_ms),
            );
            assert_eq!(
                before.map(|c| c.digest),
                Some(configuration("a", &[10]).digest)
            );
            assert_eq!(
                after.map(|c| c.digest),
                Some(configuration("b", &[10]).digest)
            );
        };
        check(25_000, 25_000);
        // The clock of whoever wrote it is behind.
        check(20_500, 21_000);
        check(0, 21_000);
    }

    #[test]
    fn windows_before_many_edits_are_served() {
        let edits = REVISIONS_MAX as i64;
        let edit = |chronicle: Chronicle, n: i64| {
            chronicle.with(Revision {
                number: n as u64,
                stored_ms: n * 10_000,
                entry: Entry {
                    effective_from_ms: n * 10_000 + 3_000,
                    configuration: Some(configuration(&format!("e{n}"), &[10])),
                    spread: 1,
                },
            })
        };
        let known = (1..=edits).fold(Chronicle::default(), edit);
        let timeline = known.at(i64::MAX).timeline;
        for n in [1, 2, edits] {
            let expected = configuration(&format!("e{n}"), &[10]).digest;
            let served = timeline.serving(n * 10_000 + 3_000);
            assert_eq!(served.map(|c| c.digest), Some(expected), "{n}");
        }
    }

    #[test]
    fn a_spread_begins_when_everybody_knows() {
        let spread = |spread, effective_from_ms| Revision {
            number: 4,
            stored_ms: 20_000,
            entry: Entry {
                effective_from_ms,
                configuration: None,
                spread,
            },
        };
        let check = |revision: Revision, expected: [u32; 3]| {
            let known = chronicle(&[(3, 10_000, 0)]).with(revision);
            let timeline = known.at(30_000).timeline;
            let spreads = [20_999, 21_000, 25_000].map(|start_ms| timeline.spread_at(start_ms));
            assert_eq!(spreads, expected);
        };
        check(spread(4, 0), [1, 4, 4]);
        check(spread(4, 25_000), [1, 1, 4]);
        check(spread(1, 0), [1, 1, 1]);
    }
}
