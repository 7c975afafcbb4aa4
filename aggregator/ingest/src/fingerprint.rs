//! Tables by fingerprints: 128 bits that were hashed already, with a seed that no sender knows.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Values by fingerprint.
pub type FingerprintMap<V> = HashMap<u128, V, BuildHasherDefault<FingerprintHasher>>;

/// Memory of an entry, about: tables keep a byte beside each, and an eighth of them free.
pub const fn entry_bytes<V>() -> usize {
    (size_of::<(u128, V)>() + 1) * 8 / 7
}

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
