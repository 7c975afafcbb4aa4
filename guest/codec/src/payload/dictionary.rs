//! The dictionary of a message: its strings by id.

use crate::error::DecodeError;
use alloc::vec::Vec;

/// The strings of a message, each exactly once, addressed by id.
#[derive(Clone, Copy)]
pub struct Strings<'a> {
    bytes: &'a [u8],
    /// Where each string starts, and last where the last one ends.
    bounds: &'a [u32],
}

impl<'a> Strings<'a> {
    /// Turns `bounds`, a zero and then the length of each string, into offsets.
    pub(super) fn new(bytes: &'a [u8], bounds: &'a mut Vec<u32>) -> Result<Self, DecodeError> {
        let mut end: u64 = 0;
        for bound in bounds.iter_mut() {
            end += u64::from(*bound);
            *bound = end as u32;
        }
        // Offsets only rise, so if the last is in range then all are, and none was cut.
        if end > bytes.len() as u64 {
            return Err(DecodeError::Truncated);
        }
        Ok(Strings { bytes, bounds })
    }

    /// How many strings there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Whether there are none. A valid message has at least one.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// String `id`; empty when there is none of that id (no valid string is empty).
    #[inline]
    pub fn get(&self, id: u32) -> &'a [u8] {
        let id = id as usize;
        match (self.bounds.get(id), self.bounds.get(id.wrapping_add(1))) {
            (Some(&start), Some(&end)) => {
                self.bytes.get(start as usize..end as usize).unwrap_or(&[])
            }
            _ => &[],
        }
    }

    /// All strings in the order of their ids.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let bytes = self.bytes;
        self.bounds
            .windows(2)
            .map(move |pair| bytes.get(pair[0] as usize..pair[1] as usize).unwrap_or(&[]))
    }
}
