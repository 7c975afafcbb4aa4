//! The contest as a guest: the world's functions by hand, over the standard library's allocator.
//!
//! The rules are one rule, whose id is `check` or `time`, and whose metric is the number of a task.
//! A message is a block. An instance keeps the first one, so that later calls do nothing but decode
//! it: once, for their time, or for the digest, which is the value of the one record.

use crate::block;
use crate::contestant::{Contestant, Task};
use core::cell::RefCell;
use std::alloc::{alloc, realloc, Layout};

#[link(wasm_import_module = "ratchet:guest/payload@1.0.0")]
extern "C" {
    #[link_name = "read"]
    fn payload_read(offset: u32, len: u32, result: *mut [usize; 2]);
}

struct State {
    task: Option<Task>,
    timed: bool,
    contestant: Option<Contestant>,
    record: [u8; 24],
    result: [usize; 2],
}

thread_local! {
    static STATE: RefCell<State> = const {
        RefCell::new(State {
            task: None,
            timed: false,
            contestant: None,
            record: [0; 24],
            result: [0; 2],
        })
    };
}

#[no_mangle]
extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, len: usize) -> *mut u8 {
    let known = if old_len == 0 { len } else { old_len };
    let layout = Layout::from_size_align(known, align).unwrap_or_else(|_| fail());
    // SAFETY: lists are not empty here, and `old` came from here with that layout.
    let place = unsafe {
        match old_len {
            0 => alloc(layout),
            _ => realloc(old, layout, len),
        }
    };
    if place.is_null() {
        fail()
    }
    place
}

#[export_name = "init"]
extern "C" fn init(rules: *mut u8, len: usize) {
    // SAFETY: the host made the list by `cabi_realloc`, and leaves it to the guest.
    let blob = unsafe { Vec::from_raw_parts(rules, len, len) };
    let rules = ratchet_rules::parse(&blob).unwrap_or_else(|_| fail());
    let [rule] = &rules[..] else { fail() };
    let number = core::str::from_utf8(&rule.metric).map(str::parse);
    STATE.with_borrow_mut(|state| {
        state.task = number.ok().and_then(Result::ok).and_then(Task::from_number);
        state.timed = &*rule.id == b"time";
    });
}

#[export_name = "process"]
extern "C" fn process(
    len: u32,
    _prefix: u32,
    _strings: u32,
    _keys: u32,
    _sets: u32,
    _points: u32,
    _min_ts: i64,
    _max_ts: i64,
) -> *const [usize; 2] {
    STATE.with_borrow_mut(|state| {
        let task = state.task.unwrap_or_else(|| fail());
        let contestant = state.contestant.get_or_insert_with(|| {
            let items = block::parse(&read(len)).unwrap_or_else(|| fail());
            Contestant::new(task, items).unwrap_or_else(|| fail())
        });
        let answer = match state.timed {
            true => contestant.pass().map(|()| 0),
            false => contestant.digest(),
        };
        // Fifty-three bits of it, which a number of the record holds exactly.
        let value = (answer.unwrap_or_else(|| fail()) >> 11) as f64;
        state.record[12] = 1;
        state.record[16..].copy_from_slice(&value.to_le_bytes());
        state.result = [state.record.as_ptr() as usize, state.record.len()];
        &raw const state.result
    })
}

fn read(len: u32) -> Vec<u8> {
    let mut result = [0usize; 2];
    // SAFETY: the host writes where the list is and how long to `result`; it made the list by
    // `cabi_realloc`, and leaves it to the guest.
    unsafe {
        payload_read(0, len, &mut result);
        Vec::from_raw_parts(result[0] as *mut u8, result[1], result[1])
    }
}

/// Ends the guest.
fn fail() -> ! {
    core::arch::wasm32::unreachable()
}
