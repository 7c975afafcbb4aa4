//! Points of one request, seen on top of what is known of their series.

use std::collections::HashMap;

use super::record::bytes_of;
use super::rise::{rise, Observed, Step};
use super::shelf::Quota;
use super::source::{Source, SourceId, WEIGHT_BYTES};
use super::Key;
use crate::tally::Reason;

/// What one point may take of the record that it is stored in.
const POINT_BYTES_MAX: usize = 128 * 1024;

/// The newest points of a source.
pub type Updates = HashMap<Key, Observed>;

pub struct Staged<'a> {
    quota: Quota,
    sources: HashMap<SourceId, StagedSource<'a>>,
}

struct StagedSource<'a> {
    source: &'a Source,
    updates: Updates,
}

impl<'a> Staged<'a> {
    pub fn new(quota: Quota, sources: impl Iterator<Item = (SourceId, &'a Source)>) -> Self {
        let staged = |source| StagedSource {
            source,
            updates: Updates::new(),
        };
        let sources = sources.map(|(id, source)| (id, staged(source)));
        Self {
            quota,
            sources: sources.collect(),
        }
    }

    /// By how much a series rose.
    pub fn step(&mut self, source: SourceId, key: Key, now: Observed) -> Result<Step, Reason> {
        let staged = self.sources.get_mut(&source).ok_or(Reason::TooManySeries)?;
        if bytes_of(&now) > POINT_BYTES_MAX {
            return Err(Reason::BadHistogram);
        }
        let known = staged.updates.get(&key);
        let step = match known.or_else(|| staged.source.point(key)) {
            Some(before) => rise(before, &now),
            None => {
                self.quota.take(1 + bytes_of(&now) / WEIGHT_BYTES)?;
                self.quota.first(&now)
            }
        };
        if step != Step::Repeated {
            staged.updates.insert(key, now);
        }
        Ok(step)
    }

    /// What to remember once the messages are stored, of sources of which there is any.
    pub fn into_updates(self) -> impl Iterator<Item = (SourceId, Updates)> + use<'a> {
        let sources = self.sources.into_iter();
        let updated = sources.filter(|(_, staged)| !staged.updates.is_empty());
        updated.map(|(id, staged)| (id, staged.updates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::rise::Total;

    fn at(time: u64, total: i64) -> Observed {
        Observed {
            start: 0,
            time,
            total: Total::Int(total),
        }
    }

    #[test]
    fn nothing_is_known_before_it_is_committed() {
        let mut source = Source::default();
        let step = |source: &Source, time, total| {
            let mut staged = Staged::new(Quota::of(8), [(7, source)].into_iter());
            let step = staged.step(7, 1, at(time, total));
            (
                step,
                staged.into_updates().map(|(_, updates)| updates).next(),
            )
        };
        let (first, updates) = step(&source, 1, 5);
        assert_eq!(first, Ok(Step::First));
        let now = std::time::Instant::now();
        let plan = source.plan(updates.unwrap(), now);
        source.commit(plan, 1);
        let (failed, _) = step(&source, 2, 8);
        let (again, updates) = step(&source, 2, 8);
        assert_eq!(failed, Ok(Step::Rise(Total::Int(3))));
        assert_eq!(again, failed);
        let plan = source.plan(updates.unwrap(), now);
        source.commit(plan, 2);
        assert_eq!(step(&source, 2, 8), (Ok(Step::Repeated), None));
    }

    #[test]
    fn series_are_limited() {
        let source = Source::default();
        let mut staged = Staged::new(Quota::of(2), [(7, &source)].into_iter());
        for (key, expected) in [
            (1, Ok(Step::First)),
            (2, Ok(Step::First)),
            (3, Err(Reason::TooManySeries)),
            (1, Ok(Step::Repeated)),
        ] {
            assert_eq!(staged.step(7, key, at(1, 1)), expected, "{key}");
        }
    }
}
