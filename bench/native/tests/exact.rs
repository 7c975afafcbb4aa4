//! The kernels by hand against the baseline, bit by bit, also where they hand over to it; and the
//! rules that are none of theirs.

use ratchet_api::meaning::canonical;
use ratchet_api::{Native, Record};
use ratchet_baseline::Baseline;
use ratchet_codec::payload::validate;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_native::{Dashboards, Dimensions, Kernel, Limit, Services};
use ratchet_rules::{encode, Aggregate, Filter, Rule};
use std::collections::BTreeMap;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

type Tags = Vec<(&'static str, String)>;

fn text(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}

fn rule(at: usize, metric: &str, aggregate: Aggregate, group_by: &[&str], filter: Filter) -> Rule {
    Rule {
        id: text(&format!("r{at:04}")),
        metric: text(metric),
        aggregate,
        window_ms: 30_000,
        group_by: group_by.iter().map(|key| text(key)).collect(),
        filter,
    }
}

fn equal(key: &str, value: &str) -> Filter {
    Filter::Eq(text(key), text(value))
}

const KEYS: [&str; 4] = ["env", "host", "service", "zone"];

/// Points of many kinds, over so many series, within so many milliseconds.
fn message(dice: &mut Dice, series: u64, span: u64) -> (Vec<u8>, Vec<Tags>) {
    let mut builder = MessageBuilder::new();
    let mut all: Vec<(&str, Tags)> = Vec::new();
    for n in 0..series {
        let mut tags: Tags = vec![("id", n.to_string())];
        for key in KEYS {
            if dice.below(4) > 0 {
                let value = format!("svc-{}", dice.below(12));
                tags.push((
                    key,
                    if key == "service" {
                        value
                    } else {
                        format!("{key}{value}")
                    },
                ));
            }
        }
        tags.sort();
        all.push((["m0", "m1"][dice.below(2) as usize], tags));
    }
    for n in 0..3 * series {
        let set = if n < series { n } else { dice.below(series) } as usize;
        let (metric, tags) = &all[set];
        let value = match dice.below(12) {
            0 => f64::NAN,
            1 => -0.0,
            2 => 0.0,
            _ => dice.below(1 << 31) as f64 / 1e6 - 500.0,
        };
        let ts = 1_600_000_000_000 + dice.below(span) as i64;
        builder.point(metric, tags, ts, value).expect("a point");
    }
    (
        builder.finish().expect("a message"),
        all.into_iter().map(|(_, tags)| tags).collect(),
    )
}

/// Records by rule, group and window: where a group's tag-set stands for its values.
type Partials = BTreeMap<(u32, Vec<String>, u32), (u32, u64)>;

fn partials(rules: &[Rule], sets: &[Tags], records: &[Record]) -> Partials {
    let mut found = BTreeMap::new();
    for record in records {
        let tags = &sets[record.set as usize];
        let value = |key: &[u8]| {
            let tag = tags.iter().find(|(name, _)| name.as_bytes() == key);
            tag.map_or(String::new(), |(_, value)| value.clone())
        };
        let group = rules[record.rule as usize]
            .group_by
            .iter()
            .map(|key| value(key))
            .collect();
        let place = (record.rule, group, record.window);
        let before = found.insert(place, (record.count, canonical(record.value).to_bits()));
        assert_eq!(before, None, "a group came twice");
    }
    found
}

fn check<K: Kernel>(rules: &[Rule]) {
    let blob = encode(rules);
    let mut limit = Limit::<K>::new(&blob).expect("rules of the workload");
    let mut baseline = Native::<Baseline>::new(&blob).expect("rules");
    let mut dice = Dice(42);
    for (series, span) in [
        (1, 1),
        (20, 900),
        (60, 900),
        (40, 70_000),
        (150, 900),
        (60, 900),
    ] {
        for _ in 0..20 {
            let (payload, sets) = message(&mut dice, series, span);
            let header = validate(&payload).expect("a valid message");
            let expected = baseline.process(&payload).expect("records");
            let expected = partials(rules, &sets, expected);
            let found = limit.process(&payload, &header).expect("records");
            assert_eq!(
                partials(rules, &sets, found),
                expected,
                "{series} series, {span} ms"
            );
        }
    }
}

fn services() -> Vec<Rule> {
    let one = |n| {
        rule(
            n,
            "m0",
            Aggregate::Sum,
            &[],
            equal("service", &format!("svc-{n}")),
        )
    };
    (0..10).map(one).collect()
}

#[test]
fn services_are_exact() {
    check::<Services>(&services());
}

fn group_bys() -> Vec<Vec<&'static str>> {
    let mut all = vec![vec![]];
    for (at, a) in KEYS.into_iter().enumerate() {
        all.push(vec![a]);
        for (next, b) in KEYS.into_iter().enumerate().skip(at + 1) {
            all.push(vec![b, a]);
            all.extend(KEYS.into_iter().skip(next + 1).map(|c| vec![a, b, c]));
        }
    }
    all
}

#[test]
fn dimensions_are_exact() {
    let aggregate = |at: usize| Aggregate::ALL[at % 5];
    let of = |(at, keys): (usize, Vec<&str>)| rule(at, "m1", aggregate(at), &keys, Filter::All);
    check::<Dimensions>(
        &group_bys()
            .into_iter()
            .enumerate()
            .map(of)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn dashboards_are_exact() {
    let some = Filter::In(text("zone"), vec![text("zonesvc-3"), text("zonesvc-4")]);
    let prefix = Filter::Prefix(text("host"), text("hostsvc-1"));
    let either = Filter::Or(vec![Filter::Not(Box::new(some.clone())), prefix.clone()]);
    let filters = [
        Filter::All,
        equal("service", "svc-3"),
        some,
        prefix.clone(),
        Filter::Present(text("env")),
        Filter::Not(Box::new(equal("env", "envsvc-1"))),
        either.clone(),
        Filter::And(vec![either, Filter::Present(text("zone")), prefix]),
        equal("nowhere", "x"),
    ];
    let groups = group_bys();
    let rules = (0..120).map(|at| {
        let (filter, keys) = (filters[at % 9].clone(), &groups[at % groups.len()]);
        rule(
            at,
            ["m0", "m1"][at % 2],
            Aggregate::ALL[at % 5],
            keys,
            filter,
        )
    });
    check::<Dashboards>(&rules.collect::<Vec<_>>());
}

#[test]
fn rules_of_other_workloads_are_refused() {
    let other = |change: &dyn Fn(&mut Rule)| {
        let mut rules = services();
        change(&mut rules[3]);
        Limit::<Services>::new(&encode(&rules)).is_err()
    };
    assert!(!other(&|_| ()));
    assert!(other(&|rule| rule.aggregate = Aggregate::Max));
    assert!(other(&|rule| rule.group_by = vec![text("host")]));
    assert!(other(&|rule| rule.metric = text("m1")));
    assert!(other(&|rule| rule.window_ms = 10_000));
    for value in ["svc-", "svc-01", "svc-10000", "svc-2", "service-1"] {
        assert!(
            other(&|rule| rule.filter = equal("service", value)),
            "{value}"
        );
    }
    let nested = Filter::Not(Box::new(Filter::Or(vec![equal("a", "b"), equal("c", "d")])));
    let nested = [rule(0, "m0", Aggregate::Sum, &[], nested)];
    assert!(Limit::<Dashboards>::new(&encode(&nested)).is_err());
}
