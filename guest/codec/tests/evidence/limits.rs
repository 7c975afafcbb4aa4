//! Messages at the edges of every limit, and one step beyond.

use crate::agreement::agree;
use crate::naive::writer::{Key, Parts, Run};

/// One point of one tag-set, at time 1000.
fn small() -> Parts {
    Parts {
        counts: [1, 0, 1, 1],
        min_ts: 1_000,
        max_ts: 1_000,
        string_lengths: vec![1].into(),
        text: b"m".to_vec(),
        key_ids: Run::default(),
        metric_ids: vec![0].into(),
        set_ids: vec![0].into(),
        timestamps: vec![0].into(),
        values: vec![0],
        point_counts: None,
        keys: Vec::new(),
    }
}

fn check(name: &str, parts: &Parts, expected: Result<(), &str>) {
    let verdict = agree(&parts.write())
        .map(drop)
        .map_err(|error| error.reason());
    assert_eq!(verdict, expected, "{name}");
}

/// So many strings, all different.
fn with_strings(count: u32) -> Parts {
    let text = |n: u32| format!("{n:x}").into_bytes();
    let texts: Vec<Vec<u8>> = (0..count).map(text).collect();
    Parts {
        counts: [count, 0, 1, 1],
        string_lengths: texts
            .iter()
            .map(|text| text.len() as u32)
            .collect::<Vec<_>>()
            .into(),
        text: texts.concat(),
        ..small()
    }
}

fn with_keys(count: u32) -> Parts {
    let text = |n: u32| format!("{n:03}").into_bytes();
    let mut parts = small();
    parts.counts = [1 + count, count, 1, 1];
    parts.string_lengths.numbers.extend((0..count).map(|_| 3));
    parts.text.extend((0..count).flat_map(text));
    parts.key_ids = (1..=count).collect::<Vec<_>>().into();
    parts.keys = vec![Key::Dense(vec![1].into()); count as usize];
    parts
}

fn with_sets(count: u32) -> Parts {
    let mut parts = with_keys(2);
    parts.counts[2] = count;
    parts.metric_ids = vec![0; count as usize].into();
    parts.keys[0] = Key::Dense((0..count).map(|set| set % 4).collect::<Vec<_>>().into());
    let first_and_last = vec![0, 3, count.max(2) - 1, 2];
    parts.keys[1] = Key::Sparse(2, first_and_last.into());
    parts
}

fn with_points(count: u32) -> Parts {
    Parts {
        counts: [1, 0, 1, count],
        set_ids: vec![0; count as usize].into(),
        timestamps: vec![0; count as usize].into(),
        values: (0..u64::from(count)).collect(),
        point_counts: Some(vec![u32::MAX; count as usize].into()),
        ..small()
    }
}

#[test]
fn counts() {
    check("one of each", &small(), Ok(()));
    check("no string", &with_strings(0), Err("metric-id"));
    check("most strings", &with_strings(65_535), Ok(()));
    check("a string more", &with_strings(65_536), Err("strings"));
    check("most keys", &with_keys(256), Ok(()));
    check("a key more", &with_keys(257), Err("keys"));
    check("no tag-set", &with_sets(0), Err("sets"));
    check("most tag-sets", &with_sets(65_535), Ok(()));
    check("a tag-set more", &with_sets(65_536), Err("sets"));
    check("no point", &with_points(0), Err("points"));
    check("a point more", &with_points(65_537), Err("points"));
    // With their counts they leave no room for as many as there may be.
    let mut most = with_points(65_536);
    most.point_counts = None;
    check("most points", &most, Ok(()));
}

fn with_string_of(length: usize) -> Parts {
    Parts {
        counts: [2, 0, 1, 1],
        string_lengths: vec![1, length as u32].into(),
        text: [b"m".to_vec(), vec![b'x'; length]].concat(),
        ..small()
    }
}

#[test]
fn lengths_of_strings() {
    check("shortest", &with_string_of(1), Ok(()));
    check("empty", &with_string_of(0), Err("string-length"));
    check("longest", &with_string_of(1_024), Ok(()));
    check("too long", &with_string_of(1_025), Err("string-length"));
    let mut huge = with_string_of(4);
    huge.string_lengths.numbers[1] = u32::MAX;
    check("huge", &huge, Err("string-length"));
}

/// Two points at these times, first the later one.
fn with_times(min_ts: i64, max_ts: i64) -> Parts {
    let span = max_ts.wrapping_sub(min_ts) as u32;
    Parts {
        counts: [1, 0, 1, 2],
        min_ts,
        max_ts,
        set_ids: vec![0, 0].into(),
        timestamps: vec![span.wrapping_mul(2), span.wrapping_mul(2).saturating_sub(1)].into(),
        values: vec![0, 0],
        ..small()
    }
}

#[test]
fn times() {
    const LAST: i64 = 253_402_300_799_999;
    check("the first hour", &with_times(0, 3_600_000), Ok(()));
    check("the last hour", &with_times(LAST - 3_600_000, LAST), Ok(()));
    check(
        "more than an hour",
        &with_times(5, 3_600_006),
        Err("time-span"),
    );
    check("before 1970", &with_times(-1, 5), Err("time-range"));
    check("after 9999", &with_times(LAST, LAST + 1), Err("time-range"));
    check(
        "extremes",
        &with_times(i64::MIN, i64::MAX),
        Err("time-range"),
    );
    check("order", &with_times(6, 5), Err("time-order"));
    for (code, reason) in [(u32::MAX, "timestamp"), (u32::MAX - 1, "min-ts")] {
        let mut far = with_times(1_000, 2_000);
        far.timestamps.numbers = vec![code, 0];
        check("a far step", &far, Err(reason));
    }
}

/// Messages of exactly the greatest length, and the next longer one.
#[test]
fn length() {
    let message = |last: usize| {
        let mut parts = small();
        let lengths = std::iter::repeat_n(1_024, 1_021).chain([last]);
        for (n, length) in lengths.enumerate() {
            parts.counts[0] += 1;
            parts.string_lengths.numbers.push(length as u32);
            parts.text.extend(format!("{n:0length$}").into_bytes());
        }
        parts
    };
    let length = |last| message(last).write().len();
    let longest = (4..1_024).rfind(|&last| length(last) == 1 << 20).unwrap();
    assert_eq!(length(longest + 1), (1 << 20) + 8);
    check("longest", &message(longest), Ok(()));
    check("too long", &message(longest + 1), Err("too-long"));
}

/// A column may have an end anywhere between two multiples of eight, and none may lack a byte.
#[test]
fn cuts() {
    let parts = with_keys(3);
    let bytes = parts.write();
    for length in 0..bytes.len() {
        assert!(agree(&bytes[..length]).is_err(), "{length} bytes");
        let mut cut = bytes[..length].to_vec();
        if length >= 8 {
            cut[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        }
        assert!(agree(&cut).is_err(), "{length} bytes that say so");
    }
}
