//! Every control byte, decoded in every way there is.
//!
//! A guest decodes whole groups by SIMD, which is believed, and single values by code that is
//! proven: [`compare`] holds one against the other, wherever a group lies in a run and in memory.
//! The same code runs natively, where both are proven.

use crate::block::{Item, SLACK};
use crate::columns::fold;
use ratchet_codec::streamvbyte::{self, Decoder};
use ratchet_codec::DecodeError;

const ALIGNMENTS: usize = 16;
/// So many that some are decoded four at a time, and some after those.
const GROUPS: usize = 6;
const BYTES_MAX: usize = 16 * GROUPS;
/// How many bytes follow a run. With few of them its last groups cannot be loaded at once.
const BEYOND: [usize; 6] = [0, 1, 4, 12, 15, 16];
/// Bytes to decode.
const POOL: usize = ALIGNMENTS + BYTES_MAX + 16;

/// For each control byte, which is the item's count: random bytes, extreme ones, and the greatest.
pub fn every_control_byte() -> Vec<Item> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut items = Vec::new();
    for count in 0..=255 {
        let pools: [Vec<u8>; 3] = [
            (0..POOL).map(|_| random()).collect(),
            (0..POOL)
                .map(|_| [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff][usize::from(random() % 6)])
                .collect(),
            vec![0xff; POOL],
        ];
        items.extend(pools.map(|pool| Item {
            count,
            bytes: [&pool[..], &[0; SLACK]].concat(),
        }));
    }
    items
}

/// Whether this is an item of [`every_control_byte`].
pub(crate) fn is_item(item: &Item) -> bool {
    item.count <= 255 && item.bytes.len() == POOL + SLACK
}

/// Decodes the control byte of an item in each place of runs of up to six groups, its group being
/// whole or not, from each alignment, with few and with many bytes after the run. Answers a number
/// that stands for all that was decoded; `None` when two ways to decode differ.
pub(crate) fn compare(item: &Item) -> Option<u64> {
    let mut digest = 0;
    for place in 0..GROUPS {
        let control = control_with(item.count as u8, place);
        for count in (4 * place + 1..=4 * place + 4).chain([4 * GROUPS]) {
            for at in 0..ALIGNMENTS {
                digest = compare_run(&control, &item.bytes[at..], count, digest)?;
            }
        }
    }
    Some(digest)
}

/// A control byte among others.
fn control_with(byte: u8, place: usize) -> [u8; GROUPS] {
    let mut control = [0; GROUPS];
    for (n, other) in control.iter_mut().enumerate() {
        *other = byte.rotate_left(n as u32) ^ (n as u8).wrapping_mul(0x3b);
    }
    control[place] = byte;
    control
}

fn compare_run(control: &[u8], pool: &[u8], count: usize, digest: u64) -> Option<u64> {
    let control = &control[..count.div_ceil(4)];
    let len = streamvbyte::data_len(control, count).ok()?;
    let expected = by_value(control, &pool[..len], count)?;
    for beyond in BEYOND {
        let data = &pool[..len + beyond];
        let (mut whole, mut block) = ([0; 4 * GROUPS], [0; 4 * GROUPS]);
        let used = streamvbyte::decode(control, data, count, &mut whole);
        let mut decoder = Decoder::new(control, count).ok()?;
        let done = decoder.next_block(data, &mut block);
        let same = whole == expected && block == expected;
        if !same || used != Ok(len) || done != Ok(count) {
            return None;
        }
    }
    let mut whole = [0; 4 * GROUPS];
    let cut = streamvbyte::decode(control, &pool[..len - 1], count, &mut whole);
    (cut == Err(DecodeError::Truncated)).then(|| fold(digest, &expected))
}

/// Decodes one value at a time, for which no group is ever loaded.
fn by_value(control: &[u8], data: &[u8], count: usize) -> Option<[u32; 4 * GROUPS]> {
    let mut numbers = [0; 4 * GROUPS];
    let mut decoder = Decoder::new(control, count).ok()?;
    for number in &mut numbers[..count] {
        let window = &data[decoder.data_offset()..];
        let done = decoder.next_block(window, core::slice::from_mut(number));
        if done != Ok(1) {
            return None;
        }
    }
    Some(numbers)
}
