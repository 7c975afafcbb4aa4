//! Metrics of many tag-sets, and messages over many windows: filters as bits over 64 tag-sets at a
//! time, groups found by hashing. What it needs at a time is bounded, whatever the rules are.

use super::resolve::Resolver;
use super::{Plan, View};
use crate::{Kind, Node, Tree, NONE};
use alloc::{vec, vec::Vec};
use core::ops::Range;
use hashbrown::HashMap;
use ratchet_api::{meaning, Records};
use ratchet_codec::payload::{Message, Strings};
use ratchet_codec::DecodeError;

const CHUNK: usize = 64;
/// Words of what trees take, at a time.
const TAKEN_MAX: usize = 1 << 16;
/// Pairs of a tag-set and a group, and accumulators that they may need, at a time.
const PAIRS_MAX: usize = 1 << 17;
const CELLS_MAX: usize = 1 << 17;
/// A node that takes at least one in so many tag-sets goes through the points by itself.
const SHARE: usize = 4;

/// Scratch space.
pub struct Wide {
    resolver: Resolver<u64, CHUNK>,
    /// By tree at hand and chunk of members.
    taken: Vec<u64>,
    selected: Vec<u32>,
    /// By depth: the group of each that is selected, in the partition there, and how many.
    levels: Vec<(Vec<u32>, usize)>,
    /// The groups that were found, by hash with linear probing: group + 1, or 0.
    table: Vec<u32>,
    known: Vec<(u32, u32)>,
    groups: Vec<Group>,
    pairs: Vec<(u32, u32)>,
    /// The groups of tag-set `s` are `of_set[starts[s]..starts[s + 1]]`.
    starts: Vec<u32>,
    of_set: Vec<u32>,
    cells: Vec<Cell>,
    cell_of: HashMap<(u32, u32), u32>,
    /// How many accumulators the pairs may need.
    needed: usize,
    /// Of a broad node: per tag-set its group + 1, or 0.
    group_of: Vec<u32>,
}

/// A group of a node; `window` and `cell` are where its newest point went.
struct Group {
    node: u32,
    size: u32,
    window: u32,
    cell: u32,
}

#[derive(Clone, Copy)]
struct Cell {
    node: u32,
    set: u32,
    window: u32,
    count: u32,
    sum: f64,
    max: f64,
    min: f64,
}

impl Cell {
    const EMPTY: Cell = Cell {
        node: 0,
        set: 0,
        window: 0,
        count: 0,
        sum: -0.0,
        max: f64::NAN,
        min: f64::NAN,
    };

    #[inline(always)]
    fn add(&mut self, plan: &Plan, value: f64) {
        self.count += 1;
        if plan.needs.sum {
            self.sum += value;
        }
        if plan.needs.max {
            self.max = meaning::max(self.max, value);
        }
        if plan.needs.min {
            self.min = meaning::min(self.min, value);
        }
    }

    #[inline]
    fn write(&self, plan: &Plan, out: &mut Records) {
        let node = &plan.forest.nodes[self.node as usize];
        for member in &plan.forest.rules[node.rules.clone()] {
            let value = match member.kind {
                Kind::Sum | Kind::Avg => self.sum,
                Kind::Max => self.max,
                Kind::Min => self.min,
                Kind::Count => f64::from(self.count),
            };
            out.push(member.rule, self.set, self.window, self.count, value);
        }
    }
}

/// A message as it is at hand here.
struct Hand<'a, 'm> {
    plan: &'a Plan,
    view: &'a mut View,
    m: &'a Message<'m>,
    single: bool,
}

impl Wide {
    pub fn new(plan: &Plan) -> Self {
        Wide {
            resolver: Resolver::new(plan, false),
            taken: Vec::new(),
            selected: Vec::new(),
            levels: vec![(Vec::new(), 0); plan.spec.group_keys + 1],
            table: Vec::new(),
            known: Vec::new(),
            groups: Vec::new(),
            pairs: Vec::new(),
            starts: Vec::new(),
            of_set: Vec::new(),
            cells: Vec::new(),
            cell_of: HashMap::new(),
            needed: 0,
            group_of: Vec::new(),
        }
    }

    /// Aggregates the metrics whose number of tag-sets `wanted` admits.
    pub fn run(
        &mut self,
        plan: &Plan,
        view: &mut View,
        (m, strings): (&Message<'_>, &Strings<'_>),
        single: bool,
        wanted: impl Fn(usize) -> bool,
        out: &mut Records,
    ) -> Result<(), DecodeError> {
        self.begin();
        let mut hand = Hand {
            plan,
            view,
            m,
            single,
        };
        for at in 0..hand.view.metrics() {
            let metric = hand.view.metric(at);
            if !wanted(hand.view.members(metric).len()) {
                continue;
            }
            let members = hand.view.take_members(metric);
            let done = self.metric(&mut hand, strings, metric, &members, out);
            hand.view.return_members(metric, members);
            done?;
        }
        self.flush(&hand, out);
        Ok(())
    }

    fn begin(&mut self) {
        self.groups.clear();
        self.pairs.clear();
        self.needed = 0;
    }

    fn metric(
        &mut self,
        hand: &mut Hand<'_, '_>,
        strings: &Strings<'_>,
        metric: usize,
        members: &[u32],
        out: &mut Records,
    ) -> Result<(), DecodeError> {
        let classes = hand.plan.spec.windows.len();
        let chunks = members.len().div_ceil(CHUNK);
        let batch = (TAKEN_MAX / chunks).max(1);
        for class in 0..classes {
            let trees = &hand.plan.forest.trees[metric * classes + class];
            for trees in trees.chunks(batch) {
                if !self.take(hand, strings, metric, members, trees)? {
                    continue;
                }
                hand.view.decode_points(hand.m, !hand.single)?;
                for (number, tree) in trees.iter().enumerate() {
                    self.select(members, number * chunks..(number + 1) * chunks);
                    if !self.selected.is_empty() {
                        self.tree(hand, tree, class, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Finds out what each of the trees takes; whether one takes something.
    fn take(
        &mut self,
        hand: &mut Hand<'_, '_>,
        strings: &Strings<'_>,
        metric: usize,
        members: &[u32],
        trees: &[Tree],
    ) -> Result<bool, DecodeError> {
        let chunks = members.len().div_ceil(CHUNK);
        self.taken.clear();
        self.taken.resize(trees.len() * chunks, 0);
        let mut some = 0;
        for (at, chunk) in members.chunks(CHUNK).enumerate() {
            let message = (hand.m, strings);
            self.resolver
                .resolve(hand.plan, hand.view, message, metric, chunk)?;
            for (number, tree) in trees.iter().enumerate() {
                let taken = self.resolver.wires[tree.wire as usize];
                self.taken[number * chunks + at] = taken;
                some |= taken;
            }
        }
        Ok(some != 0)
    }

    fn select(&mut self, members: &[u32], taken: Range<usize>) {
        self.selected.clear();
        for (mask, chunk) in self.taken[taken].iter().zip(members.chunks(CHUNK)) {
            let mut rest = *mask;
            while rest != 0 {
                self.selected.push(chunk[rest.trailing_zeros() as usize]);
                rest &= rest - 1;
            }
        }
    }

    /// Partitions what a filter takes by each of its group-bys.
    fn tree(
        &mut self,
        hand: &mut Hand<'_, '_>,
        tree: &Tree,
        class: usize,
        out: &mut Records,
    ) -> Result<(), DecodeError> {
        let plan = hand.plan;
        let root = &mut self.levels[0];
        root.0.clear();
        root.0.resize(self.selected.len(), 0);
        root.1 = 1;
        for at in tree.nodes.clone() {
            let node = &plan.forest.nodes[at];
            if node.depth > 0 {
                self.refine(hand, node)?;
            }
            if !node.rules.is_empty() {
                self.put(hand, at, class, out);
            }
        }
        Ok(())
    }

    /// The partition of a node, from that above it.
    fn refine(&mut self, hand: &mut Hand<'_, '_>, node: &Node) -> Result<(), DecodeError> {
        let column = hand.view.column(hand.m, node.key as u32)?;
        let (above, here) = self.levels.split_at_mut(node.depth);
        let ((from, count), (to, len)) = (&above[node.depth - 1], &mut here[0]);
        let Some(column) = column else {
            // Absent in all of them.
            to.clone_from(from);
            *len = *count;
            return Ok(());
        };
        let values = hand.view.values_of(column);
        let size = (2 * self.selected.len()).next_power_of_two();
        self.table.clear();
        self.table.resize(size, 0);
        self.known.clear();
        to.clear();
        for (&set, &group) in self.selected.iter().zip(from) {
            let key = (group, values[set as usize]);
            let mixed = (u64::from(key.0) << 32 | u64::from(key.1)).wrapping_mul(SPREAD);
            let mut place = (mixed >> 32) as usize & (size - 1);
            // Ends, because the table is at most half full.
            loop {
                let found = self.table[place];
                if found == 0 {
                    self.known.push(key);
                    self.table[place] = self.known.len() as u32;
                    to.push(self.known.len() as u32 - 1);
                    break;
                }
                if self.known[found as usize - 1] == key {
                    to.push(found - 1);
                    break;
                }
                place = (place + 1) & (size - 1);
            }
        }
        *len = self.known.len();
        Ok(())
    }

    /// Aggregates the groups of a node, or notes them for the next pass over the points.
    fn put(&mut self, hand: &Hand<'_, '_>, node: usize, class: usize, out: &mut Records) {
        let depth = hand.plan.forest.nodes[node].depth;
        let size = hand.plan.spec.windows[class];
        let windows = windows(hand, size);
        let (of, count) = (&self.levels[depth].0, self.levels[depth].1);
        let points = hand.view.set.len();
        if SHARE * of.len() >= hand.view.sets() && count * windows <= 2 * points {
            self.broad(hand, node, (size, windows), out);
            return;
        }
        let most = points.min(of.len().saturating_mul(windows));
        if self.pairs.len() + of.len() > PAIRS_MAX || self.needed + most > CELLS_MAX {
            self.flush(hand, out);
        }
        let (of, count) = (&self.levels[depth].0, self.levels[depth].1);
        let first = self.groups.len() as u32;
        self.needed += most;
        self.groups.extend((0..count).map(|_| Group {
            node: node as u32,
            size,
            window: NONE,
            cell: NONE,
        }));
        let pairs = self.selected.iter().zip(of);
        self.pairs
            .extend(pairs.map(|(&set, &group)| (set, first + group)));
    }

    /// Goes through all points for one node.
    fn broad(
        &mut self,
        hand: &Hand<'_, '_>,
        node: usize,
        (size, windows): (u32, usize),
        out: &mut Records,
    ) {
        let (plan, view) = (hand.plan, &*hand.view);
        let (of, count) = &self.levels[plan.forest.nodes[node].depth];
        self.group_of.clear();
        self.group_of.resize(view.sets(), 0);
        for (&set, &group) in self.selected.iter().zip(of) {
            self.group_of[set as usize] = group + 1;
        }
        self.cells.clear();
        self.cells.resize(count * windows, Cell::EMPTY);
        let first = hand.m.header().min_ts / i64::from(size);
        for (at, (&set, &value)) in view.set.iter().zip(&view.value).enumerate() {
            let group = self.group_of[set as usize];
            if group == 0 {
                continue;
            }
            let window = match windows {
                1 => 0,
                _ => (view.time[at] / i64::from(size) - first) as usize,
            };
            let cell = &mut self.cells[(group as usize - 1) * windows + window];
            cell.set = set;
            cell.add(plan, value);
        }
        for (at, cell) in self.cells.iter_mut().enumerate() {
            if cell.count > 0 {
                (cell.node, cell.window) = (node as u32, (at % windows) as u32);
                cell.write(plan, out);
            }
        }
    }

    /// Adds every point to the accumulators of its groups, and writes records.
    fn flush(&mut self, hand: &Hand<'_, '_>, out: &mut Records) {
        if !self.pairs.is_empty() {
            self.index_by_set(hand.view.sets());
            self.accumulate(hand);
            for cell in &self.cells {
                cell.write(hand.plan, out);
            }
        }
        self.begin();
    }

    /// Sorts the pairs by tag-set, by counting.
    fn index_by_set(&mut self, sets: usize) {
        self.starts.clear();
        self.starts.resize(sets + 1, 0);
        for &(set, _) in &self.pairs {
            self.starts[set as usize] += 1;
        }
        let mut end = 0;
        for start in &mut self.starts {
            end += *start;
            *start = end;
        }
        self.of_set.resize(self.pairs.len(), 0);
        for &(set, group) in self.pairs.iter().rev() {
            let start = &mut self.starts[set as usize];
            *start -= 1;
            self.of_set[*start as usize] = group;
        }
    }

    fn accumulate(&mut self, hand: &Hand<'_, '_>) {
        let (plan, view) = (hand.plan, &*hand.view);
        let min = hand.m.header().min_ts;
        self.cells.clear();
        self.cell_of.clear();
        for (at, (&set, &value)) in view.set.iter().zip(&view.value).enumerate() {
            let range = self.starts[set as usize] as usize..self.starts[set as usize + 1] as usize;
            for &id in &self.of_set[range] {
                let group = &mut self.groups[id as usize];
                let size = i64::from(group.size);
                let window = if hand.single {
                    0
                } else {
                    (view.time[at] / size - min / size) as u32
                };
                if group.window != window {
                    let next = self.cells.len() as u32;
                    group.window = window;
                    group.cell = if hand.single {
                        next
                    } else {
                        *self.cell_of.entry((id, window)).or_insert(next)
                    };
                    if group.cell == next {
                        let node = group.node;
                        self.cells.push(Cell {
                            node,
                            set,
                            window,
                            ..Cell::EMPTY
                        });
                    }
                }
                self.cells[group.cell as usize].add(plan, value);
            }
        }
    }
}

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// How many windows of a size the message touches.
fn windows(hand: &Hand<'_, '_>, size: u32) -> usize {
    if hand.single {
        return 1;
    }
    let (header, size) = (hand.m.header(), i64::from(size));
    (header.max_ts / size - header.min_ts / size + 1) as usize
}
