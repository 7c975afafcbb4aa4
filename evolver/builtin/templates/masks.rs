
/// A set of tag-sets of one metric, by their place among the metric's.
type Mask = u{{bits}};
const BITS: usize = {{bits}};
//@ if order=rare|common
/// Key by key, its place in the order of partitioning.
const ORDER: [u16; KEYS] = [{{ranks}}];
//@ end
const DEPTHS: usize = spec::GROUP_KEYS + 1;

/// Filters as bits over tag-sets, groups as partitions of them, and sums of equal subsets shared.
#[derive(Default)]
struct Masks {
    forest: Forest,
    // From here on: of this message.
    by_metric: Vec<Vec<u32>>,
    by_value: Vec<Mask>,
    equal: Vec<[Mask; BITS]>,
    tests: Vec<Mask>,
    groups: Vec<(Mask, u32)>,
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
    //@ end
    //@ if has=min
    min: Vec<f64>,
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
        self.by_metric.iter().any(|sets| !sets.is_empty() && sets.len() <= BITS)
    }

    fn takes(&self, metric: u32) -> bool {
        self.by_metric[metric as usize].len() <= BITS
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
        //@ end
        //@ if has=min
        self.min.clear();
        self.min.resize(total, f64::NAN);
        //@ end
        for (&set, &value) in sets.iter().zip(values) {
            let set = set as usize;
            self.count[set] += 1;
            //@ if has=sum
            self.sum[set] += value;
            //@ end
            //@ if has=max
            self.max[set] = meaning::max(self.max[set], value);
            //@ end
            //@ if has=min
            self.min[set] = meaning::min(self.min[set], value);
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
            let members = core::mem::take(&mut self.by_metric[metric]);
            if !members.is_empty() && members.len() <= BITS {
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
        let mut sets = core::mem::take(&mut self.part_set);
        let mut values = core::mem::take(&mut self.part_value);
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
        for &key in spec::METRIC_KEYS[metric] {
            let key = key as usize;
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
            if spec::KEY_TESTS[key].is_empty() {
                continue;
            }
            for &test in spec::KEY_TESTS[key] {
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
                for &test in spec::LOOSE_TESTS[key] {
                    let prefix = match spec::TESTS[test as usize].1 {
                        Test::Prefix(prefix) => prefix,
                        _ => &[],
                    };
                    if text.starts_with(prefix) {
                        self.tests[test as usize] |= mask;
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

    /// A new slot for a subset of more than one tag-set.
    fn slot(&mut self, subset: Mask, members: &[u32], sums: bool) -> u32 {
        //@ if group=shared
        let sums = true;
        let mixed = (subset as u64 ^ (subset >> (BITS / 2)) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (mixed >> 52) as usize;
        let (seen, epoch, slot) = self.cache[at];
        if seen == subset && epoch == self.epoch {
            return slot;
        }
        //@ end
        let slot = self.count.len() as u32;
        let mut count = 0;
        //@ if has=max
        let mut max = f64::NAN;
        //@ end
        //@ if has=min
        let mut min = f64::NAN;
        //@ end
        let mut rest = subset;
        while rest != 0 {
            let set = members[rest.trailing_zeros() as usize] as usize;
            rest &= rest - 1;
            count += self.count[set];
            //@ if has=sum
            if sums {
                self.lists[set].push(slot);
            }
            //@ end
            //@ if has=max
            max = meaning::max(max, self.max[set]);
            //@ end
            //@ if has=min
            min = meaning::min(min, self.min[set]);
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
        self.max.push(max);
        //@ end
        //@ if has=min
        self.min.push(min);
        //@ end
        //@ if group=shared
        self.cache[at] = (subset, self.epoch, slot);
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
        for (at, &set) in members.iter().enumerate() {
            if self.count[set as usize] > 0 {
                present |= 1 << (at % BITS);
            }
        }
        let all = Mask::MAX >> (BITS - members.len());
        let trees = core::mem::take(&mut self.forest.trees[metric]);
        for tree in &trees {
            let taken = self.filter(spec::FILTERS[tree.filter], all) & present;
            if taken == 0 {
                continue;
            }
            // Per depth: where its groups end in `groups`, and who is alone in a group.
            let mut ends = [0; DEPTHS];
            let mut alone: [Mask; DEPTHS] = [0; DEPTHS];
            self.groups.clear();
            if taken & (taken - 1) == 0 {
                alone[0] = taken;
            } else {
                self.groups.push((taken, NONE));
            }
            ends[0] = self.groups.len();
            for node in tree.nodes.clone() {
                let depth = self.forest.nodes[node].depth;
                if depth > 0 {
                    let from = if depth > 1 { ends[depth - 2] } else { 0 };
                    let key = self.forest.nodes[node].key;
                    alone[depth] = alone[depth - 1] | self.refine(from..ends[depth - 1], key);
                    ends[depth] = self.groups.len();
                }
                if !self.forest.nodes[node].rules.is_empty() {
                    let from = if depth > 0 { ends[depth - 1] } else { 0 };
                    self.write(node, from, alone[depth], members, (class, window), out);
                }
            }
        }
        self.forest.trees[metric] = trees;
    }

    /// Splits groups by one more key; answers those that are now alone.
    #[inline(always)]
    fn refine(&mut self, groups: core::ops::Range<usize>, key: usize) -> Mask {
        self.groups.truncate(groups.end);
        let equal = &self.equal[key];
        let mut alone = 0;
        for at in groups {
            let (group, slot) = self.groups[at];
            let mut part = group & equal[group.trailing_zeros() as usize % BITS];
            if part == group {
                self.groups.push((group, slot));
                continue;
            }
            let mut rest = group;
            loop {
                if part & (part - 1) == 0 {
                    alone |= part;
                } else {
                    self.groups.push((part, NONE));
                }
                rest &= !part;
                if rest == 0 {
                    break;
                }
                part = rest & equal[rest.trailing_zeros() as usize % BITS];
            }
        }
        alone
    }

    /// Writes the records of a node's rules; those that wait for a sum become pending.
    #[inline(always)]
    fn write(
        &mut self,
        node: usize,
        from: usize,
        alone: Mask,
        members: &[u32],
        (class, window): (u32, u32),
        out: &mut Records,
    ) {
        let sums = self.forest.nodes[node].sums;
        for at in from..self.groups.len() {
            if self.groups[at].1 == NONE {
                self.groups[at].1 = self.slot(self.groups[at].0, members, sums);
            }
        }
        for at in self.forest.nodes[node].rules.clone() {
            let spec::Member { rule, kind, window: size } = self.forest.rules[at];
            if class != NONE && size != class {
                continue;
            }
            let (count, value) = (&self.count, match kind {
                //@ if has=max
                Kind::Max => &self.max,
                //@ end
                //@ if has=min
                Kind::Min => &self.min,
                //@ end
                //@ if has=count
                Kind::Count => &self.number,
                //@ end
                //@ if has=sum
                _ => &self.sum,
                //@ else
                _ => continue,
                //@ end
            });
            let mut rest = alone;
            while rest != 0 {
                let set = members[rest.trailing_zeros() as usize];
                out.push(rule, set, window, count[set as usize], value[set as usize]);
                rest &= rest - 1;
            }
            for &(group, slot) in &self.groups[from..] {
                let set = members[group.trailing_zeros() as usize];
                //@ if has=sum
                if matches!(kind, Kind::Sum | Kind::Avg) {
                    self.pending.push((rule, set, slot));
                    continue;
                }
                //@ end
                out.push(rule, set, window, count[slot as usize], value[slot as usize]);
            }
        }
    }
}
