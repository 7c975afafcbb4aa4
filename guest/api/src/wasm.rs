//! The guest side of the world, on wasm32: the canonical ABI by hand.
//!
//! Hand-written so that no byte is copied in the guest: before it asks for a range of the message,
//! the guest names where the bytes shall land, and `cabi_realloc` hands the host that very place.

#![allow(unsafe_code)]

use crate::payload::{Header, Source};
use crate::{Aggregate, DecodeError, Message, Records};
use alloc::alloc::{alloc, realloc, Layout};
use alloc::vec::Vec;
use core::cell::{Cell, UnsafeCell};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

#[link(wasm_import_module = "ratchet:guest/payload@1.0.0")]
extern "C" {
    #[link_name = "read"]
    fn payload_read(offset: u32, len: u32, result: *mut [usize; 2]);
}

/// A value that only one thread ever sees, because a guest has only one.
struct Single<T>(T);

// SAFETY: the threads proposal is off in every engine that runs guests, so nothing is shared.
unsafe impl<T> Sync for Single<T> {}

/// Where the next list that the host passes in shall land; null when anywhere.
static LANDING: Single<Cell<*mut u8>> = Single(Cell::new(core::ptr::null_mut()));

/// Gives the host memory for a list: the landing place if one is set, else a new allocation.
#[no_mangle]
extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, len: usize) -> *mut u8 {
    let landing = LANDING.0.replace(core::ptr::null_mut());
    if !landing.is_null() {
        return landing;
    }
    if len == 0 {
        return align as *mut u8;
    }
    let Ok(layout) = Layout::from_size_align(if old_len == 0 { len } else { old_len }, align)
    else {
        core::arch::wasm32::unreachable()
    };
    // SAFETY: `layout` has a non-zero size; a non-empty `old` came from here with that layout.
    let place = unsafe {
        if old_len == 0 {
            alloc(layout)
        } else {
            realloc(old, layout, len)
        }
    };
    if place.is_null() {
        core::arch::wasm32::unreachable()
    }
    place
}

/// The message at the host.
struct Host;

impl Source for Host {
    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), DecodeError> {
        if into.is_empty() {
            return Ok(());
        }
        let place = into.as_mut_ptr();
        let mut result = [0usize; 2];
        LANDING.0.set(place);
        // SAFETY: the host writes `into.len()` bytes where `cabi_realloc` says, which is `place`,
        // and where they are and how many to `result`. Both are borrowed for the whole call.
        unsafe { payload_read(offset, into.len() as u32, &mut result) };
        LANDING.0.set(core::ptr::null_mut());
        if result == [place as usize, into.len()] {
            Ok(())
        } else {
            Err(DecodeError::Truncated)
        }
    }
}

/// The one instance of an aggregation in a guest, and its scratch space.
pub struct Guest<A>(Single<UnsafeCell<State<A>>>);

struct State<A> {
    aggregate: Option<A>,
    mirror: Vec<u8>,
    records: Records,
    result: [usize; 2],
}

impl<A: Aggregate> Guest<A> {
    /// A guest that has not seen its rules.
    pub const fn new() -> Self {
        Guest(Single(UnsafeCell::new(State {
            aggregate: None,
            mirror: Vec::new(),
            records: Records::new(),
            result: [0; 2],
        })))
    }

    /// The export `init`: the host passes a list that it made by `cabi_realloc`. Traps when the
    /// rules are refused.
    pub fn init(&self, rules: *mut u8, len: usize) {
        // SAFETY: exports are entered one at a time and none calls another, so this is the only
        // reference.
        let state = unsafe { &mut *self.0 .0.get() };
        // SAFETY: an empty list is a dangling pointer and capacity zero; any other one was
        // allocated by `cabi_realloc` with exactly this length, and is ours to free.
        let rules = unsafe { Vec::from_raw_parts(rules, len, len) };
        match A::new(&rules) {
            Ok(aggregate) => state.aggregate = Some(aggregate),
            Err(_) => core::arch::wasm32::unreachable(),
        }
    }

    /// The export `process`: answers where the packed records are, and how many bytes. They stay
    /// there until the next call. Traps before `init`, and when the message cannot be decoded.
    pub fn process(&self, header: Header) -> *const [usize; 2] {
        // SAFETY: as in `init`.
        let state = unsafe { &mut *self.0 .0.get() };
        let mut host = Host;
        let message = Message::new(header, &mut host, &mut state.mirror);
        let (Some(aggregate), Ok(mut message)) = (&mut state.aggregate, message) else {
            core::arch::wasm32::unreachable()
        };
        state.records.clear();
        if aggregate.process(&mut message, &mut state.records).is_err() {
            core::arch::wasm32::unreachable()
        }
        let records = state.records.as_slice();
        state.result = [records.as_ptr() as usize, core::mem::size_of_val(records)];
        &state.result
    }
}

impl<A: Aggregate> Default for Guest<A> {
    fn default() -> Self {
        Self::new()
    }
}
