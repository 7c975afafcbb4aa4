//! What a gateway has to know to spread an organization's series over its partitions.
//!
//! A partition that windows have no part in refuses their points, so a point goes there only if
//! nothing can make that wrong: all its windows have one spread, by revisions that already count
//! for whatever the stream receives from now on, and they begin before a revision that is not known
//! yet could count. All else goes home, where it is always right.

use std::sync::Arc;
use std::time::Duration;

use ratchet_ingest::spread::{Spread, Spreads};

use crate::chronicle::VISIBLE_AFTER_MS;
use crate::directory::Directory;
use crate::events::now_ms;
use crate::identity::Org;
use crate::spread;
use crate::timeline::Timeline;

const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How much this machine's clock may be ahead of the server's.
const CLOCK_MS: i64 = 1_000;

pub struct KnownSpreads {
    pub directory: Arc<Directory>,
    pub partitions: u32,
}

struct KnownSpread {
    org: Org,
    timeline: Timeline,
    /// Windows that begin then or later may be spread otherwise.
    until_ms: i64,
    partitions: u32,
}

impl Spreads for KnownSpreads {
    fn of(&self, org: &Org) -> Option<Arc<dyn Spread>> {
        let chronicle = self.directory.chronicle(org)?;
        if chronicle.spread_max() == 1 {
            return None;
        }
        let known_ms = self.directory.completeness.known_ms();
        let view = chronicle.at(known_ms);
        let unknown_ms = known_ms.saturating_add(VISIBLE_AFTER_MS);
        Some(Arc::new(KnownSpread {
            org: org.clone(),
            until_ms: view.until_ms().min(unknown_ms),
            timeline: view.timeline,
            partitions: self.partitions,
        }))
    }
}

impl Spread for KnownSpread {
    fn partition(&self, (oldest_ms, newest_ms): (i64, i64), hash: u64) -> Option<u32> {
        let mut runs = self.timeline.runs(oldest_ms, newest_ms);
        let spread = runs.next()?.spread;
        if spread == 1 || runs.any(|run| run.spread != spread) {
            return None;
        }
        let partition = spread::partition_of(&self.org, spread, self.partitions, hash);
        Some(partition)
    }

    fn is_certain(&self, (oldest_ms, newest_ms): (i64, i64)) -> bool {
        let mut runs = self.timeline.runs(oldest_ms, newest_ms);
        runs.all(|run| run.configuration.latest_window_start_ms(newest_ms) < self.until_ms)
    }
}

/// Keeps the knowledge fresh where nobody reads the stream, as long as it matters.
pub async fn stay_fresh(directory: Arc<Directory>) {
    loop {
        if !directory.spread_organizations().is_empty() {
            directory.completeness.see(now_ms() - CLOCK_MS);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chronicle::Revision;
    use crate::configuration::tests::configuration;
    use crate::timeline::Entry;

    const FIRST_MS: i64 = 600_000;
    const NARROW_MS: i64 = 900_000;

    /// Spread over three from `FIRST_MS` on, and over one from `NARROW_MS` on; windows of 10 s and
    /// of a minute.
    fn spread(known_ms: i64) -> Option<Arc<dyn Spread>> {
        let org = Org::parse("acme").unwrap();
        let directory = Arc::new(Directory::default());
        for (number, stored_ms, effective_from_ms, spread) in [
            (1, 0, 0, 1),
            (2, 590_000, FIRST_MS, 3),
            (3, 890_000, NARROW_MS, 1),
        ] {
            let entry = Entry {
                effective_from_ms,
                configuration: Some(configuration("a", &[10, 60])),
                spread,
            };
            let revision = Revision {
                number,
                stored_ms,
                entry,
            };
            directory.apply(&org, revision).unwrap();
        }
        directory.completeness.complete(known_ms);
        let known = KnownSpreads {
            directory,
            partitions: 4,
        };
        known.of(&org)
    }

    fn check(known_ms: i64, times_ms: (i64, i64), is_spread: bool) {
        let spread = spread(known_ms).expect("it was spread once");
        let certain = spread.is_certain(times_ms);
        let place = |n| spread.partition(times_ms, n).filter(|_| certain);
        let mut places: Vec<_> = (0..64).map(place).collect();
        places.sort_unstable();
        places.dedup();
        if is_spread {
            assert!(places.len() == 3 && !places.contains(&None), "{places:?}");
        } else {
            assert_eq!(places, [None], "{times_ms:?} at {known_ms}");
        }
    }

    /// What is stored and comes again is dropped only if it comes in the same messages.
    #[test]
    fn what_comes_again_is_cut_as_before() {
        let cut = |known_ms: i64, ts: i64| -> Vec<_> {
            let spread = spread(known_ms).expect("it was spread once");
            (0..64).map(|n| spread.partition((ts, ts), n)).collect()
        };
        for ts in [500_000, 599_999, 600_000, 650_000, 720_000, 899_999] {
            let known = [700_000, 705_000, 890_500, 950_000];
            let cuts = known.map(|known_ms| cut(known_ms, ts));
            assert!(cuts.iter().all(|it| *it == cuts[0]), "{ts}: {cuts:?}");
        }
    }

    #[test]
    fn only_what_is_certain_is_spread() {
        let at = |ts| (ts, ts);
        // The window of a minute must begin after the spread does.
        check(700_000, at(599_999), false);
        check(700_000, at(600_000), true);
        check(700_000, (599_999, 600_000), false);
        check(700_000, (610_000, 700_000), true);
        // Windows that begin a second after what is known may be spread otherwise by now.
        check(700_000, at(709_999), true);
        check(700_000, at(710_000), false);
        // A revision that does not count yet changes nothing.
        check(590_900, at(600_000), false);
        // From the second revision's moment on everything goes home again.
        check(950_000, at(899_999), true);
        check(950_000, at(900_000), false);
        check(950_000, (899_999, 900_000), false);
        // It is known already, and does not count yet.
        check(890_500, at(899_000), true);
        check(890_500, at(891_500), true);
    }
}
