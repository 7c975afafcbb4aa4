//! Workload A: sums of one metric by the number in `service:svc-<number>`.

use crate::columns::{Columns, ABSENT, NONE};
use crate::Kernel;
use ratchet_api::{DecodeError, Message, Record, Refusal};
use ratchet_rules::{Aggregate, Filter, Rule};

const KEY: &[u8] = b"service";
const PREFIX: &[u8] = b"svc-";
/// The greatest number of a service.
const NUMBER_MAX: usize = 9_999;

pub struct Services {
    keys: [Box<[u8]>; 1],
    metrics: [Box<[u8]>; 1],
    /// By the number of a service: its rule, or none.
    rule_of: Vec<u32>,
    columns: Columns,
    bounds: Vec<u32>,
    /// Per tag-set: its place in `open`; 0 belongs to nobody.
    place_of: Vec<u32>,
    /// Per rule: its place in `open`, or 0.
    open_of: Vec<u32>,
    open: Vec<Record>,
}

const NOBODY: Record = Record {
    rule: 0,
    set: 0,
    window: 0,
    count: 0,
    value: -0.0,
};

impl Kernel for Services {
    fn new(rules: &[Rule]) -> Result<Self, Refusal> {
        let first = rules.first().ok_or(Refusal("no rules"))?;
        let mut rule_of = Vec::new();
        for (index, rule) in (0..).zip(rules) {
            let number = match &rule.filter {
                Filter::Eq(key, value) if **key == *KEY => number(value),
                _ => None,
            };
            let number = number.ok_or(Refusal("a filter that is not of workload A"))?;
            let plain = rule.aggregate == Aggregate::Sum && rule.group_by.is_empty();
            if !plain || rule.metric != first.metric {
                return Err(Refusal("a rule that is not of workload A"));
            }
            if rule_of.len() <= number {
                rule_of.resize(number + 1, NONE);
            }
            if rule_of[number] != NONE {
                return Err(Refusal("two rules of one service"));
            }
            rule_of[number] = index;
        }
        Ok(Services {
            keys: [KEY.into()],
            metrics: [first.metric.clone()],
            rule_of,
            columns: Columns::new(1),
            bounds: Vec::new(),
            place_of: Vec::new(),
            open_of: vec![0; rules.len()],
            open: Vec::new(),
        })
    }

    fn process(
        &mut self,
        message: &mut Message<'_>,
        out: &mut Vec<Record>,
    ) -> Result<bool, DecodeError> {
        message.pull_all()?;
        let strings = message.strings(&mut self.bounds)?;
        let (keys, metrics) = (&self.keys, &self.metrics);
        self.columns.decode(message, &strings, keys, metrics)?;
        self.open.clear();
        self.open.push(NOBODY);
        self.place_of.clear();
        let services = self.columns.keys[0]
            .iter()
            .chain(std::iter::repeat(&ABSENT));
        for ((set, &metric), &service) in (0..).zip(&self.columns.metric).zip(services) {
            let known = service != ABSENT && metric != NONE;
            let number = known.then(|| number(strings.get(service - 1))).flatten();
            let rule = number.and_then(|number| self.rule_of.get(number).copied());
            let place = match rule {
                None | Some(NONE) => 0,
                Some(rule) => {
                    let place = &mut self.open_of[rule as usize];
                    if *place == 0 {
                        *place = self.open.len() as u32;
                        self.open.push(Record {
                            rule,
                            set,
                            ..NOBODY
                        });
                    }
                    *place
                }
            };
            self.place_of.push(place);
        }
        for (&set, &value) in self.columns.sets.iter().zip(&self.columns.values) {
            let record = &mut self.open[self.place_of[set as usize] as usize];
            record.count += 1;
            record.value += value;
        }
        for record in &self.open[1..] {
            self.open_of[record.rule as usize] = 0;
        }
        // A tag-set may come without points.
        out.extend(self.open[1..].iter().filter(|record| record.count > 0));
        Ok(true)
    }
}

/// The number of a service, in its one decimal form.
fn number(service: &[u8]) -> Option<usize> {
    let digits = service.strip_prefix(PREFIX)?;
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    let plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || digits[0] != b'0');
    if !plain {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |sum, digit| 10 * sum + usize::from(digit - b'0'));
    (number <= NUMBER_MAX).then_some(number)
}
