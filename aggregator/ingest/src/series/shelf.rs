//! What is remembered of the series of all organizations, and how much that may be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::rise::{Observed, Step};
use super::source::{Source, SourceId};
use crate::organization::Org;
use crate::refusal::Refusal;
use crate::settings::FirstPoint;
use crate::tally::Reason;

/// The share of all remembered series that one organization may have.
const SHARE: usize = 4;
/// What began so soon after the oldest message that is left may have been stored before that one.
const MARGIN: Duration = Duration::from_secs(60);
/// Organizations whose series are remembered at a time.
const ORGS_MAX: usize = 20_000;

/// Series of all organizations. What is remembered is also stored beside the points made from it
/// ([`super`]): it may be forgotten at any time, and is then read again.
pub struct Series {
    orgs: Mutex<HashMap<Org, Arc<OrgSeries>>>,
    remembered: AtomicUsize,
    max: usize,
    first: FirstPoint,
    /// When this process began, in nanoseconds since the epoch.
    began: u64,
}

#[derive(Default)]
struct OrgSeries {
    sources: Mutex<HashMap<SourceId, Arc<tokio::sync::Mutex<Source>>>>,
    remembered: AtomicUsize,
}

/// Sources of one organization that nobody else works with. What is remembered of them is counted
/// again when they are let go.
pub struct Locked<'a> {
    series: &'a Series,
    org: Arc<OrgSeries>,
    sources: Vec<LockedSource>,
}

pub struct LockedSource {
    pub id: SourceId,
    pub source: OwnedMutexGuard<Source>,
    counted: usize,
}

/// How many series may come, and what their first points count for.
pub struct Quota {
    free: usize,
    first: FirstPoint,
    /// Of a series that began later, in nanoseconds since the epoch, nothing was ever known that is
    /// not known now.
    since: u64,
}

impl Series {
    pub fn new(max: usize, first: FirstPoint, began: u64) -> Self {
        Self {
            orgs: Mutex::default(),
            remembered: AtomicUsize::new(0),
            max,
            first,
            began,
        }
    }

    /// How many series are remembered, by their weight.
    pub fn len(&self) -> usize {
        self.remembered.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for these sources of an organization, in an order in which nobody waits for ever.
    pub async fn lock(
        &self,
        org: &Org,
        mut ids: Vec<SourceId>,
        within: Duration,
    ) -> Result<Locked<'_>, Refusal> {
        ids.sort_unstable();
        ids.dedup();
        let mut locked = Locked {
            series: self,
            org: self.of(org)?,
            sources: Vec::with_capacity(ids.len()),
        };
        let all = async {
            for id in ids {
                // Of a source that there is no room for, no series are taken.
                let Some(shared) = locked.org.of(id, self.share()) else {
                    continue;
                };
                let source = shared.lock_owned().await;
                let counted = source.weight();
                locked.sources.push(LockedSource {
                    id,
                    source,
                    counted,
                });
            }
            Ok(())
        };
        let waited = tokio::time::timeout(within, all).await;
        waited.unwrap_or(Err(Refusal::Overloaded))?;
        Ok(locked)
    }

    fn of(&self, org: &Org) -> Result<Arc<OrgSeries>, Refusal> {
        let mut orgs = self.orgs.lock();
        if let Some(found) = orgs.get(org) {
            return Ok(found.clone());
        }
        if orgs.len() >= ORGS_MAX {
            return Err(Refusal::Overloaded);
        }
        Ok(orgs.entry(org.clone()).or_default().clone())
    }

    fn share(&self) -> usize {
        self.max.div_ceil(SHARE)
    }

    /// For points that need none.
    pub fn no_quota(&self) -> Quota {
        self.quota(0, UNIX_EPOCH)
    }

    /// `oldest` is the moment from which on nothing was removed of what is stored.
    fn quota(&self, free: usize, oldest: SystemTime) -> Quota {
        let oldest = oldest.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = match oldest {
            Duration::ZERO => 0,
            oldest => u64::try_from((oldest + MARGIN).as_nanos()).unwrap_or(u64::MAX),
        };
        Quota {
            free,
            first: self.first,
            since: self.began.max(since),
        }
    }

    /// Forgets idle series and sources without any, and tells which sources are due to be stored
    /// again.
    pub fn sweep(&self, now: Instant) -> Vec<(Org, SourceId)> {
        let mut due = Vec::new();
        let orgs: Vec<_> = {
            let orgs = self.orgs.lock();
            orgs.iter()
                .map(|(org, series)| (org.clone(), series.clone()))
                .collect()
        };
        for (org, series) in orgs {
            let ids = series.sweep(self, now);
            due.extend(ids.into_iter().map(|id| (org.clone(), id)));
        }
        // One that was handed out must stay the one that all see.
        self.orgs
            .lock()
            .retain(|_, series| Arc::strong_count(series) > 1 || !series.sources.lock().is_empty());
        due
    }
}

impl OrgSeries {
    fn of(&self, id: SourceId, most: usize) -> Option<Arc<tokio::sync::Mutex<Source>>> {
        let mut sources = self.sources.lock();
        let has_room = sources.len() < most || sources.contains_key(&id);
        has_room.then(|| sources.entry(id).or_default().clone())
    }

    fn sweep(&self, series: &Series, now: Instant) -> Vec<SourceId> {
        let mut due = Vec::new();
        self.sources.lock().retain(|id, shared| {
            // Whoever holds it is at work: next time.
            let Ok(mut source) = shared.try_lock() else {
                return true;
            };
            let before = source.weight();
            source.forget_idle(now);
            series.recount(self, before, source.weight());
            if source.is_due(now) {
                due.push(*id);
            }
            Arc::strong_count(shared) > 1 || !source.is_empty()
        });
        due
    }
}

impl Series {
    fn recount(&self, org: &OrgSeries, before: usize, after: usize) {
        for counter in [&self.remembered, &org.remembered] {
            counter.fetch_add(after.saturating_sub(before), Relaxed);
            counter.fetch_sub(before.saturating_sub(after), Relaxed);
        }
    }
}

impl Locked<'_> {
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        let sources = self.sources.iter();
        sources.map(|locked| (locked.id, &*locked.source))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SourceId, &mut Source)> {
        let sources = self.sources.iter_mut();
        sources.map(|locked| (locked.id, &mut *locked.source))
    }

    pub fn get_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        let found = self.sources.binary_search_by_key(&id, |locked| locked.id);
        Some(&mut self.sources[found.ok()?].source)
    }

    /// An answer did not come: see [`Source::doubt`].
    pub fn doubt(&mut self) {
        self.iter_mut().for_each(|(_, source)| source.doubt());
    }

    /// What is stored is something else: see [`Source::outdate`].
    pub fn outdate(&mut self) {
        self.iter_mut().for_each(|(_, source)| source.outdate());
    }

    /// What is left beside what is remembered now. `oldest` is the moment from which on nothing was
    /// removed of what is stored: the first of all if nothing ever was.
    pub fn quota(&self, oldest: SystemTime) -> Quota {
        let own = self.org.remembered.load(Relaxed);
        let free = self.series.max.saturating_sub(self.series.len());
        let series = self.series;
        series.quota(series.share().saturating_sub(own).min(free), oldest)
    }

    /// Counts what came since, so that others see it.
    pub fn recount(&mut self) {
        for locked in &mut self.sources {
            let now = locked.source.weight();
            self.series.recount(&self.org, locked.counted, now);
            locked.counted = now;
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.recount();
    }
}

impl Quota {
    /// Of so many series, whose first points only say where they stand.
    #[cfg(test)]
    pub fn of(free: usize) -> Self {
        Series::new(0, FirstPoint::Drop, 0).quota(free, UNIX_EPOCH)
    }

    /// Takes its part for something of this weight.
    pub fn take(&mut self, weight: usize) -> Result<(), Reason> {
        let left = self.free.checked_sub(weight);
        self.free = left.ok_or(Reason::TooManySeries)?;
        Ok(())
    }

    pub fn first(&self, now: &Observed) -> Step {
        let began_here = now.start >= self.since && now.start < now.time;
        match self.first {
            FirstPoint::Keep => Step::Rise(now.total.clone()),
            FirstPoint::Auto if began_here => Step::Rise(now.total.clone()),
            FirstPoint::Auto | FirstPoint::Drop => Step::First,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::rise::Total;
    use crate::series::source::IDLE_MAX;

    const BEGAN: u64 = 1_000;
    const SOON: Duration = Duration::from_millis(20);

    fn point(start: u64, time: u64) -> Observed {
        Observed {
            start,
            time,
            total: Total::Int(5),
        }
    }

    #[test]
    fn first_points() {
        let check = |first, start, time, counted: bool| {
            let quota = Series::new(8, first, BEGAN).no_quota();
            let expected = if counted {
                Step::Rise(Total::Int(5))
            } else {
                Step::First
            };
            assert_eq!(quota.first(&point(start, time)), expected, "{first:?}");
        };
        check(FirstPoint::Auto, 1_000, 1_001, true);
        check(FirstPoint::Auto, 999, 1_001, false);
        check(FirstPoint::Auto, 0, 1_001, false);
        check(FirstPoint::Auto, 1_001, 1_001, false);
        check(FirstPoint::Keep, 0, 1_001, true);
        check(FirstPoint::Drop, 1_000, 1_001, false);
    }

    #[test]
    fn what_may_have_been_known_does_not_count_as_new() {
        let series = Series::new(8, FirstPoint::Auto, BEGAN);
        let oldest_s = 3_600;
        let oldest = UNIX_EPOCH + Duration::from_secs(oldest_s);
        for (start_s, oldest, counted) in [
            (oldest_s, UNIX_EPOCH, true),
            (oldest_s + 59, oldest, false),
            (oldest_s + 60, oldest, true),
        ] {
            let start = start_s * 1_000_000_000;
            let step = series.quota(1, oldest).first(&point(start, start + 1));
            assert_eq!(step != Step::First, counted, "{start_s} {oldest:?}");
        }
    }

    fn remember(locked: &mut Locked<'_>, id: SourceId, keys: std::ops::Range<u128>) {
        let source = locked.get_mut(id).unwrap();
        let points = keys.map(|key| (key, point(0, 1))).collect();
        let plan = source.plan(points, Instant::now());
        source.commit(plan, 1);
    }

    #[tokio::test]
    async fn series_are_counted_shared_and_forgotten() {
        let series = Series::new(16, FirstPoint::Keep, BEGAN);
        let (acme, globex) = (Org::parse("acme").unwrap(), Org::parse("globex").unwrap());
        let mut locked = series.lock(&acme, vec![2, 1, 2], SOON).await.unwrap();
        remember(&mut locked, 1, 0..2);
        remember(&mut locked, 2, 2..3);
        drop(locked);
        assert_eq!(series.len(), 3);
        let free = async |org| {
            series
                .lock(org, vec![1], SOON)
                .await
                .unwrap()
                .quota(UNIX_EPOCH)
                .free
        };
        // A quarter of all is what an organization may have.
        assert_eq!((free(&acme).await, free(&globex).await), (1, 4));
        let five = series.lock(&acme, vec![1, 2, 3, 4, 5], SOON).await;
        let ids: Vec<_> = five.unwrap().iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert!(series.sweep(Instant::now()).is_empty());
        assert_eq!(series.len(), 3);
        assert!(series.sweep(Instant::now() + IDLE_MAX).is_empty());
        assert!(series.is_empty() && series.orgs.lock().is_empty());
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told() {
        let series = Series::new(16, FirstPoint::Keep, BEGAN);
        let acme = Org::parse("acme").unwrap();
        let held = series.lock(&acme, vec![1], SOON).await.unwrap();
        let other = series.lock(&acme, vec![2], SOON).await;
        assert!(other.is_ok(), "another source");
        let same = series.lock(&acme, vec![1, 2], SOON).await;
        assert_eq!(same.err(), Some(Refusal::Overloaded));
        drop(held);
        assert!(series.lock(&acme, vec![1], SOON).await.is_ok());
    }
}
