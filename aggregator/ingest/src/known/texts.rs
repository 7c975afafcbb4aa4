//! Texts by number, and what was recognised by a fingerprint.

use crate::fingerprint::{entry_bytes, FingerprintMap};

/// Numbers by fingerprint.
pub type Numbers = FingerprintMap<u32>;

/// Memory of an entry, about.
pub const NUMBER_BYTES: usize = entry_bytes::<u32>();

/// Each text once.
#[derive(Default)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    numbers: Numbers,
}

impl Texts {
    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * (size_of::<u32>() + NUMBER_BYTES)
    }

    pub fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin as usize..self.ends[number] as usize]
    }

    pub fn intern(&mut self, fingerprint: u128, text: &[u8]) -> u32 {
        let (bytes, ends) = (&mut self.bytes, &mut self.ends);
        *self.numbers.entry(fingerprint).or_insert_with(|| {
            bytes.extend_from_slice(text);
            ends.push(bytes.len() as u32);
            ends.len() as u32 - 1
        })
    }
}
