//! What a finished message says, column by column.

use super::columns::KeyColumn;
use super::message::{message as encode, Parts};
use super::{MessageBuilder, Set};
use alloc::vec::Vec;

/// The bytes of the message. Strings, tag-sets and points keep the order of their first use.
pub(super) fn message(built: &MessageBuilder) -> Vec<u8> {
    let parts = parts(built).expect("invariant: the builder takes no more than so many tag-sets");
    encode(&parts).expect("invariant: the builder keeps the limits of the format")
}

fn parts(built: &MessageBuilder) -> Option<Parts> {
    let strings = &built.strings;
    let mut order: Vec<usize> = (0..built.keys.len()).collect();
    order.sort_unstable_by_key(|&key| strings.get(built.keys[key]));
    Some(Parts {
        lengths: strings.lengths(),
        text: strings.bytes().to_vec(),
        key_ids: order.iter().map(|&key| built.keys[key]).collect(),
        metrics: built.sets.iter().map(|set| set.metric).collect(),
        sets: built.points.iter().map(|point| point.set).collect(),
        times: built.points.iter().map(|point| point.ts).collect(),
        values: built
            .points
            .iter()
            .map(|point| point.value.to_bits())
            .collect(),
        counts: built.counts.clone(),
        keys: key_columns(built, &order)?,
        min_ts: built.min_ts,
        max_ts: built.max_ts,
    })
}

/// The column of each key, in this order.
fn key_columns(built: &MessageBuilder, order: &[usize]) -> Option<Vec<KeyColumn>> {
    let mut next: Vec<u32> = built.sets.iter().map(|set| set.begin).collect();
    let mut columns = Vec::with_capacity(order.len());
    for key in 0..order.len() as u32 {
        columns.push(KeyColumn::new(&key_values(built, key, &mut next)));
    }
    let columns = order.iter().map(|&key| columns[key].take());
    columns.collect()
}

/// The string id + 1 of a key's value in each tag-set; 0 where the tag is absent. Tags are sorted
/// by the index of their keys, and keys are asked for in that order: `next` tells of each tag-set
/// which of its tags comes next.
fn key_values(built: &MessageBuilder, key: u32, next: &mut [u32]) -> Vec<u32> {
    let value = |(set, next): (&Set, &mut u32)| match built.pairs.get(*next as usize) {
        Some(&(own, value)) if own == key && *next < set.end => {
            *next += 1;
            value + 1
        }
        _ => 0,
    };
    built.sets.iter().zip(next).map(value).collect()
}
