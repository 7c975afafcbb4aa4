//! Where most rules take most series: of every rule a column of groups, one a series.
//!
//! A message is aggregated rule by rule. The groups of one rule and what they add up to are few
//! enough to stay in the cache, and a point costs a look into the column and one at its group.

use super::index::{Full, Index};
use super::memory::{agree, group_hash, Memory, Room};
use super::recall::Recall;
use super::SETS_MAX;
use crate::{Extreme, Front, Kind, Spec, NONE};
use alloc::vec::Vec;
use ratchet_api::{Record, Records};
use ratchet_codec::payload::Strings;

/// More rules than this would have no room for their columns: the general way takes all messages.
const RULES_MAX: usize = 400;
/// Series that there is room for, by how many rules there are: up to six megabytes of columns and
/// their indexes.
const SERIES: [(usize, usize); 3] = [(100, 10_900), (200, 5_400), (RULES_MAX, 2_700)];
/// Stands for the group of a series that a rule does not take.
const NO_GROUP: u16 = u16::MAX;

/// Aggregates messages of any windows. As with `Known`, contents are compared, what was remembered
/// does not tell, and what does not fit makes all be forgotten.
pub struct Grid {
    /// None where the rules are too many.
    recall: Option<Recall<Columns>>,
    // From here on: of this message.
    /// Per tag-set: its points, and then the number of its series.
    series: Vec<u32>,
    /// Points of a metric, those of a window together.
    points: Vec<Point>,
    /// Windows, and where their points end.
    windows: Vec<(u32, usize)>,
    /// Windows of points, and their places in the message.
    order: Vec<(u32, u32)>,
    sheet: Sheet,
}

/// A point of a metric.
#[derive(Clone, Copy)]
struct Point {
    series: u32,
    set: u32,
    value: f64,
}

impl Grid {
    pub fn new(spec: &'static Spec) -> Self {
        let rules = spec.rules.len();
        let fits = SERIES.iter().find(|(most, _)| rules <= *most);
        Self::within(spec, Room::of(fits.map_or(0, |(_, series)| *series)))
    }

    pub(super) fn within(spec: &'static Spec, room: Room) -> Self {
        let few = spec.rules.len() <= RULES_MAX;
        Grid {
            recall: few.then(|| Recall::new(spec, room, Columns::new(spec, room))),
            series: Vec::new(),
            points: Vec::new(),
            windows: Vec::new(),
            order: Vec::new(),
            sheet: Sheet::default(),
        }
    }

    /// Writes the records of a message and says so; or writes nothing, because the message is too
    /// large, whatever came before it. Its first point is at `min`; where it lies within one window
    /// of every rule, and only there, its times need not be decoded.
    #[inline]
    pub fn run(
        &mut self,
        front: &Front,
        strings: &Strings<'_>,
        (min, single): (i64, bool),
        out: &mut Records,
    ) -> bool {
        let Some(recall) = &mut self.recall else {
            return false;
        };
        if front.metric.len() > SETS_MAX {
            return false;
        }
        let series = &mut self.series;
        series.clear();
        series.resize(front.metric.len(), 0);
        for &set in &front.set {
            series[set as usize] += 1;
        }
        if !recall.run(front, strings, |set| series[set] > 0) {
            return false;
        }
        series.fill(NONE);
        for met in &recall.met {
            series[met.set as usize] = met.head.0;
        }
        let spec = recall.rules.spec;
        for metric in 0..spec.metric_rules.len() as u32 {
            if single {
                self.take_all(front, metric);
                self.aggregate(metric, None, out);
                continue;
            }
            for (window, &size) in (0..).zip(spec.windows) {
                self.take_by_window(front, metric, (min, size.into()));
                self.aggregate(metric, Some(window), out);
            }
        }
        true
    }

    /// Takes the points of a metric, all in one window.
    #[inline(always)]
    fn take_all(&mut self, front: &Front, metric: u32) {
        let of_metric = |&(set, _): &(&u32, &f64)| front.metric[*set as usize] == metric;
        let values = front.set.iter().zip(&front.value).filter(of_metric);
        let points = values.map(|(&set, &value)| Point {
            series: self.series[set as usize],
            set,
            value,
        });
        self.points.clear();
        self.points.extend(points);
        self.windows.clear();
        self.windows.push((0, self.points.len()));
    }

    /// The same, sorted into windows of a size, counted from that of `min`.
    #[inline(never)]
    fn take_by_window(&mut self, front: &Front, metric: u32, (min, size): (i64, i64)) {
        self.order.clear();
        for (at, (&set, &time)) in (0..).zip(front.set.iter().zip(&front.time)) {
            if front.metric[set as usize] == metric {
                let window = time / size - min / size;
                self.order.push((window as u32, at));
            }
        }
        self.order.sort_unstable();
        self.points.clear();
        self.windows.clear();
        for of in self.order.chunk_by(|a, b| a.0 == b.0) {
            let points = of.iter().map(|&(_, at)| {
                let set = front.set[at as usize];
                Point {
                    series: self.series[set as usize],
                    set,
                    value: front.value[at as usize],
                }
            });
            self.points.extend(points);
            self.windows.push((of[0].0, self.points.len()));
        }
    }

    /// The records of a metric's rules, or of those with windows of one size.
    #[inline(never)]
    fn aggregate(&mut self, metric: u32, window: Option<u32>, out: &mut Records) {
        let Some(Recall { rules, memory, .. }) = &self.recall else {
            return;
        };
        if self.points.is_empty() {
            return;
        }
        for &rule in rules.spec.metric_rules[metric as usize] {
            let own = rules.spec.rules[rule as usize].window;
            if window.is_some_and(|window| window != own) {
                continue;
            }
            let groups = &memory.columns[rule as usize].groups[..];
            let mut from = 0;
            for &(window, to) in &self.windows {
                let (of, points, sheet) = ((rule, window), &self.points[from..to], &mut self.sheet);
                match rules.kinds[rule as usize] {
                    Kind::Sum | Kind::Avg => sheet.run::<Sum>(of, groups, points, out),
                    Kind::Max => sheet.run::<Greatest>(of, groups, points, out),
                    Kind::Min => sheet.run::<Least>(of, groups, points, out),
                    Kind::Count => sheet.run::<Count>(of, groups, points, out),
                }
                from = to;
            }
        }
    }
}

/// What the values of a group become, as the bits of a float.
trait Fold {
    /// Of no values.
    const NOTHING: u64;

    fn with(bits: u64, value: f64) -> u64;

    /// What a record says.
    #[inline(always)]
    fn finish(bits: u64, _: u32) -> u64 {
        bits
    }
}

struct Sum;
struct Greatest;
struct Least;
struct Count;

impl Fold for Sum {
    const NOTHING: u64 = (-0.0f64).to_bits();

    #[inline(always)]
    fn with(bits: u64, value: f64) -> u64 {
        (f64::from_bits(bits) + value).to_bits()
    }
}

impl Fold for Greatest {
    const NOTHING: u64 = i64::LEAST as u64;

    #[inline(always)]
    fn with(bits: u64, value: f64) -> u64 {
        (bits as i64).greater(i64::above(value)) as u64
    }

    #[inline(always)]
    fn finish(bits: u64, _: u32) -> u64 {
        (bits as i64).greatest().to_bits()
    }
}

impl Fold for Least {
    const NOTHING: u64 = i64::MOST as u64;

    #[inline(always)]
    fn with(bits: u64, value: f64) -> u64 {
        (bits as i64).smaller(i64::below(value)) as u64
    }

    #[inline(always)]
    fn finish(bits: u64, _: u32) -> u64 {
        (bits as i64).least().to_bits()
    }
}

impl Fold for Count {
    const NOTHING: u64 = 0;

    #[inline(always)]
    fn with(bits: u64, _: f64) -> u64 {
        bits
    }

    #[inline(always)]
    fn finish(_: u64, count: u32) -> u64 {
        f64::from(count).to_bits()
    }
}

/// The groups of one rule at a time.
#[derive(Default)]
struct Sheet {
    /// By group: `base`, and its place among those that were met.
    places: Vec<u32>,
    /// Rises by what the rule before had met, so that whatever it left lies below.
    base: u32,
    met: Vec<Met>,
}

#[derive(Clone, Copy, Default)]
struct Met {
    bits: u64,
    count: u32,
    set: u32,
}

impl Sheet {
    /// Writes the records of a rule and window.
    #[inline(never)]
    fn run<F: Fold>(
        &mut self,
        (rule, window): (u32, u32),
        groups: &[u16],
        points: &[Point],
        out: &mut Records,
    ) {
        self.begin(groups.len(), points.len());
        let (places, base) = (&mut self.places[..groups.len()], self.base);
        // One more than is filled: it is written before it is known whether it counts.
        let (met, mut count) = (&mut self.met[..points.len() + 1], 0);
        let mut meet = |point: &Point| {
            // None where the rule takes no series from here on, or not this one.
            let group = groups.get(point.series as usize).copied();
            let group = usize::from(group.unwrap_or(NO_GROUP));
            let Some(place) = places.get_mut(group) else {
                return;
            };
            // No branch on whether a group was met before: nobody could guess it.
            let at = place.wrapping_sub(base);
            let new = at >= count;
            let at = at.min(count);
            *place = base + at;
            let Some(cell) = met.get_mut(at as usize) else {
                return;
            };
            let old = u64::from(new).wrapping_sub(1);
            *cell = Met {
                bits: F::with(cell.bits & old | F::NOTHING & !old, point.value),
                count: (cell.count & old as u32) + 1,
                set: cell.set & old as u32 | point.set & !old as u32,
            };
            count += u32::from(new);
        };
        // A guest checks its deadline once an iteration.
        let (fours, rest) = points.as_chunks::<4>();
        for four in fours {
            four.iter().for_each(&mut meet);
        }
        rest.iter().for_each(&mut meet);
        self.base += count;
        let record = |&Met { bits, count, set }: &Met| Record {
            rule,
            set,
            window,
            count,
            value: f64::from_bits(F::finish(bits, count)),
        };
        out.extend(self.met[..count as usize].iter().map(record));
    }

    /// Room for so many groups and points.
    #[inline(always)]
    fn begin(&mut self, groups: usize, points: usize) {
        if self.base == 0 || self.base > u32::MAX / 2 {
            self.places.fill(0);
            self.base = 1;
        }
        if self.places.len() < groups {
            self.places.resize(groups, 0);
        }
        if self.met.len() <= points {
            self.met.resize(points + 1, Met::default());
        }
    }
}

/// Rule by rule, the groups of all series; the head of a series is its number.
struct Columns {
    columns: Vec<Column>,
    /// By series.
    rows: Vec<u32>,
    series: usize,
}

#[derive(Default)]
struct Column {
    /// By series, up to the last that the rule takes: the first series of its group, which the
    /// group goes by.
    groups: Vec<u16>,
    /// Made with the first series.
    index: Option<Index<u16>>,
}

impl Columns {
    fn new(spec: &Spec, room: Room) -> Self {
        Columns {
            columns: spec.rules.iter().map(|_| Column::default()).collect(),
            rows: Vec::with_capacity(room.series),
            series: room.series.min(NO_GROUP.into()),
        }
    }
}

impl Memory for Columns {
    fn clear(&mut self) {
        for Column { groups, index } in &mut self.columns {
            groups.clear();
            index.iter_mut().for_each(Index::clear);
        }
        self.rows.clear();
    }

    fn learn<'a>(
        &mut self,
        rows: &[u32],
        row: u32,
        series: u32,
        taken: impl Iterator<Item = (u32, &'a [u32])>,
    ) -> Result<(u32, u32), Full> {
        if series as usize >= self.series {
            return Err(Full);
        }
        self.rows.push(row);
        for (rule, keys) in taken {
            let Column { groups, index } = &mut self.columns[rule as usize];
            let index = index.get_or_insert_with(|| {
                groups.reserve_exact(self.series);
                Index::new(self.series)
            });
            let hash = group_hash(rows, rule, keys, row);
            let same = |other: u32| agree(rows, keys, self.rows[other as usize], row);
            let group = match index.find(hash, same) {
                Ok(group) => group,
                Err(place) => {
                    index.put(place, hash, series)?;
                    series
                }
            };
            groups.resize(series as usize, NO_GROUP);
            groups.push(group as u16);
        }
        Ok((series, 0))
    }
}
