
/// A set of tag-sets of one metric, by their place among the metric's.
type Mask = u{{bits}};
const BITS: usize = {{bits}};
//@ if order=rare|common
/// Key by key, its place in the order of partitioning.
const ORDER: [u16; KEYS] = [{{ranks}}];
//@ end
const DEPTHS: usize = spec::GROUP_KEYS + 1;

#[derive(Clone, Copy)]
struct Cell {
    set: u32,
    count: u32,
    value: f64,
}

const NOTHING: Cell = Cell { set: 0, count: 0, value: 0.0 };

/// What each tag-set of a metric adds up to by itself.
struct Cells {
    set: [u32; BITS],
    count: [u32; BITS],
    //@ if has=sum
    sum: [Cell; BITS],
    //@ end
    //@ if has=max
    max: [Cell; BITS],
    //@ if extremes=keys
    max_key: [i64; BITS],
    //@ end
    //@ end
    //@ if has=min
    min: [Cell; BITS],
    //@ if extremes=keys
    min_key: [i64; BITS],
    //@ end
    //@ end
    //@ if has=count
    number: [Cell; BITS],
    //@ end
}

const HALF: usize = BITS / 2;

/// A partition: groups of two or more with their slots, and who is alone in a group.
#[derive(Clone, Copy)]
struct Level {
    alone: Mask,
    len: usize,
    groups: [Mask; HALF],
    slots: [u32; HALF],
}

/// Filters as bits over tag-sets, groups as partitions of them, and sums of equal subsets shared.
#[derive(Default)]
struct Masks {
    forest: Forest,
    // From here on: of this message.
    by_metric: Vec<Vec<u32>>,
    by_value: Vec<Mask>,
    equal: Vec<[Mask; BITS]>,
    tests: Vec<Mask>,
    /// First of tag-sets, then of subsets ("slots").
    count: Vec<u32>,
    //@ if has=sum
    sum: Vec<f64>,
    /// Per tag-set: the slots that its values go to.
    lists: Vec<Vec<u32>>,
    /// Records that wait for their sum: rule, tag-set and slot.
    pending: Vec<(u32, u32, u32)>,
    //@ end
    //@ if has=max
    max: Vec<f64>,
    //@ if extremes=keys
    max_key: Vec<i64>,
    //@ end
    //@ end
    //@ if has=min
    min: Vec<f64>,
    //@ if extremes=keys
    min_key: Vec<i64>,
    //@ end
    //@ end
    //@ if has=count
    number: Vec<f64>,
    //@ end
    //@ if group=shared
    /// Subsets seen in this metric and pass, by a hash of their bits.
    cache: Vec<(Mask, u32, u32)>,
    epoch: u32,
    //@ end
    part_set: Vec<u32>,
    part_value: Vec<f64>,
}

impl Masks {
    fn new() -> Self {
        //@ if order=written
        let ranks = &[];
        //@ else
        let ranks = &ORDER;
        //@ end
        Masks {
            forest: Forest::new(ranks),
            by_metric: vec![Vec::new(); spec::METRICS.len()],
            equal: vec![[0; BITS]; KEYS],
            tests: vec![0; spec::TESTS.len()],
            //@ if group=shared
            cache: vec![(0, 0, 0); 4096],
            //@ end
            ..Masks::default()
        }
    }

    /// Whether the message is one for this way: few windows, and no metric with too many tag-sets.
    fn prepare(&mut self, front: &Front) -> bool {
        for sets in &mut self.by_metric {
            sets.clear();
        }
        for (set, &metric) in front.metric.iter().enumerate() {
            if metric != NONE {
                self.by_metric[metric as usize].push(set as u32);
            }
        }
        self.by_metric.iter().any(|sets| (1..=BITS).contains(&sets.len()))
    }

    /// Aggregates points that lie within one window of each rule of `class` (of every rule, when
    /// it is none).
    fn pass(
        &mut self,
        front: &mut Front,
        literals: &Literals,
        strings: &Strings<'_>,
        (sets, values): (&[u32], &[f64]),
        (class, window): (u32, u32),
        out: &mut Records,
    ) {
        let total = front.metric.len();
        self.count.clear();
        self.count.resize(total, 0);
        //@ if has=sum
        self.sum.clear();
        self.sum.resize(total, -0.0);
        self.pending.clear();
        if self.lists.len() < total {
            self.lists.resize(total, Vec::new());
        }
        for list in &mut self.lists[..total] {
            list.clear();
        }
        //@ end
        //@ if has=max
        self.max.clear();
        self.max.resize(total, f64::NAN);
        //@ if extremes=keys
        self.max_key.clear();
        self.max_key.resize(total, i64::MIN);
        //@ end
        //@ end
        //@ if has=min
        self.min.clear();
        self.min.resize(total, f64::NAN);
        //@ if extremes=keys
        self.min_key.clear();
        self.min_key.resize(total, i64::MAX);
        //@ end
        //@ end
        for (&set, &value) in sets.iter().zip(values) {
            let set = set as usize;
            self.count[set] += 1;
            //@ if has=sum
            self.sum[set] += value;
            //@ end
            //@ if has=max
            //@ if extremes=keys
            self.max_key[set] = self.max_key[set].max(spec::key_of(value, i64::MIN));
            //@ else
            self.max[set] = meaning::max(self.max[set], value);
            //@ end
            //@ end
            //@ if has=min
            //@ if extremes=keys
            self.min_key[set] = self.min_key[set].min(spec::key_of(value, i64::MAX));
            //@ else
            self.min[set] = meaning::min(self.min[set], value);
            //@ end
            //@ end
        }
        //@ if has=count
        self.number.clear();
        self.number.extend(self.count.iter().map(|&count| f64::from(count)));
        //@ end
        //@ if emit=reserve
        out.reserve(spec::RULES.len() * 16);
        //@ end
        for metric in 0..self.by_metric.len() {
            let members = take(&mut self.by_metric[metric]);
            if (1..=BITS).contains(&members.len()) {
                self.resolve(front, literals, strings, metric, &members);
                self.partition(metric, &members, (class, window), out);
            }
            self.by_metric[metric] = members;
        }
        //@ if has=sum
        if self.pending.is_empty() {
            return;
        }
        for (&set, &value) in sets.iter().zip(values) {
            //@ if unroll=1
            for &slot in &self.lists[set as usize] {
                self.sum[slot as usize] += value;
            }
            //@ else
            let (slots, rest) = self.lists[set as usize].as_chunks::<{{unroll}}>();
            for slots in slots {
                for &slot in slots {
                    self.sum[slot as usize] += value;
                }
            }
            for &slot in rest {
                self.sum[slot as usize] += value;
            }
            //@ end
        }
        for &(rule, set, slot) in &self.pending {
            let slot = slot as usize;
            out.push(rule, set, window, self.count[slot], self.sum[slot]);
        }
        //@ end
    }

    /// One window of the rules of one window size.
    fn window(
        &mut self,
        front: &mut Front,
        literals: &Literals,
        strings: &Strings<'_>,
        min: i64,
        (class, window, size): (u32, u32, i64),
        out: &mut Records,
    ) {
        let mut sets = take(&mut self.part_set);
        let mut values = take(&mut self.part_value);
        sets.clear();
        values.clear();
        for (point, &time) in front.time.iter().enumerate() {
            if time / size - min / size == i64::from(window) {
                sets.push(front.set[point]);
                values.push(front.value[point]);
            }
        }
        self.pass(front, literals, strings, (&sets, &values), (class, window), out);
        (self.part_set, self.part_value) = (sets, values);
    }

    /// Which tag-sets agree in each key, and which ones each test of the rules takes.
    fn resolve(
        &mut self,
        front: &mut Front,
        literals: &Literals,
        strings: &Strings<'_>,
        metric: usize,
        members: &[u32],
    ) {
        self.by_value.resize(strings.len() + 1, 0);
        for used in spec::METRIC_KEYS[metric] {
            let key = used.key as usize;
            let column = &front.columns[key];
            let equal = &mut self.equal[key];
            for &set in members {
                self.by_value[column[set as usize] as usize] = 0;
            }
            for (at, &set) in members.iter().enumerate() {
                self.by_value[column[set as usize] as usize] |= 1 << (at % BITS);
            }
            for (equal, &set) in equal.iter_mut().zip(members) {
                *equal = self.by_value[column[set as usize] as usize];
            }
            if used.tests.is_empty() {
                continue;
            }
            for &test in used.tests {
                self.tests[test as usize] = 0;
            }
            for (at, &set) in members.iter().enumerate() {
                let (value, mask) = (column[set as usize], equal[at]);
                if value == ABSENT || mask.trailing_zeros() as usize != at {
                    continue;
                }
                let text = strings.get(value - 1);
                let literal = &mut front.literal[value as usize - 1];
                if *literal == UNSEEN {
                    *literal = literals.find(text);
                }
                if *literal != NONE {
                    for &(of, test) in spec::LITERAL_TESTS[*literal as usize] {
                        if of as usize == key {
                            self.tests[test as usize] |= mask;
                        }
                    }
                }
                let head = if used.loose.is_empty() { 0 } else { spec::head(text) };
                for loose in used.loose {
                    let same = head & loose.mask == loose.head;
                    if same && (loose.rest.is_empty() || text.starts_with(loose.rest)) {
                        self.tests[loose.test as usize] |= mask;
                    }
                }
            }
        }
    }

    /// The tag-sets that a filter, in postfix code, takes.
    fn filter(&self, code: &[u32], all: Mask) -> Mask {
        if let &[word] = code {
            if word & !spec::ARGUMENT == spec::TEST {
                return self.tests[(word & spec::ARGUMENT) as usize];
            }
        }
        let mut stack: [Mask; spec::STACK] = [0; spec::STACK];
        let mut top = 0;
        for &word in code {
            let argument = (word & spec::ARGUMENT) as usize;
            let answer = match word & !spec::ARGUMENT {
                spec::TRUE => all,
                spec::TEST => self.tests[argument],
                spec::NOT => {
                    top -= 1;
                    all & !stack[top]
                }
                operation => {
                    top -= argument;
                    let operands = stack[top..top + argument].iter();
                    match operation {
                        spec::AND => operands.fold(all, |sum, each| sum & each),
                        _ => operands.fold(0, |sum, each| sum | each),
                    }
                }
            };
            stack[top] = answer;
            top += 1;
        }
        stack[0]
    }

    /// A new slot for a subset of more than one tag-set, with what the node and those below need.
    fn slot(&mut self, subset: Mask, cells: &Cells, node: &spec::Node) -> u32 {
        //@ if group=shared
        let mixed = (subset as u64 ^ (subset >> HALF) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let cached = (mixed >> 52) as usize;
        let (seen, epoch, slot) = self.cache[cached];
        if seen == subset && epoch == self.epoch {
            return slot;
        }
        //@ end
        let slot = self.count.len() as u32;
        let mut count = 0;
        let mut rest = subset;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize % BITS;
            rest &= rest - 1;
            count += cells.count[at];
            //@ if has=sum
            //@ if group=flat
            if node.sums {
                self.lists[cells.set[at] as usize].push(slot);
            }
            //@ else
            self.lists[cells.set[at] as usize].push(slot);
            //@ end
            //@ end
        }
        self.count.push(count);
        //@ if has=count
        self.number.push(f64::from(count));
        //@ end
        //@ if has=sum
        self.sum.push(-0.0);
        //@ end
        //@ if has=max
        //@ if extremes=keys
        let mut max = i64::MIN;
        //@ else
        let mut max = f64::NAN;
        //@ end
        //@ end
        //@ if has=min
        //@ if extremes=keys
        let mut min = i64::MAX;
        //@ else
        let mut min = f64::NAN;
        //@ end
        //@ end
        //@ if has=extreme
        //@ if group=flat
        let mut rest = if node.extremes { subset } else { 0 };
        //@ else
        let mut rest = subset;
        //@ end
        while rest != 0 {
            let at = rest.trailing_zeros() as usize % BITS;
            rest &= rest - 1;
            //@ if has=max
            //@ if extremes=keys
            max = max.max(cells.max_key[at]);
            //@ else
            max = meaning::max(max, cells.max[at].value);
            //@ end
            //@ end
            //@ if has=min
            //@ if extremes=keys
            min = min.min(cells.min_key[at]);
            //@ else
            min = meaning::min(min, cells.min[at].value);
            //@ end
            //@ end
        }
        //@ end
        //@ if has=max
        //@ if extremes=keys
        self.max.push(spec::value_of(max, i64::MIN));
        //@ else
        self.max.push(max);
        //@ end
        //@ end
        //@ if has=min
        //@ if extremes=keys
        self.min.push(spec::value_of(min, i64::MAX));
        //@ else
        self.min.push(min);
        //@ end
        //@ end
        //@ if group=shared
        self.cache[cached] = (subset, self.epoch, slot);
        //@ end
        slot
    }

    /// Partitions what each filter takes by each of its group-bys, and writes records.
    fn partition(
        &mut self,
        metric: usize,
        members: &[u32],
        (class, window): (u32, u32),
        out: &mut Records,
    ) {
        //@ if group=shared
        self.epoch += 1;
        //@ end
        let mut present: Mask = 0;
        let mut cells = Cells {
            set: [0; BITS],
            count: [0; BITS],
            //@ if has=sum
            sum: [NOTHING; BITS],
            //@ end
            //@ if has=max
            max: [NOTHING; BITS],
            //@ if extremes=keys
            max_key: [0; BITS],
            //@ end
            //@ end
            //@ if has=min
            min: [NOTHING; BITS],
            //@ if extremes=keys
            min_key: [0; BITS],
            //@ end
            //@ end
            //@ if has=count
            number: [NOTHING; BITS],
            //@ end
        };
        for (at, &set) in members.iter().enumerate() {
            let (at, of) = (at % BITS, set as usize);
            cells.set[at] = set;
            let count = self.count[of];
            cells.count[at] = count;
            //@ if has=sum
            cells.sum[at] = Cell { set, count, value: self.sum[of] };
            //@ end
            //@ if has=max
            //@ if extremes=keys
            cells.max_key[at] = self.max_key[of];
            let value = spec::value_of(self.max_key[of], i64::MIN);
            cells.max[at] = Cell { set, count, value };
            //@ else
            cells.max[at] = Cell { set, count, value: self.max[of] };
            //@ end
            //@ end
            //@ if has=min
            //@ if extremes=keys
            cells.min_key[at] = self.min_key[of];
            let value = spec::value_of(self.min_key[of], i64::MAX);
            cells.min[at] = Cell { set, count, value };
            //@ else
            cells.min[at] = Cell { set, count, value: self.min[of] };
            //@ end
            //@ end
            //@ if has=count
            cells.number[at] = Cell { set, count, value: self.number[of] };
            //@ end
            if count > 0 {
                present |= 1 << at;
            }
        }
        let all = Mask::MAX >> (BITS - members.len());
        let mut levels = [Level { alone: 0, len: 0, groups: [0; HALF], slots: [0; HALF] }; DEPTHS];
        let forest = take(&mut self.forest);
        for tree in &forest.trees[metric] {
            let taken = self.filter(spec::FILTERS[tree.filter], all) & present;
            if taken == 0 {
                continue;
            }
            let single = taken & (taken - 1) == 0;
            let top = &mut levels[0];
            top.alone = if single { taken } else { 0 };
            top.len = usize::from(!single);
            (top.groups[0], top.slots[0]) = (taken, NONE);
            for node in &forest.nodes[tree.nodes.clone()] {
                let (above, here) = levels.split_at_mut(node.depth);
                let level = &mut here[0];
                if let Some(above) = above.last() {
                    refine(above, level, &self.equal[node.key]);
                }
                let rules = &forest.rules[node.rules.clone()];
                if rules.is_empty() {
                    continue;
                }
                for at in 0..level.len {
                    if level.slots[at % HALF] == NONE {
                        level.slots[at % HALF] = self.slot(level.groups[at % HALF], &cells, node);
                    }
                }
                for rule in rules {
                    if class == NONE || class == rule.window {
                        self.write(rule, level, &cells, window, out);
                    }
                }
            }
        }
        self.forest = forest;
    }

    /// Writes the records of a rule; those that wait for a sum become pending.
    #[inline(always)]
    fn write(
        &mut self,
        rule: &spec::Member,
        level: &Level,
        cells: &Cells,
        window: u32,
        out: &mut Records,
    ) {
        let &spec::Member { rule, kind, .. } = rule;
        let (one, value) = match kind {
            //@ if has=max
            Kind::Max => (&cells.max, &self.max),
            //@ end
            //@ if has=min
            Kind::Min => (&cells.min, &self.min),
            //@ end
            //@ if has=count
            Kind::Count => (&cells.number, &self.number),
            //@ end
            //@ if has=sum
            _ => (&cells.sum, &self.sum),
            //@ else
            _ => return,
            //@ end
        };
        let mut next = |rest: Mask| -> Mask {
            let at = rest.trailing_zeros() as usize % BITS;
            let Cell { set, count, value } = one[at];
            out.push(rule, set, window, count, value);
            rest & (rest - 1)
        };
        let mut rest = level.alone;
        //@ if unroll=4|8
        for _ in 0..rest.count_ones() / {{unroll}} {
            for _ in 0..{{unroll}} {
                rest = next(rest);
            }
        }
        //@ end
        while rest != 0 {
            rest = next(rest);
        }
        let groups = level.groups.iter().zip(&level.slots).take(level.len);
        //@ if has=sum
        if matches!(kind, Kind::Sum | Kind::Avg) {
            self.pending.extend(groups.map(|(group, &slot)| {
                (rule, cells.set[group.trailing_zeros() as usize % BITS], slot)
            }));
            return;
        }
        //@ end
        for (group, &slot) in groups {
            let set = cells.set[group.trailing_zeros() as usize % BITS];
            out.push(rule, set, window, self.count[slot as usize], value[slot as usize]);
        }
    }
}

/// Splits groups by one more key, whose equal tag-sets are given.
#[inline(always)]
fn refine(from: &Level, to: &mut Level, equal: &[Mask; BITS]) {
    let (mut alone, mut len) = (from.alone, 0);
    for at in 0..from.len {
        let (group, slot) = (from.groups[at % HALF], from.slots[at % HALF]);
        let mut part = group & equal[group.trailing_zeros() as usize % BITS];
        if part == group {
            (to.groups[len % HALF], to.slots[len % HALF]) = (group, slot);
            len += 1;
            continue;
        }
        let mut rest = group;
        loop {
            if part & (part - 1) == 0 {
                alone |= part;
            } else {
                (to.groups[len % HALF], to.slots[len % HALF]) = (part, NONE);
                len += 1;
            }
            rest &= !part;
            if rest == 0 {
                break;
            }
            part = rest & equal[rest.trailing_zeros() as usize % BITS];
        }
    }
    (to.alone, to.len) = (alone, len);
}
