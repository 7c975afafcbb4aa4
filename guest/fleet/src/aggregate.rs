#![forbid(unsafe_code)]
// genome: {}

use crate::spec::{self, Front, Kind, Spec, Test, ABSENT, NONE, UNSEEN};
use alloc::vec::Vec;
use hashbrown::HashMap;
use ratchet_api::{meaning, Aggregate, DecodeError, Records, Refusal};
use ratchet_codec::payload::{Message, Strings};

type Literals = spec::Search;

/// One (rule, group); `window` and `cell` are where its newest point went.
struct Slot {
    rule: u32,
    window: u32,
    cell: u32,
}

struct Cell {
    rule: u32,
    set: u32,
    window: u32,
    count: u32,
    value: f64,
}

/// The general way: any number of tag-sets and windows, groups found by hashing.
pub struct Lists {
    spec: &'static Spec,
    literals: Literals,
    nodes: HashMap<(u32, u32, u32), u32>,
    slot_of: HashMap<(u32, u32), u32>,
    slots: Vec<Slot>,
    /// Per tag-set: where its slots begin in `list`.
    starts: Vec<u32>,
    list: Vec<u32>,
    cell_of: HashMap<(u32, u32), u32>,
    cells: Vec<Cell>,
}

impl Lists {
    pub fn new(spec: &'static Spec) -> Self {
        Lists {
            spec,
            literals: Literals::new(spec),
            nodes: HashMap::new(),
            slot_of: HashMap::new(),
            slots: Vec::new(),
            starts: Vec::new(),
            list: Vec::new(),
            cell_of: HashMap::new(),
            cells: Vec::new(),
        }
    }

    /// Aggregates the points of metrics that `wanted` admits.
    pub fn run(
        &mut self,
        front: &mut Front,
        strings: &Strings<'_>,
        min: i64,
        wanted: impl Fn(u32) -> bool,
        out: &mut Records,
    ) {
        self.nodes.clear();
        self.slot_of.clear();
        self.slots.clear();
        self.cell_of.clear();
        self.cells.clear();
        self.starts.clear();
        self.list.clear();
        for set in 0..front.metric.len() {
            self.starts.push(self.list.len() as u32);
            let metric = front.metric[set];
            if metric != NONE && wanted(metric) {
                self.match_set(front, strings, set, metric);
            }
        }
        self.starts.push(self.list.len() as u32);
        for point in 0..front.set.len() {
            let set = front.set[point] as usize;
            for at in self.starts[set]..self.starts[set + 1] {
                self.add(self.list[at as usize], front, point, min);
            }
        }
        for cell in &self.cells {
            let value = match self.spec.rules[cell.rule as usize].kind {
                Kind::Count => f64::from(cell.count),
                _ => cell.value,
            };
            out.push(cell.rule, cell.set, cell.window, cell.count, value);
        }
    }

    /// Appends the slots of the rules that take a tag-set.
    fn match_set(&mut self, front: &mut Front, strings: &Strings<'_>, set: usize, metric: u32) {
        for &rule in self.spec.metric_rules[metric as usize] {
            let what = &self.spec.rules[rule as usize];
            if !accepts(self.spec, what.filter, front, &self.literals, strings, set) {
                continue;
            }
            let mut node = 0;
            for &key in self.spec.groups[what.group as usize] {
                let step = (node, key, front.columns[key as usize][set]);
                let next = self.nodes.len() as u32 + 1;
                node = *self.nodes.entry(step).or_insert(next);
            }
            let next = self.slots.len() as u32;
            let slot = *self.slot_of.entry((rule, node)).or_insert(next);
            if slot == next {
                self.slots.push(Slot {
                    rule,
                    window: NONE,
                    cell: NONE,
                });
            }
            self.list.push(slot);
        }
    }

    fn add(&mut self, index: u32, front: &Front, point: usize, min: i64) {
        let slot = &mut self.slots[index as usize];
        let what = &self.spec.rules[slot.rule as usize];
        let size = i64::from(self.spec.windows[what.window as usize]);
        let window = match front.time.get(point) {
            Some(&time) => (time / size - min / size) as u32,
            None => 0,
        };
        let value = front.value[point];
        if slot.window != window {
            let next = self.cells.len() as u32;
            slot.window = window;
            slot.cell = *self.cell_of.entry((index, window)).or_insert(next);
            if slot.cell == next {
                let (rule, set) = (slot.rule, front.set[point]);
                self.cells.push(Cell {
                    rule,
                    set,
                    window,
                    count: 1,
                    value,
                });
                return;
            }
        }
        let cell = &mut self.cells[slot.cell as usize];
        cell.count += 1;
        match what.kind {
            Kind::Sum | Kind::Avg => cell.value += value,
            Kind::Max => cell.value = meaning::max(cell.value, value),
            Kind::Min => cell.value = meaning::min(cell.value, value),
            Kind::Count => {}
        }
    }
}

/// Whether a filter, in postfix code, takes a tag-set.
fn accepts(
    spec: &Spec,
    filter: u32,
    front: &mut Front,
    literals: &Literals,
    strings: &Strings<'_>,
    set: usize,
) -> bool {
    let mut stack = [false; spec::STACK_MAX];
    let mut top = 0;
    for &word in spec.filters[filter as usize] {
        let argument = (word & spec::ARGUMENT) as usize;
        let answer = match word & !spec::ARGUMENT {
            spec::TRUE => true,
            spec::TEST => holds(spec, argument, front, literals, strings, set),
            spec::NOT => {
                top -= 1;
                !stack[top]
            }
            operation => {
                top -= argument;
                let mut operands = stack[top..top + argument].iter();
                match operation {
                    spec::AND => operands.all(|&each| each),
                    _ => operands.any(|&each| each),
                }
            }
        };
        stack[top] = answer;
        top += 1;
    }
    stack[0]
}

fn holds(
    spec: &Spec,
    test: usize,
    front: &mut Front,
    literals: &Literals,
    strings: &Strings<'_>,
    set: usize,
) -> bool {
    let (key, test) = &spec.tests[test];
    let value = front.columns[*key as usize][set];
    if value == ABSENT {
        return false;
    }
    let text = strings.get(value - 1);
    let mut found = || {
        let memo = &mut front.literal[value as usize - 1];
        if *memo == UNSEEN {
            *memo = literals.find(text);
        }
        *memo
    };
    match *test {
        Test::Present => true,
        Test::Value(literal) => found() == literal,
        Test::Values(list) => list.contains(&found()),
        Test::Prefix(prefix) => text.starts_with(prefix),
    }
}

pub struct Aggregator {
    bounds: Vec<u32>,
    front: Front,
    lists: Lists,
}

impl Aggregate for Aggregator {
    fn new(rules: &[u8]) -> Result<Self, Refusal> {
        let spec = spec::of(rules)?;
        Ok(Aggregator {
            bounds: Vec::new(),
            front: Front::new(spec),
            lists: Lists::new(spec),
        })
    }

    fn process(&mut self, m: &mut Message<'_>, out: &mut Records) -> Result<(), DecodeError> {
        let min = m.header().min_ts;
        let times = true;
        let Aggregator {
            bounds,
            front,
            lists,
            ..
        } = self;
        m.pull_all()?;
        let strings = m.strings(bounds)?;
        front.locate(m, &strings)?;
        front.decode(m, times)?;
        front.resolve_metrics(&strings);
        lists.run(front, &strings, min, |_| true, out);
        Ok(())
    }
}
