//! Partial records: what a guest answers.

use alloc::vec::Vec;

/// One partial: what one message contributes to a (rule, group, window).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(
        zerocopy::FromBytes,
        zerocopy::IntoBytes,
        zerocopy::Immutable,
        zerocopy::KnownLayout
    )
)]
#[repr(C)]
pub struct Record {
    /// Index of the rule in the rules blob.
    pub rule: u32,
    /// A tag-set of the group: stands for the group's values.
    pub set: u32,
    /// Windows since the one of the message's first timestamp.
    pub window: u32,
    /// How many points.
    pub count: u32,
    pub value: f64,
}

/// How many bytes a packed record takes.
pub const RECORD_LEN: usize = 24;

const _: () = assert!(core::mem::size_of::<Record>() == RECORD_LEN);

/// The records of one message. The memory is kept from message to message.
#[derive(Default)]
pub struct Records(Vec<Record>);

impl Records {
    /// No records.
    pub const fn new() -> Self {
        Records(Vec::new())
    }

    /// Adds one.
    #[inline(always)]
    pub fn push(&mut self, rule: u32, set: u32, window: u32, count: u32, value: f64) {
        self.0.push(Record {
            rule,
            set,
            window,
            count,
            value,
        });
    }

    /// Adds as many as the iterator has; where it tells how many these are, room is made once.
    #[inline(always)]
    pub fn extend(&mut self, records: impl Iterator<Item = Record>) {
        self.0.extend(records);
    }

    /// Makes room for `n` more.
    #[inline]
    pub fn reserve(&mut self, n: usize) {
        self.0.reserve(n);
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub fn as_slice(&self) -> &[Record] {
        &self.0
    }
}
