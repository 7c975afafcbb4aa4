//! Remote write of series that came before: the same bytes as without memory, or the usual way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ratchet_codec::payload::validate;
use ratchet_ingest::batch::Batch;
use ratchet_ingest::known::{Catalog, Composer, Secret};
use ratchet_ingest::remote_write::{decode_known, decode_v1, Decoded, STALE};
use ratchet_ingest::settings::Limits;

use crate::kinds::{limits, TS};
use crate::prometheus::{request_v1, series, v1};

const ROOM: usize = 16 << 20;

fn wide() -> Limits {
    Limits {
        points: 200_000,
        tags: 64,
        ..limits()
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(TS as u64)
}

fn usual(body: &[u8], limits: &Limits) -> Decoded {
    let mut batch = Batch::new(limits, now());
    let written = decode_v1(body, &mut batch).unwrap();
    let (messages, tally) = batch.into_messages();
    Decoded {
        messages,
        tally,
        written,
    }
}

/// A gateway's memory of one organization.
struct Memory {
    catalog: Catalog,
    composer: Composer,
}

impl Memory {
    fn new(bytes_max: usize) -> Self {
        Self {
            catalog: Catalog::new(Secret::default(), bytes_max),
            composer: Composer::default(),
        }
    }

    fn decode(&mut self, body: &[u8], limits: &Limits) -> Option<Decoded> {
        let memory = (&mut self.catalog, &mut self.composer);
        decode_known(body, memory, limits, now())
    }
}

/// Numbers that look random and are not.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// A series with some of 20 keys in some order; few enough values that series and texts repeat.
fn random_series(numbers: &mut Numbers) -> v1::TimeSeries {
    let name = format!("metric_{}", numbers.below(3));
    let mut tags: Vec<(String, String)> = Vec::new();
    for _ in 0..numbers.below(8) {
        let key = format!("k{}", numbers.below(20));
        if tags.iter().all(|(other, _)| *other != key) {
            // Some values are also keys, and one is as long as may be.
            let value = match numbers.below(9) {
                0 => "k1".to_owned(),
                1 => "é".repeat(512),
                n => format!("v{n}"),
            };
            tags.push((key, value));
        }
    }
    let at = numbers.below(tags.len() as u64 + 1) as usize;
    tags.insert(at, ("__name__".to_owned(), name));
    let labels: Vec<_> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let samples: Vec<_> = (0..numbers.below(3))
        .map(|_| {
            let value = match numbers.below(20) {
                0 => f64::from_bits(STALE),
                1 => f64::NAN,
                n => n as f64 / 3.0,
            };
            (TS - numbers.below(3_000_000) as i64, value)
        })
        .collect();
    series(&labels, &samples)
}

#[test]
fn requests_become_the_same_bytes_as_without_memory() {
    let mut numbers = Numbers(7);
    let mut memory = Memory::new(ROOM);
    for round in 0..200 {
        let count = if round % 50 == 49 { 9_000 } else { 60 };
        let body = request_v1((0..count).map(|_| random_series(&mut numbers)).collect());
        let expected = usual(&body, &wide());
        for message in &expected.messages {
            validate(message).unwrap();
        }
        for time in ["first", "second"] {
            let known = memory.decode(&body, &wide());
            assert!(
                known.as_ref() == Some(&expected),
                "round {round}, {time} time"
            );
        }
    }
}

/// The same list as it comes at other times: with other values, and now and then a little shorter
/// or longer, with a series in the place of another, or with one that has nothing to say.
fn again(list: &[v1::TimeSeries], time: u64, numbers: &mut Numbers) -> Vec<v1::TimeSeries> {
    let mut list = list.to_vec();
    let samples = list.iter_mut().flat_map(|series| &mut series.samples);
    for sample in samples {
        sample.timestamp = TS - numbers.below(40_000) as i64;
        sample.value = numbers.below(1_000) as f64;
    }
    let at = numbers.below(list.len() as u64) as usize;
    match time {
        3 => list.truncate(at),
        4 => list.push(random_series(numbers)),
        5 => list[at] = random_series(numbers),
        6 => list.swap(0, at),
        7 => list[at]
            .samples
            .iter_mut()
            .for_each(|sample| sample.value = f64::from_bits(STALE)),
        _ => {}
    }
    list
}

#[test]
fn messages_that_come_again_are_the_same_bytes_as_without_memory() {
    let mut numbers = Numbers(11);
    for room in [ROOM, 64 * 1024] {
        let mut memory = Memory::new(room);
        for round in 0..40 {
            let count = if round % 20 == 19 { 6_000 } else { 30 };
            let list: Vec<_> = (0..count).map(|_| random_series(&mut numbers)).collect();
            for time in 0..10 {
                let body = request_v1(again(&list, time, &mut numbers));
                let known = memory.decode(&body, &wide());
                if room < ROOM && known.is_none() {
                    memory.catalog.clear();
                    continue;
                }
                let expected = usual(&body, &wide());
                assert!(known == Some(expected), "round {round}, time {time}");
            }
        }
    }
}

#[test]
fn messages_end_where_those_of_the_builder_do() {
    let tags: Vec<String> = (0..12).map(|n| format!("tag_{n}")).collect();
    let one = |n: usize| {
        let values: Vec<String> = (0..12).map(|k| format!("value-{}", n * (k + 1))).collect();
        let mut labels = vec![("__name__", "m")];
        labels.extend(
            tags.iter()
                .zip(&values)
                .map(|(k, v)| (k.as_str(), v.as_str())),
        );
        series(&labels, &[(TS, n as f64)])
    };
    let body = request_v1((0..20_000).map(one).collect());
    let expected = usual(&body, &wide());
    assert!(expected.messages.len() > 2, "{}", expected.messages.len());
    assert!(Memory::new(4 * ROOM).decode(&body, &wide()) == Some(expected));
}

#[test]
fn whatever_needs_a_closer_look_takes_the_usual_way() {
    let mut rows = 0;
    let name = ("__name__", "m");
    let good = || series(&[name, ("a", "b")], &[(TS, 1.0)]);
    let mut check = |what: &str, timeseries: Vec<v1::TimeSeries>, limits: &Limits| {
        let body = request_v1(timeseries);
        let mut memory = Memory::new(ROOM);
        memory.decode(&request_v1(vec![good()]), &wide()).unwrap();
        assert_eq!(memory.decode(&body, limits), None, "{what}");
        let after = memory.decode(&request_v1(vec![good()]), &wide());
        assert!(after.is_some(), "{what}: nothing is left of it");
        rows += 1;
    };
    let mut refused = |what: &str, labels: &[(&str, &str)], ts| {
        check(what, vec![good(), series(labels, &[(ts, 1.0)])], &limits());
    };
    let long = "x".repeat(1_025);
    refused("no name", &[("a", "b")], TS);
    refused("an empty name", &[("__name__", "")], TS);
    refused("a key twice", &[name, ("a", "b"), ("a", "c")], TS);
    refused("an empty key", &[name, ("", "b")], TS);
    refused("an empty value", &[name, ("a", "")], TS);
    refused("a long value", &[name, ("a", &long)], TS);
    refused("a time before 1970", &[name], -1);
    refused("a time that has not come", &[name], TS + 60_001);
    refused("hours apart", &[name], TS - 3_600_001);
    let keys: Vec<String> = (0..9).map(|n| format!("k{n}")).collect();
    let mut many = vec![name];
    many.extend(keys.iter().map(|key| (key.as_str(), "v")));
    refused("many tags", &many, TS);
    let two = Limits {
        points: 2,
        ..limits()
    };
    check("many points", vec![good(), good(), good()], &two);
    let mut histogram = good();
    histogram.histograms.push(Default::default());
    check("a histogram", vec![histogram], &limits());
    let mut text = good();
    text.labels[1].value = vec![0xff];
    check("no UTF-8", vec![text], &limits());
    assert_eq!(rows, 13);
}

#[test]
fn malformed_requests_are_for_the_usual_way_to_refuse() {
    let good = request_v1(vec![series(&[("__name__", "m"), ("a", "b")], &[(TS, 1.0)])]);
    let mut memory = Memory::new(ROOM);
    assert!(memory.decode(&good, &wide()).is_some());
    for end in 1..good.len() {
        assert_eq!(memory.decode(&good[..end], &wide()), None, "cut at {end}");
    }
    let mut within = good.clone();
    within[1] -= 1;
    assert_eq!(memory.decode(&within, &wide()), None);
    // Labels that claim more than there is, by one byte of length and by two.
    for labels in [&[0x0a, 5, 0x0a, 9][..], &[0x0a, 2, 0x0a, 0xff, 0x7f]] {
        assert_eq!(memory.decode(labels, &wide()), None, "{labels:?}");
    }
}

#[test]
fn a_full_catalog_takes_nothing_more_and_forgets_nothing() {
    let body = |n: usize| {
        let value = format!("v{n}");
        request_v1(vec![series(
            &[("__name__", "m"), ("a", &value)],
            &[(TS, 1.0)],
        )])
    };
    let mut memory = Memory::new(8 * 1024);
    let fit = (0..).take_while(|n| memory.decode(&body(*n), &wide()).is_some());
    let fit = fit.count();
    assert!(fit > 2 && memory.catalog.is_full(), "{fit} fit");
    assert!(memory.catalog.bytes() <= 8 * 1024);
    assert!(memory.decode(&body(0), &wide()) == Some(usual(&body(0), &wide())));
    assert_eq!(memory.decode(&body(fit), &wide()), None);
    memory.catalog.clear();
    assert!(memory.decode(&body(fit), &wide()) == Some(usual(&body(fit), &wide())));
}
