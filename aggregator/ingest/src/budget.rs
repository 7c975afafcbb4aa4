//! Bytes that requests may hold in memory: all together, and those of one organization.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::organization::Org;
use crate::refusal::Refusal;

/// What is held at the moment, and how much that may be. Cloning shares it.
#[derive(Clone)]
pub struct Budget {
    held: Arc<Mutex<Held>>,
    total: usize,
    share: usize,
}

#[derive(Default)]
struct Held {
    all: usize,
    /// Of whom anything is held.
    of: HashMap<Org, usize>,
}

impl Budget {
    /// An organization has three quarters at most, so that none takes the others' room, however
    /// slow its requests are. The largest request that the limits of bodies allow fits.
    pub fn new(bytes: usize) -> Self {
        Self {
            held: Arc::default(),
            total: bytes,
            share: bytes - bytes / 4,
        }
    }

    /// A reservation of nothing yet, for a request of an organization.
    pub fn reservation(&self, org: &Org) -> Reservation {
        Reservation {
            budget: self.clone(),
            org: org.clone(),
            before: 0,
            bytes: 0,
        }
    }

    /// Bytes that are reserved.
    pub fn used(&self) -> usize {
        self.held.lock().all
    }
}

/// Bytes of one request; they are free again when it is dropped.
pub struct Reservation {
    budget: Budget,
    org: Org,
    /// Bytes that its request has besides.
    before: usize,
    bytes: usize,
}

impl Reservation {
    /// Reserves more for a part of the request's time.
    pub fn beside(&self, bytes: usize) -> Result<Self, Refusal> {
        let mut more = self.budget.reservation(&self.org);
        more.before = self.before + self.bytes;
        more.grow(bytes)?;
        Ok(more)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reserves more, before memory is allocated for it. Nobody waits: what does not fit is
    /// refused, so that the sender waits instead, without a connection held open.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Budget { held, total, share } = &self.budget;
        // What fits beside nothing else of its organization.
        if bytes > share - self.before - self.bytes {
            return Err(Refusal::TooLarge(format!(
                "the request needs more than the {share} bytes that an organization may have"
            )));
        }
        let mut held = held.lock();
        let own = held.of.get(&self.org).copied().unwrap_or(0);
        if bytes > share - own || bytes > total - held.all {
            return Err(Refusal::Overloaded);
        }
        held.all += bytes;
        held.of.insert(self.org.clone(), own + bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.budget.held.lock();
        held.all -= self.bytes;
        if let Some(own) = held.of.get_mut(&self.org) {
            *own -= self.bytes;
            if *own == 0 {
                held.of.remove(&self.org);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> Org {
        Org::parse(name).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_refused_and_returns_when_dropped() {
        let budget = Budget::new(100);
        let mut first = budget.reservation(&org("acme"));
        first.grow(1).unwrap();
        first.grow(59).unwrap();
        assert_eq!(budget.used(), 60);
        let mut second = budget.reservation(&org("globex"));
        second.grow(40).unwrap();
        assert_eq!(second.grow(1), Err(Refusal::Overloaded));
        drop(first);
        second.grow(35).unwrap();
        assert_eq!(budget.used(), 75);
        assert!(matches!(second.grow(1), Err(Refusal::TooLarge(_))));
        assert!(matches!(second.grow(usize::MAX), Err(Refusal::TooLarge(_))));
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_a_request_needs_for_a_while_is_its_own() {
        let budget = Budget::new(100);
        let mut held = budget.reservation(&org("acme"));
        held.grow(50).unwrap();
        // Coming again would not help, however little others have.
        assert!(matches!(held.beside(26).err(), Some(Refusal::TooLarge(_))));
        let more = held.beside(25).unwrap();
        assert_eq!(budget.used(), 75);
        assert_eq!(held.beside(1).err(), Some(Refusal::Overloaded));
        drop(more);
        assert_eq!(budget.used(), 50);
    }

    #[test]
    fn one_organization_leaves_room_for_others() {
        let budget = Budget::new(100);
        let mut slow: Vec<_> = (0..5).map(|_| budget.reservation(&org("acme"))).collect();
        let granted: Vec<_> = slow.iter_mut().map(|held| held.grow(18)).collect();
        // The fifth would have 90 of it.
        let expected = [Ok(()), Ok(()), Ok(()), Ok(()), Err(Refusal::Overloaded)];
        assert_eq!(granted, expected);
        let mut other = budget.reservation(&org("globex"));
        other.grow(25).unwrap();
        assert_eq!(other.grow(4), Err(Refusal::Overloaded), "of all together");
        drop(other);
        // What is refused takes nothing, and what ends leaves its room to the others.
        assert_eq!(budget.used(), 72);
        slow.remove(0);
        slow[3].grow(18).unwrap();
        drop(slow);
        assert!(budget.held.lock().of.is_empty(), "nobody is remembered");
    }
}
