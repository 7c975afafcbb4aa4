//! The fuzz target: messages and near misses of every kind, as many as PROPTEST_CASES says.

use crate::agreement::agree;
use crate::config;
use crate::faults::{damage, faults, Damage, Fault};
use crate::messages::{build, parts, points, Point};
use crate::naive::reader;
use crate::naive::writer::Parts;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::collections::BTreeMap;

proptest! {
    #![proptest_config(config(400))]

    /// The codec's writer says what it was told.
    #[test]
    fn written_points_are_read((points, count) in points()) {
        let bytes = build(&points, count);
        agree(&bytes).unwrap();
        prop_assert_eq!(read_back(&bytes, count), with_tags(&points));
    }

    /// Whatever the format allows is accepted, not only what the codec's writer makes of it.
    #[test]
    fn whatever_is_valid_is_accepted(parts in parts()) {
        agree(&parts.write()).unwrap();
    }

    #[test]
    fn any_bytes_at_all(bytes in vec(any::<u8>(), 0..400), magic: bool) {
        let mut bytes = bytes;
        if magic && bytes.len() >= 8 {
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(b"RTP1");
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
        }
        agree(&bytes).unwrap_err();
    }
}

/// Writers that err: `validate` refuses what the naive reader refuses, and nothing else.
#[test]
fn parts_that_do_not_fit() {
    let bytes = |(parts, faults): (Parts, Vec<Fault>)| {
        let mut parts = parts;
        faults.iter().for_each(|fault| fault.apply(&mut parts));
        parts.write()
    };
    survey((parts(), faults()).prop_map(bytes), 15);
}

/// Bytes that were damaged on their way.
#[test]
fn bytes_that_were_damaged() {
    let bytes = |(message, damage): (Vec<u8>, Vec<Damage>)| {
        let mut bytes = message;
        damage.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    };
    let written = points().prop_map(|(points, count)| build(&points, count));
    let message = prop_oneof![parts().prop_map(|parts| parts.write()), written];
    survey((message, damage()).prop_map(bytes), 10);
}

/// Both readers agree on all of these bytes, which are refused for at least so many reasons, and
/// accepted at times: else they would be no test.
fn survey(bytes: impl Strategy<Value = Vec<u8>>, least_reasons: usize) {
    let seen: RefCell<BTreeMap<&str, u32>> = RefCell::default();
    let config = config(1_500);
    let enough = config.cases >= 1_500;
    let result = TestRunner::new(config).run(&bytes, |bytes| {
        let verdict = agree(&bytes).map_or_else(|error| error.reason(), |_| "accepted");
        *seen.borrow_mut().entry(verdict).or_default() += 1;
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    let reached = seen.len() > least_reasons && seen.contains_key("accepted");
    assert!(reached || !enough, "{seen:?}");
}

/// The points of a message by the naive reader.
fn read_back(bytes: &[u8], count: Option<u32>) -> Vec<Point> {
    let content = reader::read(bytes).unwrap();
    let points = content.set_ids.len();
    assert_eq!(content.counts, count.map(|count| vec![count; points]));
    let text = |id: u32| String::from_utf8(content.strings[id as usize].clone()).unwrap();
    let point = |n: usize| {
        let set = content.set_ids[n] as usize;
        let columns = content.key_ids.iter().zip(&content.keys);
        let tags = columns.filter(|(_, column)| column[set] != 0);
        (
            text(content.metric_ids[set]),
            tags.map(|(&key, column)| (text(key), text(column[set] - 1)))
                .collect(),
            content.timestamps[n],
            content.values[n],
        )
    };
    (0..points).map(point).collect()
}

/// A tag with an empty value is an absent tag.
fn with_tags(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    for (_, tags, _, _) in &mut points {
        tags.retain(|_, value| !value.is_empty());
    }
    points
}
