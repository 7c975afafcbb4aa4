//! The loops that fold the records of one message.
//!
//! First the accumulators of all records are found and stamped, then they are changed: a message of
//! which a record is refused has changed nothing. What the second step needs is near by then,
//! however far it lay, for the first one waits for nothing else.
//!
//! Modules write the records of a rule and window one after the other, or those of a tag-set. A run
//! of the former kind goes through loops of its own, for its rule; other records through loops for
//! all rules. They go as far as groups and windows are known.

use ratchet_sandbox::Record;

use super::cell::{Cell, Join};
use super::change::{Found, Stretch};
use super::positions::Positions;
use super::route::Route;
use super::series::{Series, UNRESOLVED};
use super::window::Window;

/// So many records of a rule and window in a row are worth loops of their own.
const RUN: usize = 4;

/// Among records of any rules, so many lie between two looks for a run.
const LOOK: usize = 8;

/// So many groups are found, at most, before the first accumulator is stamped.
const AHEAD_MAX: usize = 128;

/// What a record's rule leads to.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub metric: u32,
    /// Of the memo: a column in the rows of the metric's series. Where no rule groups by keys, the
    /// single slot of the rule: neither series nor metric matter then.
    pub column: u32,
    pub length: u32,
    pub join: Join,
}

/// What the records of a configuration lead to.
#[derive(Clone, Copy)]
pub struct Ways<'a> {
    /// By rule.
    pub all: &'a [Way],
    /// Whether any rule groups by keys.
    pub is_grouped: bool,
}

/// What is kept of one message while it is merged.
#[derive(Default)]
pub struct Work {
    pub positions: Positions,
    /// By length: which window the first point of the message is in.
    pub firsts: Vec<i64>,
    /// How many tag-sets there are.
    sets: u32,
    /// By tag-set; none where series are not told apart.
    pub series: Vec<Series>,
    /// By record.
    found: Vec<Found>,
    stretches: Vec<Stretch>,
    /// So many records are looked up at once: more as long as all is known of them.
    ahead: usize,
    stamp: u32,
}

impl Work {
    /// Prepares for a message.
    pub fn begin(&mut self, lengths: usize) {
        self.positions.clear(lengths);
    }

    /// Prepares for finding accumulators; `stamp` is one that none of them has.
    pub fn begin_to_find(&mut self, ways: Ways<'_>, (sets, records): (u32, usize), stamp: u32) {
        let series = if ways.is_grouped { sets } else { 0 };
        self.series.clear();
        self.series.resize(series as usize, UNRESOLVED);
        let room = self.found.len().max(records);
        self.found.resize(room, Found::NOTHING);
        self.stretches.clear();
        (self.sets, self.ahead, self.stamp) = (sets, AHEAD_MAX, stamp);
    }

    /// Finds the accumulators of records as long as all is known that they lead to; `done` records
    /// were looked at before. Answers how many are now.
    pub fn find(
        &mut self,
        ways: Ways<'_>,
        memo: &[u32],
        windows: &mut [Window],
        (mut done, records): (usize, &[Record]),
    ) -> usize {
        while let Some(first) = records.get(done) {
            let Some((way, position)) = self.way_of(ways.all, first) else {
                break;
            };
            let Some(window) = windows.get_mut(position as usize) else {
                break;
            };
            let rest = &records[done..];
            let near = &rest[..rest.len().min(self.ahead)];
            let (series, found) = (&self.series[..], &mut self.found[done..]);
            let all = (ways.all, way.length);
            let (looked, count, join) = if !ways.is_grouped {
                let count = find_solos(all, (self.sets, memo), near, found);
                (near.len(), count, None)
            } else if begins_run(near) {
                let run = run_of(near);
                let count = find_run(way, (series, memo), run, found);
                (run.len(), count, Some(way.join))
            } else {
                let singles = singles_of(near);
                let count = find_singles(all, (series, memo), singles, found);
                (singles.len(), count, None)
            };
            let count = claim(&mut window.cells, self.stamp, &found[..count]);
            self.look_ahead(looked, count);
            if count == 0 {
                break;
            }
            self.stretches.push(Stretch {
                position,
                from: done,
                until: done + count,
                join,
            });
            done += count;
        }
        done
    }

    /// Adapts to how many of the records that were looked at were good for something.
    #[inline(always)]
    fn look_ahead(&mut self, looked: usize, count: usize) {
        let good = if count == looked { self.ahead } else { count };
        self.ahead = (2 * good).clamp(1, AHEAD_MAX);
    }

    /// What a record's rule leads to, and where its window is, unless that is not known.
    #[inline(always)]
    fn way_of<'a>(&self, ways: &'a [Way], record: &Record) -> Option<(&'a Way, u32)> {
        let way = ways.get(record.rule as usize)?;
        let position = self.positions.get(way.length, record.window)?;
        Some((way, position))
    }

    /// Finds the accumulator of one record; false when another one of the message has it.
    pub fn find_one(
        &mut self,
        at: usize,
        (position, group, join): (u32, u32, Join),
        cells: &mut [Cell],
    ) -> bool {
        self.found[at] = Found { group, join };
        self.stretches.push(Stretch {
            position,
            from: at,
            until: at + 1,
            join: None,
        });
        claim(cells, self.stamp, &self.found[at..=at]) == 1
    }

    /// The way that all records went, if that was to the first windows of the message.
    pub fn route(&self, binding: u32, windows: &[Window], records: &[Record]) -> Option<Route> {
        let first = |record: &Record| record.window == 0;
        if self.count() < records.len() || !records.iter().all(first) {
            return None;
        }
        let length = |stretch: &Stretch| windows[stretch.position as usize].length;
        let stretches = self.stretches.iter().map(|s| (length(s), *s));
        let found = &self.found[..records.len()];
        Route::new(binding, records, found, stretches)
    }

    /// Changes all accumulators that were found; answers how many.
    pub fn change(&self, windows: &mut [Window], records: &[Record]) -> usize {
        for stretch in &self.stretches {
            stretch.change(windows, &self.found, records);
        }
        self.count()
    }

    /// For how many records an accumulator was found.
    fn count(&self) -> usize {
        self.stretches.iter().map(Stretch::len).sum()
    }
}

/// Whether enough of one rule and window lie ahead for loops of their own.
#[inline(always)]
fn begins_run(records: &[Record]) -> bool {
    let Some([first, second, .., last]) = records.first_chunk::<RUN>() else {
        return false;
    };
    // Records by tag-set come back to a rule: the second one is another's then.
    let is_same = |other: &Record| (first.rule, first.window) == (other.rule, other.window);
    is_same(second) && is_same(last)
}

/// The records of the first one's rule and window that come first.
#[inline(always)]
fn run_of(records: &[Record]) -> &[Record] {
    let (rule, window) = records.first().map_or((0, 0), |r| (r.rule, r.window));
    let is_alike = |record: &&Record| (record.rule ^ rule) | (record.window ^ window) == 0;
    &records[..records.iter().take_while(is_alike).count()]
}

/// The records of which no run is part, about.
#[inline(always)]
fn singles_of(records: &[Record]) -> &[Record] {
    let mut looks = (LOOK..records.len()).step_by(LOOK);
    let run = looks.find(|at| begins_run(&records[*at..]));
    &records[..run.unwrap_or(records.len())]
}

/// Finds the groups of records of one rule, as long as they are known; answers how many.
///
/// A function of its own, like the other loops: there are registers enough for all that it needs.
#[inline(never)]
fn find_run(
    way: &Way,
    (series, memo): (&[Series], &[u32]),
    records: &[Record],
    found: &mut [Found],
) -> usize {
    let metric = way.metric;
    let memo = memo.get(way.column as usize..).unwrap_or_default();
    let mut count = 0;
    for (record, found) in records.iter().zip(found) {
        let Some(series) = series.get(record.set as usize) else {
            break;
        };
        if series.metric != metric {
            break;
        }
        let Some(&group) = memo.get(series.row as usize) else {
            break;
        };
        found.group = group;
        count += 1;
    }
    count
}

/// The same for records of any rules whose windows are so long: up to one of another window.
fn find_singles(
    ways: (&[Way], u32),
    (series, memo): (&[Series], &[u32]),
    records: &[Record],
    found: &mut [Found],
) -> usize {
    find_by(ways, memo, records, found, |way, record| {
        let series = series.get(record.set as usize)?;
        let slot = series.row as usize + way.column as usize;
        (series.metric == way.metric).then_some(slot)
    })
}

/// The same where no rule groups by keys, for a message of so many tag-sets.
fn find_solos(
    ways: (&[Way], u32),
    (sets, memo): (u32, &[u32]),
    records: &[Record],
    found: &mut [Found],
) -> usize {
    find_by(ways, memo, records, found, |way, record| {
        (record.set < sets).then_some(way.column as usize)
    })
}

#[inline(never)]
fn find_by(
    (ways, length): (&[Way], u32),
    memo: &[u32],
    records: &[Record],
    found: &mut [Found],
    slot: impl Fn(&Way, &Record) -> Option<usize>,
) -> usize {
    let window = records.first().map_or(0, |first| first.window);
    let mut count = 0;
    for (record, found) in records.iter().zip(found) {
        let Some(way) = ways.get(record.rule as usize) else {
            break;
        };
        if (way.length ^ length) | (record.window ^ window) != 0 {
            break;
        }
        let Some(&group) = slot(way, record).and_then(|slot| memo.get(slot)) else {
            break;
        };
        let join = way.join;
        *found = Found { group, join };
        count += 1;
    }
    count
}

/// Stamps the accumulators of groups, as long as there are any that have no record of the message
/// yet; answers how many. This is what brings them here, and there is nothing else to wait for.
#[inline(never)]
fn claim(cells: &mut [Cell], stamp: u32, found: &[Found]) -> usize {
    let mut count = 0;
    for found in found {
        match cells.get_mut(found.group as usize) {
            Some(cell) if cell.stamp != stamp => cell.stamp = stamp,
            _ => break,
        }
        count += 1;
    }
    count
}
