//! A reader that trusts every byte: loops without a check, as one would write them in C.
//!
//! What it is given must be a valid message; on anything else its behaviour is undefined. It is the
//! bar that the codec is measured by, and serves nothing else.

use crate::columns::{Columns, Part};
use ratchet_codec::payload::{Column, Header, HEADER_LEN, SPARSE};

/// Decodes a part of the message at `message`.
///
/// # Safety
/// `message` must point to a valid message with that header.
pub(crate) unsafe fn decode(part: Part, header: &Header, message: *const u8, out: &mut Columns) {
    let column = |column: Column| entry(message, column.index());
    let (strings, keys) = (header.strings as usize, header.keys as usize);
    let (sets, points) = (header.sets as usize, header.points as usize);
    if part.has(Part::Strings) {
        bounds(column(Column::StringLengths).0, strings, &mut out.bounds);
    }
    if part.has(Part::KeyIds) {
        numbers(column(Column::KeyIds).0, keys, &mut out.key_ids);
    }
    if part.has(Part::MetricIds) {
        numbers(column(Column::MetricIds).0, sets, &mut out.metric_ids);
    }
    if part.has(Part::SetIds) {
        numbers(column(Column::SetIds).0, points, &mut out.set_ids);
    }
    if part.has(Part::Timestamps) {
        let at = column(Column::Timestamps).0;
        timestamps(at, points, header.min_ts, &mut out.timestamps);
    }
    if part.has(Part::Values) {
        let at = column(Column::Values).0;
        fill(&mut out.values, points, |to| {
            core::ptr::copy_nonoverlapping(at, to.cast::<u8>(), 8 * points);
        });
    }
    if part.has(Part::Keys) {
        out.hold_keys(header.keys);
        for (key, values) in (0..header.keys).zip(&mut out.keys) {
            let (at, length) = column(Column::Key(key));
            if length & SPARSE == 0 {
                numbers(at, sets, values);
            } else {
                sparse(at, sets, values);
            }
        }
    }
}

/// Decodes a run of `count` numbers into `out`.
///
/// # Safety
/// The run must be whole, and four bytes beyond it readable; `out` must have room.
#[inline(always)]
pub(crate) unsafe fn run(at: *const u8, count: usize, out: *mut u32) {
    each(at, count, |n, number| *out.add(n) = number);
}

/// Calls `visit` with each index and number of a run.
#[inline(always)]
unsafe fn each(at: *const u8, count: usize, mut visit: impl FnMut(usize, u32)) {
    let mut data = at.add(count.div_ceil(4));
    let mut n = 0;
    // Several groups a turn: at its end a guest looks whether its time is up.
    while n + 4 * GROUPS <= count {
        for group in 0..GROUPS {
            four(*at.add(n / 4 + group), &mut data, n + 4 * group, &mut visit);
        }
        n += 4 * GROUPS;
    }
    while n + 4 <= count {
        four(*at.add(n / 4), &mut data, n, &mut visit);
        n += 4;
    }
    while n < count {
        let code = (*at.add(n / 4) >> (2 * (n % 4))) & 3;
        visit(n, next(&mut data, code));
        n += 1;
    }
}

const GROUPS: usize = 4;

/// The four numbers of a control byte.
#[inline(always)]
unsafe fn four(control: u8, data: &mut *const u8, n: usize, visit: &mut impl FnMut(usize, u32)) {
    visit(n, next(data, control & 3));
    visit(n + 1, next(data, (control >> 2) & 3));
    visit(n + 2, next(data, (control >> 4) & 3));
    visit(n + 3, next(data, control >> 6));
}

static MASKS: [u32; 4] = [0xff, 0xffff, 0xff_ffff, u32::MAX];

#[inline(always)]
unsafe fn next(data: &mut *const u8, code: u8) -> u32 {
    let number = data.cast::<u32>().read_unaligned() & *MASKS.get_unchecked(code as usize);
    *data = data.add(code as usize + 1);
    number
}

unsafe fn entry(message: *const u8, column: usize) -> (*const u8, u32) {
    let entry = message.add(HEADER_LEN + 8 * column).cast::<u32>();
    let (offset, length) = (entry.read_unaligned(), entry.add(1).read_unaligned());
    (message.add(offset as usize), length)
}

/// Makes `out` hold the `count` elements that `write` puts there.
#[inline(always)]
unsafe fn fill<T>(out: &mut Vec<T>, count: usize, write: impl FnOnce(*mut T)) {
    out.clear();
    out.reserve(count);
    write(out.as_mut_ptr());
    out.set_len(count);
}

unsafe fn numbers(at: *const u8, count: usize, out: &mut Vec<u32>) {
    fill(out, count, |to| run(at, count, to));
}

unsafe fn bounds(at: *const u8, count: usize, out: &mut Vec<u32>) {
    fill(out, count + 1, |to| {
        let mut end = 0;
        *to = 0;
        each(at, count, |n, length| {
            end += length;
            *to.add(n + 1) = end;
        });
    });
}

unsafe fn timestamps(at: *const u8, count: usize, base: i64, out: &mut Vec<i64>) {
    fill(out, count, |to| {
        let mut last = base;
        each(at, count, |n, code| {
            last += difference(code);
            *to.add(n) = last;
        });
    });
}

#[inline(always)]
fn difference(code: u32) -> i64 {
    i64::from((code >> 1) as i32 ^ -((code & 1) as i32))
}

unsafe fn sparse(at: *const u8, sets: usize, out: &mut Vec<u32>) {
    let pairs = at.cast::<u32>().read_unaligned() as usize;
    let control = at.add(4);
    let mut data = control.add((2 * pairs).div_ceil(4));
    fill(out, sets, |to| {
        core::ptr::write_bytes(to, 0, sets);
        let mut set = 0;
        for pair in 0..pairs {
            let codes = *control.add(pair / 2) >> (4 * (pair % 2));
            set += next(&mut data, codes & 3) as usize;
            *to.add(set) = next(&mut data, (codes >> 2) & 3);
        }
    });
}
