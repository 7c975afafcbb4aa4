
/// A filter's literal names its rules: the accumulators of a tag-set are found by its one tag.
#[derive(Default)]
struct Direct {
    //@ if dispatch=one
    /// By metric and literal: the rule, or none.
    rule_of: Vec<u32>,
    /// Per tag-set: its accumulator; 0 belongs to nobody.
    slot_of: Vec<u32>,
    //@ else
    /// By metric and literal: where its rules begin in `rules`.
    rules_at: Vec<u32>,
    rules: Vec<u32>,
    /// Per tag-set: where its accumulators begin in `list`.
    starts: Vec<u32>,
    list: Vec<u32>,
    //@ end
    /// Per rule: its accumulator in this message, or none.
    seen: Vec<u32>,
    /// Per accumulator: its rule and a tag-set.
    owner: Vec<(u32, u32)>,
    //@ if cells=record
    cells: Vec<Cell>,
    //@ else
    count: Vec<u32>,
    //@ if has=sum
    sum: Vec<f64>,
    //@ end
    //@ if has=max
    max: Vec<f64>,
    //@ end
    //@ if has=min
    min: Vec<f64>,
    //@ end
    //@ end
}

//@ if cells=record
#[derive(Clone, Copy)]
struct Cell {
    count: u32,
    //@ if has=sum
    sum: f64,
    //@ end
    //@ if has=max
    max: f64,
    //@ end
    //@ if has=min
    min: f64,
    //@ end
}

const EMPTY: Cell = Cell {
    count: 0,
    //@ if has=sum
    sum: -0.0,
    //@ end
    //@ if has=max
    max: f64::NAN,
    //@ end
    //@ if has=min
    min: f64::NAN,
    //@ end
};
//@ end

const VALUES: usize = spec::VALUES.len();

/// The literal that a rule's filter asks for: each is one comparison of the same key.
fn literal_of(rule: &spec::Rule) -> usize {
    let test = spec::FILTERS[rule.filter as usize][0] & spec::ARGUMENT;
    match spec::TESTS[test as usize].1 {
        Test::Value(literal) => literal as usize,
        _ => unreachable!("every filter is a comparison"),
    }
}

impl Direct {
    fn new() -> Self {
        let cases = spec::METRICS.len() * VALUES;
        let mut direct = Direct { seen: vec![NONE; spec::RULES.len()], ..Direct::default() };
        //@ if dispatch=one
        direct.rule_of = vec![NONE; cases];
        for (index, rule) in spec::RULES.iter().enumerate() {
            direct.rule_of[rule.metric as usize * VALUES + literal_of(rule)] = index as u32;
        }
        //@ else
        let mut by_case = vec![Vec::new(); cases];
        for (index, rule) in spec::RULES.iter().enumerate() {
            by_case[rule.metric as usize * VALUES + literal_of(rule)].push(index as u32);
        }
        direct.rules_at.push(0);
        for rules in by_case {
            direct.rules.extend(rules);
            direct.rules_at.push(direct.rules.len() as u32);
        }
        //@ end
        direct
    }

    /// The accumulator of a rule, a new one at first sight.
    fn slot(&mut self, rule: u32, set: usize) -> u32 {
        let mut slot = self.seen[rule as usize];
        if slot == NONE {
            slot = self.owner.len() as u32;
            self.seen[rule as usize] = slot;
            self.owner.push((rule, set as u32));
        }
        slot
    }

    /// Finds the accumulators of every tag-set.
    fn assign(&mut self, front: &mut Front, literals: &Literals, strings: &Strings<'_>) {
        self.owner.clear();
        self.owner.push((NONE, NONE));
        //@ if dispatch=one
        self.slot_of.clear();
        //@ else
        self.starts.clear();
        self.list.clear();
        //@ end
        for set in 0..front.metric.len() {
            //@ if dispatch=many
            self.starts.push(self.list.len() as u32);
            //@ end
            let value = front.columns[{{key}}][set];
            let metric = front.metric[set];
            let mut literal = NONE;
            if value != ABSENT && metric != NONE {
                literal = front.literal[value as usize - 1];
                if literal == UNSEEN {
                    literal = literals.find(strings.get(value - 1));
                    front.literal[value as usize - 1] = literal;
                }
            }
            //@ if dispatch=one
            let mut slot = 0;
            if literal != NONE {
                let rule = self.rule_of[metric as usize * VALUES + literal as usize];
                if rule != NONE {
                    slot = self.slot(rule, set);
                }
            }
            self.slot_of.push(slot);
            //@ else
            if literal != NONE {
                let case = metric as usize * VALUES + literal as usize;
                for at in self.rules_at[case]..self.rules_at[case + 1] {
                    let slot = self.slot(self.rules[at as usize], set);
                    self.list.push(slot);
                }
            }
            //@ end
        }
        //@ if dispatch=many
        self.starts.push(self.list.len() as u32);
        //@ end
    }

    fn clear(&mut self, cells: usize) {
        //@ if cells=record
        self.cells.clear();
        self.cells.resize(cells, EMPTY);
        //@ else
        self.count.clear();
        self.count.resize(cells, 0);
        //@ if has=sum
        self.sum.clear();
        self.sum.resize(cells, -0.0);
        //@ end
        //@ if has=max
        self.max.clear();
        self.max.resize(cells, f64::NAN);
        //@ end
        //@ if has=min
        self.min.clear();
        self.min.resize(cells, f64::NAN);
        //@ end
        //@ end
    }

    #[inline(always)]
    fn add(&mut self, at: usize, value: f64) {
        //@ if cells=record
        let cell = &mut self.cells[at];
        cell.count += 1;
        //@ if has=sum
        cell.sum += value;
        //@ end
        //@ if has=max
        cell.max = meaning::max(cell.max, value);
        //@ end
        //@ if has=min
        cell.min = meaning::min(cell.min, value);
        //@ end
        //@ else
        self.count[at] += 1;
        //@ if has=sum
        self.sum[at] += value;
        //@ end
        //@ if has=max
        self.max[at] = meaning::max(self.max[at], value);
        //@ end
        //@ if has=min
        self.min[at] = meaning::min(self.min[at], value);
        //@ end
        //@ end
    }

    #[inline(always)]
    fn point(&mut self, set: u32, window: usize, windows: usize, value: f64) {
        //@ if dispatch=one
        let slot = self.slot_of[set as usize] as usize;
        self.add(slot * windows + window, value);
        //@ else
        for at in self.starts[set as usize]..self.starts[set as usize + 1] {
            self.add(self.list[at as usize] as usize * windows + window, value);
        }
        //@ end
    }

    /// The whole message; `windows` of the rules' one size, or 1 when it lies within one window.
    fn run(
        &mut self,
        front: &mut Front,
        literals: &Literals,
        strings: &Strings<'_>,
        (min, windows): (i64, usize),
        out: &mut Records,
    ) {
        self.assign(front, literals, strings);
        self.clear(self.owner.len() * windows);
        if windows == 1 {
            //@ if unroll=1
            for (&set, &value) in front.set.iter().zip(&front.value) {
                self.point(set, 0, 1, value);
            }
            //@ else
            let (sets, rest) = front.set.as_chunks::<{{unroll}}>();
            let (values, last) = front.value.as_chunks::<{{unroll}}>();
            for (sets, values) in sets.iter().zip(values) {
                for (&set, &value) in sets.iter().zip(values) {
                    self.point(set, 0, 1, value);
                }
            }
            for (&set, &value) in rest.iter().zip(last) {
                self.point(set, 0, 1, value);
            }
            //@ end
        } else {
            let size = i64::from(spec::WINDOWS[0]);
            for point in 0..front.set.len() {
                let window = (front.time[point] / size - min / size) as usize;
                self.point(front.set[point], window, windows, front.value[point]);
            }
        }
        self.emit(windows, out);
    }

    fn emit(&mut self, windows: usize, out: &mut Records) {
        //@ if emit=reserve
        out.reserve(self.owner.len() * windows);
        //@ end
        for slot in 1..self.owner.len() {
            let (rule, set) = self.owner[slot];
            self.seen[rule as usize] = NONE;
            for window in 0..windows {
                let at = slot * windows + window;
                //@ if cells=record
                let cell = self.cells[at];
                let count = cell.count;
                //@ else
                let count = self.count[at];
                //@ end
                if count == 0 {
                    continue;
                }
                let value = match spec::RULES[rule as usize].kind {
                    //@ if has=sum
                    Kind::Sum | Kind::Avg => {{cell_sum}},
                    //@ end
                    //@ if has=max
                    Kind::Max => {{cell_max}},
                    //@ end
                    //@ if has=min
                    Kind::Min => {{cell_min}},
                    //@ end
                    _ => f64::from(count),
                };
                out.push(rule, set, window as u32, count, value);
            }
        }
    }
}
