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
    let strings = built.strings.texts();
    let mut order: Vec<usize> = (0..built.keys.len()).collect();
    order.sort_unstable_by_key(|&key| &strings[built.keys[key].0 as usize]);
    Some(Parts {
        lengths: strings.iter().map(|s| s.len() as u32).collect(),
        text: strings.concat(),
        key_ids: order.iter().map(|&key| built.keys[key].0).collect(),
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
    let column = |&key: &usize| KeyColumn::new(&key_values(built, key as u32));
    order.iter().map(column).collect()
}

/// The string id + 1 of a key's value in each tag-set; 0 where the tag is absent.
fn key_values(built: &MessageBuilder, key: u32) -> Vec<u32> {
    let value = |set: &Set| match set.tags.binary_search_by_key(&key, |&(key, _)| key) {
        Ok(at) => set.tags[at].1 + 1,
        Err(_) => 0,
    };
    built.sets.iter().map(value).collect()
}
