//! Texts by number, and what was recognised by a fingerprint.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Fingerprints are uniform already: they hash to themselves.
#[derive(Default)]
pub struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }
}

/// Numbers by fingerprint.
pub type Numbers = HashMap<u128, u32, BuildHasherDefault<FingerprintHasher>>;

/// Memory of an entry, about: tables keep a byte beside each, and an eighth of them free.
pub const NUMBER_BYTES: usize = (size_of::<(u128, u32)>() + 1) * 8 / 7;

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
