//! An organization too large for one partition: its series lie in several.
//!
//! The partition that the stream gives an organization is its home. Spread over `k`, it has the `k`
//! partitions from there on, round the end. Whoever publishes puts each series into one of them
//! (`ingest.<partition>.<org>`); every partition closes its own part of a window, and the home
//! folds the parts, in the order of the partitions. So a value stays a function of the streams.

use crate::identity::Org;

/// One of the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub partition: u32,
    pub partitions: u32,
}

impl Place {
    /// Whether windows of an organization that are spread so wide have a part here.
    pub fn serves(self, org: &Org, spread: u32) -> bool {
        let home = home(org, self.partitions);
        let distance = (self.partition + self.partitions - home) % self.partitions;
        distance < spread
    }

    pub fn is_home(self, org: &Org) -> bool {
        self.serves(org, 1)
    }
}

/// The partition that the stream's subject transform gives an organization: FNV-1a of its name.
pub fn home(org: &Org, partitions: u32) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = org.as_str().bytes().fold(0x811c_9dc5, step);
    hash % partitions
}

/// The partitions of windows that are spread over `spread`, ascending.
pub fn sources(org: &Org, spread: u32, partitions: u32) -> Vec<u32> {
    let place = |partition| Place {
        partition,
        partitions,
    };
    (0..partitions)
        .filter(|partition| place(*partition).serves(org, spread))
        .collect()
}

/// The partition of a series, by any hash of it that does not change.
pub fn partition_of(org: &Org, spread: u32, partitions: u32, series_hash: u64) -> u32 {
    let spread = spread.clamp(1, partitions);
    let step = (series_hash % u64::from(spread)) as u32;
    (home(org, partitions) + step) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> Org {
        Org::parse(name).unwrap()
    }

    #[test]
    fn partitions_of_an_organization() {
        let acme = org("acme");
        let home = home(&acme, 4);
        assert_eq!(sources(&acme, 1, 4), [home]);
        assert_eq!(sources(&acme, 4, 4), [0, 1, 2, 3]);
        assert_eq!(sources(&acme, 9, 4), [0, 1, 2, 3]);
        let three = sources(&acme, 3, 4);
        assert!(three.len() == 3 && three.contains(&home) && three.is_sorted());
        for hash in 0..100 {
            assert!(three.contains(&partition_of(&acme, 3, 4, hash)));
            assert_eq!(partition_of(&acme, 1, 4, hash), home);
        }
    }
}
