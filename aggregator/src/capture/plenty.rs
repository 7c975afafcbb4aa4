//! Of whom enough is captured.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use ratchet_trust::ConfigurationDigest;

use crate::identity::Org;

/// So many messages for each purpose are plenty: twice what the evolver waits for by default.
const PLENTY: usize = 128;

/// By organization the configuration of which plenty is held: one, the last that it was told of.
#[derive(Clone, Default)]
pub struct Plenty(Arc<RwLock<HashMap<Org, ConfigurationDigest>>>);

impl Plenty {
    pub fn is_held(&self, org: &Org, configuration: ConfigurationDigest) -> bool {
        self.0.read().get(org) == Some(&configuration)
    }

    /// Takes note of how many messages are held for the purpose that has fewer.
    pub fn tell(&self, org: &Org, configuration: ConfigurationDigest, held: usize) {
        let (known, now) = (self.is_held(org, configuration), held >= PLENTY);
        match (known, now) {
            (false, true) => drop(self.0.write().insert(org.clone(), configuration)),
            (true, false) => drop(self.0.write().remove(org)),
            (false, false) | (true, true) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratchet_trust::Sha256Digest;

    #[test]
    fn plenty_is_of_one_configuration() {
        let plenty = Plenty::default();
        let org = |name| Org::parse(name).unwrap();
        let digest = |byte| ConfigurationDigest(Sha256Digest::from_bytes([byte; 32]));
        let (acme, old, new) = (org("acme"), digest(1), digest(2));
        let told = [(old, 127), (old, 128), (new, 3), (old, 500), (new, 128)];
        let held = told.map(|(configuration, held)| {
            plenty.tell(&acme, configuration, held);
            (plenty.is_held(&acme, old), plenty.is_held(&acme, new))
        });
        let (none, of_old, of_new) = ((false, false), (true, false), (false, true));
        assert_eq!(held, [none, of_old, of_old, of_old, of_new]);
        plenty.tell(&acme, new, 0);
        assert!(!plenty.is_held(&acme, new), "the stream was emptied");
        assert!(!plenty.is_held(&org("other"), new));
    }
}
