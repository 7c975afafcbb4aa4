//! Bytes that requests may hold in memory, all together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// A permit of the semaphore stands for so many bytes, so that any budget fits its counter.
const GRAIN: usize = 1024;

/// What is free at the moment. Cloning shares it.
#[derive(Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    total: usize,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        let total = bytes / GRAIN;
        Self {
            free: Arc::new(Semaphore::new(total)),
            total,
        }
    }

    /// A reservation of nothing yet.
    pub fn reservation(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            permit: None,
            grains: 0,
            bytes: 0,
        }
    }

    /// Bytes that are reserved.
    pub fn used(&self) -> usize {
        (self.total - self.free.available_permits()) * GRAIN
    }
}

/// Bytes of one request; they are free again when it is dropped.
pub struct Reservation {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
    grains: usize,
    bytes: usize,
}

impl Reservation {
    /// Reserves more, before memory is allocated for it. Nobody waits: what does not fit is
    /// refused, so that the sender waits instead, without a connection held open.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let wanted = (self.bytes + bytes).div_ceil(GRAIN);
        if wanted > self.budget.total {
            let most = self.budget.total * GRAIN;
            return Err(Refusal::TooLarge(format!(
                "the request needs more than the {most} bytes that there are for all"
            )));
        }
        let more = u32::try_from(wanted - self.grains).unwrap_or(u32::MAX);
        if more > 0 {
            let free = self.budget.free.clone();
            let permit = free
                .try_acquire_many_owned(more)
                .map_err(|_| Refusal::Overloaded)?;
            match &mut self.permit {
                Some(held) => held.merge(permit),
                None => self.permit = Some(permit),
            }
        }
        self.grains = wanted;
        self.bytes += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_returns_when_dropped() {
        let budget = Budget::new(10 * GRAIN);
        let mut first = budget.reservation();
        first.grow(1).unwrap();
        first.grow(6 * GRAIN).unwrap();
        assert_eq!(budget.used(), 7 * GRAIN);
        let mut second = budget.reservation();
        second.grow(3 * GRAIN).unwrap();
        assert_eq!(second.grow(1), Err(Refusal::Overloaded));
        drop(first);
        second.grow(7 * GRAIN).unwrap();
        assert_eq!(budget.used(), 10 * GRAIN);
        assert!(matches!(second.grow(1), Err(Refusal::TooLarge(_))));
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
