//! Cumulative series become differences: what a rule sums in a window is what was counted there.
//!
//! A cumulative point is the total since the series began. The gateway remembers the newest total
//! of each series and passes on by how much it rose, as the processor `cumulativetodelta` of the
//! OpenTelemetry collector does. What it remembers changes only once the messages made from it are
//! stored: a request that failed and comes again gives the same differences again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::buckets::Buckets;
use crate::budget::Reservation;
use crate::organization::Org;
use crate::refusal::Refusal;
use crate::settings::FirstPoint;
use crate::spread::Placed;
use crate::tally::Reason;

/// A series that sent nothing for so long is forgotten.
const IDLE_MAX: Duration = Duration::from_secs(3600);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The share of all remembered series that one organization may have.
const SHARE: usize = 4;
/// Organizations whose series are remembered at a time.
const ORGS_MAX: usize = 20_000;

/// A hash of a series' metric and tags.
pub type Key = u128;
pub type Known = HashMap<Key, Entry>;

/// A total since a series began, or by how much it rose.
#[derive(Clone, Debug, PartialEq)]
pub enum Total {
    Int(i64),
    Float(f64),
    Histogram {
        buckets: Box<Buckets<u64>>,
        sum: Option<f64>,
    },
}

/// A cumulative point; times in nanoseconds since the epoch, a start of 0 being unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub start: u64,
    pub time: u64,
    pub total: Total,
}

/// The newest point of a series.
#[derive(Debug)]
pub struct Entry {
    point: Observed,
    seen: Instant,
}

/// What a cumulative point comes to.
#[derive(Debug, PartialEq)]
pub enum Step {
    Rise(Total),
    First,
    Repeated,
}

/// Series of all organizations.
pub struct Series {
    orgs: Mutex<HashMap<Org, Arc<tokio::sync::Mutex<OrgSeries>>>>,
    remembered: AtomicUsize,
    max: usize,
    first: FirstPoint,
    /// When this process began, in nanoseconds since the epoch.
    began: u64,
}

/// Series of one organization. It is locked from reading what is known until the messages are
/// stored, so requests with cumulative points take turns within an organization.
#[derive(Default)]
pub struct OrgSeries {
    pub known: Known,
    pub doubt: Option<Doubt>,
}

/// Messages of which nobody knows whether all are stored, because an answer did not come. They are
/// sent again before anything else is, under the names they had: stored twice they count once.
pub struct Doubt {
    pub messages: Vec<Placed>,
    pub updates: Known,
    pub reservation: Reservation,
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

    /// How many series are remembered.
    pub fn len(&self) -> usize {
        self.remembered.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The series of an organization, to be locked.
    pub fn of(&self, org: &Org) -> Result<Arc<tokio::sync::Mutex<OrgSeries>>, Refusal> {
        let mut orgs = self.orgs.lock();
        if let Some(found) = orgs.get(org) {
            return Ok(found.clone());
        }
        if orgs.len() >= ORGS_MAX {
            return Err(Refusal::Overloaded);
        }
        Ok(orgs.entry(org.clone()).or_default().clone())
    }

    /// Remembers what was staged, once its messages are stored.
    pub fn commit(&self, org: &mut OrgSeries, updates: Known) {
        let before = org.known.len();
        org.known.extend(updates);
        self.remembered.fetch_add(org.known.len() - before, Relaxed);
    }

    /// Forgets idle series, for ever.
    pub async fn sweep_for_ever(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.sweep(Instant::now());
        }
    }

    fn sweep(&self, now: Instant) {
        self.orgs.lock().retain(|_, org| {
            // Whoever holds it is at work: next time.
            let Ok(mut series) = org.try_lock() else {
                return true;
            };
            let before = series.known.len();
            let fresh = |entry: &mut Entry| now.duration_since(entry.seen) < IDLE_MAX;
            series.known.retain(|_, entry| fresh(entry));
            self.remembered
                .fetch_sub(before - series.known.len(), Relaxed);
            // One that was handed out and not locked yet must stay the one that all see.
            let shared = Arc::strong_count(org) > 1;
            shared || !series.known.is_empty() || series.doubt.is_some()
        });
    }
}

/// Points of one request, seen on top of what is known.
pub struct Staged<'a> {
    series: &'a Series,
    known: &'a Known,
    updates: Known,
    added: usize,
    now: Instant,
}

impl<'a> Staged<'a> {
    pub fn new(series: &'a Series, known: &'a Known) -> Self {
        Self {
            series,
            known,
            updates: Known::new(),
            added: 0,
            now: Instant::now(),
        }
    }

    /// By how much a series rose.
    pub fn step(&mut self, key: Key, now: Observed) -> Result<Step, Reason> {
        let previous = self.updates.get(&key).or_else(|| self.known.get(&key));
        let step = match previous {
            Some(entry) => rise(&entry.point, &now),
            None => {
                self.check_room()?;
                self.added += 1;
                self.first(&now)
            }
        };
        if step != Step::Repeated {
            let entry = Entry {
                point: now,
                seen: self.now,
            };
            self.updates.insert(key, entry);
        }
        Ok(step)
    }

    /// What to remember once the messages are stored.
    pub fn into_updates(self) -> Known {
        self.updates
    }

    fn check_room(&self) -> Result<(), Reason> {
        let own = self.known.len() + self.added;
        let all = self.series.len() + self.added;
        if own >= self.series.max.div_ceil(SHARE) || all >= self.series.max {
            return Err(Reason::TooManySeries);
        }
        Ok(())
    }

    fn first(&self, now: &Observed) -> Step {
        let began_here = now.start >= self.series.began && now.start < now.time;
        match self.series.first {
            FirstPoint::Keep => Step::Rise(now.total.clone()),
            FirstPoint::Auto if began_here => Step::Rise(now.total.clone()),
            FirstPoint::Auto | FirstPoint::Drop => Step::First,
        }
    }
}

/// From one point to a later one. A series that began anew, as its start or a lower total tells,
/// rose by all of its total.
fn rise(before: &Observed, now: &Observed) -> Step {
    if now.time <= before.time {
        return Step::Repeated;
    }
    if now.start != before.start && now.start >= before.time {
        return Step::Rise(now.total.clone());
    }
    match (&before.total, &now.total) {
        (Total::Int(a), Total::Int(b)) if a <= b => match b.checked_sub(*a) {
            Some(more) => Step::Rise(Total::Int(more)),
            None => Step::Rise(Total::Float(*b as f64 - *a as f64)),
        },
        (Total::Histogram { buckets: a, sum: s }, Total::Histogram { buckets: b, sum: t }) => {
            histogram(a, b, *s, *t)
        }
        (Total::Histogram { .. }, _) | (_, Total::Histogram { .. }) => Step::First,
        (a, b) => {
            let (from, to) = (a.as_float(), b.as_float());
            Step::Rise(if to < from {
                now.total.clone()
            } else {
                Total::Float(to - from)
            })
        }
    }
}

fn histogram(a: &Buckets<u64>, b: &Buckets<u64>, s: Option<f64>, t: Option<f64>) -> Step {
    // Other bounds without a new start: what was counted before cannot be told apart.
    if a.bounds != b.bounds {
        return Step::First;
    }
    let pairs = a.counts.iter().zip(&b.counts);
    let counts: Option<Vec<u64>> = pairs.map(|(a, b)| b.checked_sub(*a)).collect();
    Step::Rise(match counts {
        Some(counts) => Total::Histogram {
            buckets: Box::new(Buckets {
                bounds: b.bounds.clone(),
                counts,
            }),
            sum: s.zip(t).map(|(s, t)| t - s),
        },
        None => Total::Histogram {
            buckets: Box::new(b.clone()),
            sum: t,
        },
    })
}

impl Total {
    /// The number; a histogram's is that of its values.
    pub fn as_float(&self) -> f64 {
        match self {
            Self::Int(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Histogram { buckets, .. } => {
                buckets.counts.last().copied().unwrap_or_default() as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: u64 = 1_000;

    fn series(first: FirstPoint) -> Series {
        Series::new(8, first, BEGAN)
    }

    fn at(start: u64, time: u64, total: Total) -> Observed {
        Observed { start, time, total }
    }

    #[test]
    fn first_points() {
        let check = |first, start, time, counted: bool| {
            let (series, known) = (series(first), Known::new());
            let step = Staged::new(&series, &known).step(1, at(start, time, Total::Int(5)));
            let expected = if counted {
                Step::Rise(Total::Int(5))
            } else {
                Step::First
            };
            assert_eq!(step, Ok(expected), "{first:?} {start} {time}");
        };
        check(FirstPoint::Auto, 1_000, 1_001, true);
        check(FirstPoint::Auto, 999, 1_001, false);
        check(FirstPoint::Auto, 0, 1_001, false);
        check(FirstPoint::Auto, 1_001, 1_001, false);
        check(FirstPoint::Keep, 0, 1_001, true);
        check(FirstPoint::Drop, 1_000, 1_001, false);
    }

    #[test]
    fn rises_resets_and_repetitions() {
        use Total::{Float, Int};
        let check = |before: (u64, u64, Total), now: (u64, u64, Total), expected: Step| {
            let (before, now) = (at(before.0, before.1, before.2), at(now.0, now.1, now.2));
            assert_eq!(rise(&before, &now), expected, "{before:?} {now:?}");
        };
        check((1, 10, Int(5)), (1, 20, Int(7)), Step::Rise(Int(2)));
        check((1, 10, Int(5)), (1, 20, Int(5)), Step::Rise(Int(0)));
        check((1, 10, Int(5)), (1, 10, Int(9)), Step::Repeated);
        check((1, 10, Int(5)), (1, 9, Int(9)), Step::Repeated);
        check(
            (1, 10, Int(5)),
            (1, 20, Int(3)),
            Step::Rise(Float(3.0)).whole(),
        );
        check((1, 10, Int(5)), (15, 20, Int(9)), Step::Rise(Int(9)));
        check((1, 10, Int(5)), (2, 20, Int(9)), Step::Rise(Int(4)));
        check(
            (0, 10, Float(0.5)),
            (0, 20, Float(2.0)),
            Step::Rise(Float(1.5)),
        );
        check(
            (0, 10, Float(2.0)),
            (0, 20, Float(0.5)),
            Step::Rise(Float(0.5)),
        );
        check((0, 10, Int(2)), (0, 20, Float(2.5)), Step::Rise(Float(0.5)));
        let (low, high) = (i64::MIN, i64::MAX);
        let all = high as f64 - low as f64;
        check((0, 1, Int(low)), (0, 2, Int(high)), Step::Rise(Float(all)));
    }

    impl Step {
        /// A number that was passed on as it came.
        fn whole(self) -> Self {
            match self {
                Self::Rise(total) => Self::Rise(Total::Int(total.as_float() as i64)),
                other => other,
            }
        }
    }

    #[test]
    fn histograms_rise_bucket_by_bucket() {
        let total = |bounds: &[f64], counts: &[u64], sum| Total::Histogram {
            buckets: Box::new(Buckets {
                bounds: bounds.to_vec(),
                counts: counts.to_vec(),
            }),
            sum,
        };
        let check = |before: Total, now: Total, expected: Step| {
            assert_eq!(rise(&at(1, 1, before), &at(1, 2, now)), expected);
        };
        let before = || total(&[1.0], &[2, 3], Some(4.0));
        let now = total(&[1.0], &[2, 5], Some(9.0));
        check(before(), now, Step::Rise(total(&[1.0], &[0, 2], Some(5.0))));
        let fewer = || total(&[1.0], &[1, 4], Some(2.0));
        check(before(), fewer(), Step::Rise(fewer()));
        check(before(), total(&[2.0], &[2, 5], None), Step::First);
        let without = total(&[1.0], &[2, 5], None);
        check(before(), without, Step::Rise(total(&[1.0], &[0, 2], None)));
        check(before(), Total::Int(9), Step::First);
    }

    #[test]
    fn nothing_is_known_before_it_is_committed() {
        let series = series(FirstPoint::Drop);
        let mut org = OrgSeries::default();
        let step = |org: &OrgSeries, time, total| {
            let mut staged = Staged::new(&series, &org.known);
            let step = staged.step(1, at(0, time, Total::Int(total)));
            (step, staged.into_updates())
        };
        let (first, updates) = step(&org, 1, 5);
        assert_eq!(first, Ok(Step::First));
        series.commit(&mut org, updates);
        let (failed, _) = step(&org, 2, 8);
        let (again, updates) = step(&org, 2, 8);
        assert_eq!(failed, Ok(Step::Rise(Total::Int(3))));
        assert_eq!(again, failed);
        series.commit(&mut org, updates);
        assert_eq!(step(&org, 2, 8).0, Ok(Step::Repeated));
        assert_eq!(series.len(), 1);
    }

    #[test]
    fn series_are_limited_and_idle_ones_forgotten() {
        let series = series(FirstPoint::Keep);
        let name = Org::parse("acme").unwrap();
        let org = series.of(&name).unwrap();
        {
            let mut org = org.try_lock().unwrap();
            let mut staged = Staged::new(&series, &org.known);
            let total = || at(0, 1, Total::Int(1));
            assert!(staged.step(1, total()).is_ok() && staged.step(2, total()).is_ok());
            assert_eq!(staged.step(3, total()), Err(Reason::TooManySeries));
            let updates = staged.into_updates();
            series.commit(&mut org, updates);
        }
        drop(org);
        series.sweep(Instant::now());
        assert_eq!(series.len(), 2);
        series.sweep(Instant::now() + IDLE_MAX);
        assert!(series.is_empty() && series.orgs.lock().is_empty());
    }
}
