//! Metrics of few tag-sets: filters as bits over them, groups as partitions, and sums of equal
//! subsets shared.

use super::accumulators::Accumulators;
use super::partition::Level;
use super::resolve::Resolver;
use super::{Bits, Plan, View};
use crate::{Extreme, Kind, Member, Node, Tree, NONE};
use alloc::{vec, vec::Vec};
use core::mem::take;
use ratchet_api::Records;
use ratchet_codec::payload::{Message, Strings};
use ratchet_codec::DecodeError;

/// What a design decides about the details.
pub trait Choice {
    /// Whether equal subsets are found in different branches, too.
    const SHARED: bool;
    /// How many additions of a step are written out: 1, 4 or 8.
    const UNROLL: usize;
    /// How greatest and least values are kept.
    type Bound: Extreme;
}

/// The points of one tag-set in one window.
#[derive(Clone, Copy)]
struct Cell {
    set: u32,
    count: u32,
    value: f64,
}

/// What each tag-set of a metric adds up to by itself, by place and window.
#[derive(Default)]
struct Cells {
    sum: Vec<Cell>,
    max: Vec<Cell>,
    min: Vec<Cell>,
    number: Vec<Cell>,
}

/// The accumulators of tag-sets, for one window size: those of a tag-set side by side.
#[derive(Clone, Copy)]
struct Region {
    base: usize,
    windows: usize,
}

const CACHED: usize = 4096;

/// Scratch space, for metrics of at most `WIDTH` tag-sets; `HALF` is half of it.
pub struct Masks<Design: Choice, Mask, const WIDTH: usize, const HALF: usize> {
    resolver: Resolver<Mask, WIDTH>,
    levels: Vec<Level<Mask, HALF>>,
    cells: Cells,
    regions: Vec<Region>,
    /// Point by point: its accumulator, region after region.
    at: Vec<u32>,
    all: Accumulators<Design::Bound>,
    /// Per region and tag-set: the slots that its values go to.
    lists: Vec<Vec<u32>>,
    /// Records that wait for their sum: rule, slot and windows.
    pending: Vec<(u32, u32, u32)>,
    /// Subsets seen in this metric and region, by a hash of their bits.
    cache: Vec<(Mask, u32, u32)>,
    epoch: u32,
}

impl<Design: Choice, Mask: Bits, const WIDTH: usize, const HALF: usize>
    Masks<Design, Mask, WIDTH, HALF>
{
    pub fn new(plan: &Plan) -> Self {
        let cached = if Design::SHARED { CACHED } else { 0 };
        Masks {
            resolver: Resolver::new(plan, true),
            levels: vec![Level::new(); plan.spec.group_keys + 1],
            cells: Cells::default(),
            regions: Vec::new(),
            at: Vec::new(),
            all: Accumulators::new(plan.needs),
            lists: Vec::new(),
            pending: Vec::new(),
            cache: vec![(Mask::default(), 0, 0); cached],
            epoch: 0,
        }
    }

    /// Aggregates the metrics whose number of tag-sets `wanted` admits: 1 to `WIDTH`.
    pub fn run(
        &mut self,
        plan: &Plan,
        view: &mut View,
        message: (&Message<'_>, &Strings<'_>),
        single: bool,
        wanted: impl Fn(usize) -> bool,
        out: &mut Records,
    ) -> Result<(), DecodeError> {
        self.regions.clear();
        for at in 0..view.metrics() {
            let metric = view.metric(at);
            let width = view.members(metric).len();
            if width > WIDTH || !wanted(width) {
                continue;
            }
            let members = view.take_members(metric);
            let done = self.resolver.resolve(plan, view, message, metric, &members);
            view.return_members(metric, members);
            done?;
            let classes = plan.spec.windows.len();
            let trees = metric * classes..(metric + 1) * classes;
            let wires = &self.resolver.wires;
            let taken = |tree: &Tree| !wires[tree.wire as usize].is_empty();
            let mut each = plan.forest.trees[trees.clone()].iter().flatten();
            if !each.any(taken) {
                continue;
            }
            view.decode_points(message.0, !single)?;
            let header = message.0.header();
            if self.regions.is_empty() {
                self.begin(plan, view, single, (header.min_ts, header.max_ts));
            }
            for (class, trees) in trees.enumerate() {
                let members = view.members(metric);
                if single {
                    if class == 0 {
                        self.cut::<true>(0, members);
                    }
                    self.partition::<true>(plan, trees, members, (0, view.sets()), out);
                } else {
                    self.cut::<false>(class, members);
                    self.partition::<false>(plan, trees, members, (class, view.sets()), out);
                }
            }
        }
        if !self.regions.is_empty() && !self.pending.is_empty() {
            if single {
                self.add_up::<true>(view, out);
            } else {
                self.add_up::<false>(view, out);
            }
        }
        Ok(())
    }

    /// Adds up the points of each tag-set.
    fn begin(&mut self, plan: &Plan, view: &View, single: bool, (min, max): (i64, i64)) {
        self.all.clear();
        self.at.clear();
        self.pending.clear();
        let sets = view.sets();
        if single {
            self.regions.push(Region {
                base: 0,
                windows: 1,
            });
            self.all.grow(sets);
            self.all.add(&view.set, &view.value);
        } else {
            for &size in plan.spec.windows {
                let start = min - min % i64::from(size);
                let windows = (max - start) as usize / size as usize + 1;
                let base = self.all.len();
                self.regions.push(Region { base, windows });
                self.all.grow(sets * windows);
                let from = self.at.len();
                let each = view.set.iter().zip(&view.time);
                self.at.extend(each.map(|(&set, &time)| {
                    base as u32 + set * windows as u32 + (time - start) as u32 / size
                }));
                self.all.add(&self.at[from..], &view.value);
            }
        }
        if self.all.needs.sum {
            let lists = self.regions.len() * sets;
            if self.lists.len() < lists {
                self.lists.resize(lists, Vec::new());
            }
            for list in &mut self.lists[..lists] {
                list.clear();
            }
        }
    }

    /// Takes what the tag-sets of a metric add up to, to be copied into records.
    fn cut<const ONE: bool>(&mut self, region: usize, members: &[u32]) {
        let Region { base, windows } = self.regions[region];
        let windows = if ONE { 1 } else { windows };
        let (cells, all) = (&mut self.cells, &self.all);
        let counts = &all.count[..];
        let places = (members, base, windows);
        if all.needs.sum {
            fill(&mut cells.sum, places, counts, |at| all.sum[at]);
        }
        if all.needs.max {
            fill(&mut cells.max, places, counts, |at| all.max[at].greatest());
        }
        if all.needs.min {
            fill(&mut cells.min, places, counts, |at| all.min[at].least());
        }
        if all.needs.count {
            fill(&mut cells.number, places, counts, |at| {
                f64::from(counts[at])
            });
        }
    }

    /// Partitions what each filter takes by each of its group-bys, and writes records.
    fn partition<const ONE: bool>(
        &mut self,
        plan: &Plan,
        trees: usize,
        members: &[u32],
        (region, sets): (usize, usize),
        out: &mut Records,
    ) {
        self.epoch += 1;
        let present = self.present::<ONE>(members, region);
        let mut levels = take(&mut self.levels);
        let cells = take(&mut self.cells);
        let forest = &plan.forest;
        for tree in &forest.trees[trees] {
            let taken = self.resolver.wires[tree.wire as usize] & present;
            if taken.is_empty() {
                continue;
            }
            let mut nodes = &forest.nodes[tree.nodes.clone()];
            if nodes.len() > 1 && (tree.path || taken.is_lone()) {
                let rows = nodes[1..].iter().map(|node| self.resolver.equal(node.key));
                levels[0].split(taken, rows);
                if tree.path {
                    nodes = &nodes[nodes.len() - 1..];
                }
            } else {
                levels[0].whole(taken);
            }
            for node in nodes {
                let whole = tree.path || levels[0].len == 0;
                let depth = if whole { 0 } else { node.depth };
                let (above, here) = levels.split_at_mut(depth);
                let level = &mut here[0];
                if let Some(above) = above.last() {
                    level.refine(above, self.resolver.equal(node.key));
                }
                let rules = &forest.rules[node.rules.clone()];
                if rules.is_empty() {
                    continue;
                }
                for at in 0..level.len {
                    if level.slots[at % HALF] == NONE {
                        let group = level.groups[at % HALF];
                        level.slots[at % HALF] =
                            self.slot::<ONE>(group, node, members, (region, sets));
                    }
                }
                for rule in rules {
                    self.write::<ONE>(rule, level, &cells, region, out);
                }
            }
        }
        self.cells = cells;
        self.levels = levels;
    }

    /// The members that have a point.
    fn present<const ONE: bool>(&self, members: &[u32], region: usize) -> Mask {
        let Region { base, windows } = self.regions[region];
        let windows = if ONE { 1 } else { windows };
        let mut present = Mask::default();
        for (at, &set) in members.iter().enumerate() {
            let of = &self.all.count[base + set as usize * windows..][..windows];
            if of.iter().any(|&count| count > 0) {
                present |= Mask::bit(at);
            }
        }
        present
    }

    /// A new slot for a subset of more than one tag-set, with what the node and those below need.
    fn slot<const ONE: bool>(
        &mut self,
        subset: Mask,
        node: &Node,
        members: &[u32],
        (region, sets): (usize, usize),
    ) -> u32 {
        let mixed = subset.folded().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let cached = (mixed >> 52) as usize % CACHED;
        if Design::SHARED {
            let (seen, epoch, slot) = self.cache[cached];
            if seen == subset && epoch == self.epoch {
                return slot;
            }
        }
        let Region { base, windows } = self.regions[region];
        let windows = if ONE { 1 } else { windows };
        let slot = self.all.len();
        self.all.grow(windows);
        let needs = self.all.needs;
        let (sums, extremes) = (
            needs.sum && (Design::SHARED || node.sums),
            Design::SHARED || node.extremes,
        );
        let (max, min) = (needs.max && extremes, needs.min && extremes);
        let all = &mut self.all;
        let mut rest = subset;
        while !rest.is_empty() {
            let set = members[rest.lowest()];
            rest = rest.without_lowest();
            if sums {
                self.lists[region * sets + set as usize].push(slot as u32);
            }
            for window in 0..windows {
                let (from, to) = (base + set as usize * windows + window, slot + window);
                let count = all.count[from];
                if ONE || count > 0 {
                    all.owner[to] = set;
                }
                all.count[to] += count;
                if max {
                    all.max[to] = all.max[to].greater(all.max[from]);
                }
                if min {
                    all.min[to] = all.min[to].smaller(all.min[from]);
                }
            }
        }
        if Design::SHARED {
            self.cache[cached] = (subset, self.epoch, slot as u32);
        }
        slot as u32
    }

    /// Writes the records of a rule; those that wait for a sum become pending.
    #[inline(always)]
    fn write<const ONE: bool>(
        &mut self,
        &Member { rule, kind }: &Member,
        level: &Level<Mask, HALF>,
        cells: &Cells,
        region: usize,
        out: &mut Records,
    ) {
        let windows = if ONE { 1 } else { self.regions[region].windows };
        let one = match kind {
            Kind::Max => &cells.max[..],
            Kind::Min => &cells.min[..],
            Kind::Count => &cells.number[..],
            Kind::Sum | Kind::Avg => &cells.sum[..],
        };
        let mut next = |rest: Mask| -> Mask {
            let at = rest.lowest();
            for window in 0..windows {
                let Cell { set, count, value } = one[at * windows + window];
                if ONE || count > 0 {
                    out.push(rule, set, window as u32, count, value);
                }
            }
            rest.without_lowest()
        };
        let mut rest = level.alone;
        while !rest.is_empty() {
            rest = next(rest);
        }
        if level.len == 0 {
            return;
        }
        if matches!(kind, Kind::Sum | Kind::Avg) {
            let slots = level.slots.iter().take(level.len);
            let waiting = slots.map(|&slot| (rule, slot, windows as u32));
            self.pending.extend(waiting);
            return;
        }
        for &slot in level.slots.iter().take(level.len) {
            for window in 0..windows {
                let at = slot as usize + window;
                let count = self.all.count[at];
                if ONE || count > 0 {
                    let value = match kind {
                        Kind::Max => self.all.max[at].greatest(),
                        Kind::Min => self.all.min[at].least(),
                        _ => f64::from(count),
                    };
                    out.push(rule, self.all.owner[at], window as u32, count, value);
                }
            }
        }
    }

    /// Adds the values in the order of points, and writes the records that wait for them.
    fn add_up<const ONE: bool>(&mut self, view: &View, out: &mut Records) {
        let (sets, points) = (view.sets(), view.set.len());
        let sums = &mut self.all.sum[..];
        for (number, &Region { base, windows }) in self.regions.iter().enumerate() {
            let lists = &self.lists[number * sets..][..sets];
            for (point, (&set, &value)) in view.set.iter().zip(&view.value).enumerate() {
                let list = &lists[set as usize][..];
                let window = if ONE {
                    0
                } else {
                    self.at[number * points + point] as usize - base - set as usize * windows
                };
                match Design::UNROLL {
                    8 => add_to::<8>(sums, list, window, value),
                    4 => add_to::<4>(sums, list, window, value),
                    _ => add_to::<1>(sums, list, window, value),
                }
            }
        }
        for &(rule, slot, windows) in &self.pending {
            for window in 0..if ONE { 1 } else { windows } {
                let at = (slot + window) as usize;
                let count = self.all.count[at];
                if ONE || count > 0 {
                    out.push(rule, self.all.owner[at], window, count, sums[at]);
                }
            }
        }
    }
}

#[inline(always)]
fn fill(
    cells: &mut Vec<Cell>,
    (members, base, windows): (&[u32], usize, usize),
    counts: &[u32],
    value: impl Fn(usize) -> f64,
) {
    cells.clear();
    for &set in members {
        for window in 0..windows {
            let at = base + set as usize * windows + window;
            let (count, value) = (counts[at], value(at));
            cells.push(Cell { set, count, value });
        }
    }
}

/// Adds a value to each of these slots; `STEPS` of them are written out.
#[inline(always)]
fn add_to<const STEPS: usize>(sums: &mut [f64], list: &[u32], window: usize, value: f64) {
    let (slots, rest) = list.as_chunks::<STEPS>();
    for slots in slots {
        for &slot in slots {
            sums[slot as usize + window] += value;
        }
    }
    for &slot in rest {
        sums[slot as usize + window] += value;
    }
}
