//! Which messages and series are held back from training.
//!
//! Decided by a keyed hash (HMAC-SHA-256 under the split key) of what identifies the message or the
//! series. The key never leaves the aggregators, so nobody who prepares traffic or candidates can
//! tell, or steer, what is held back.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::identity::Org;

/// Where a sampled message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    Training,
    Validation,
}

/// One series in so many is kept out of training messages.
pub const HELD_BACK_SERIES: u64 = 10;

#[derive(Clone)]
pub struct SplitKey {
    mac: Hmac<Sha256>,
}

#[derive(Debug, thiserror::Error)]
#[error("the split key has {0} bytes; at least 16 are needed")]
pub struct SplitKeyError(usize);

impl SplitKey {
    pub fn new(key: &[u8]) -> Result<Self, SplitKeyError> {
        if key.len() < 16 {
            return Err(SplitKeyError(key.len()));
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| SplitKeyError(key.len()))?;
        Ok(Self { mac })
    }

    /// Whether the message is in a sample of one in `one_in`, and where it goes then.
    pub fn destination(&self, org: &Org, sequence: u64, one_in: u32) -> Option<Destination> {
        let hash = self.hash(
            b"message",
            &[org.as_str().as_bytes(), &sequence.to_le_bytes()],
        );
        let sampled = (hash >> 1).is_multiple_of(u64::from(one_in.max(1)));
        let destination = if hash & 1 == 0 {
            Destination::Training
        } else {
            Destination::Validation
        };
        sampled.then_some(destination)
    }

    /// Whether a series, told by its metric and its tags in order of keys, is held back.
    pub fn holds_back(&self, org: &Org, series: &[u8]) -> bool {
        let hash = self.hash(b"series", &[org.as_str().as_bytes(), series]);
        hash.is_multiple_of(HELD_BACK_SERIES)
    }

    fn hash(&self, purpose: &[u8], parts: &[&[u8]]) -> u64 {
        let mut mac = self.mac.clone();
        mac.update(purpose);
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        let mut first = [0u8; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_in_halves_and_tenths() {
        let key = SplitKey::new(&[7; 32]).unwrap();
        let org = Org::parse("acme").unwrap();
        let mut counts = [0; 3];
        for sequence in 0..8000 {
            match key.destination(&org, sequence, 4) {
                Some(Destination::Training) => counts[0] += 1,
                Some(Destination::Validation) => counts[1] += 1,
                None => counts[2] += 1,
            }
        }
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
        assert!((900..1100).contains(&counts[1]), "{counts:?}");
        let held: usize = (0u32..5000)
            .filter(|i| key.holds_back(&org, &i.to_le_bytes()))
            .count();
        assert!((400..600).contains(&held), "{held}");
    }

    #[test]
    fn depends_on_key_and_organization() {
        let org = |name| Org::parse(name).unwrap();
        let key = |byte| SplitKey::new(&[byte; 16]).unwrap();
        let row = |key: SplitKey, org: Org| -> Vec<_> {
            (0..64)
                .map(|sequence| key.destination(&org, sequence, 1))
                .collect()
        };
        let base = row(key(1), org("a"));
        assert_eq!(base, row(key(1), org("a")));
        assert_ne!(base, row(key(2), org("a")));
        assert_ne!(base, row(key(1), org("b")));
        assert!(SplitKey::new(&[0; 15]).is_err());
    }
}
