//! Ticks that not every organization has come to.
//!
//! Each organization comes to a tick in its own order: whoever has nothing waiting at once, whoever
//! has a backlog behind it, and nobody waits for anybody else. A checkpoint is of one place in the
//! stream. So each organization is noted down as it is when it comes to the tick, whatever it goes
//! on to; once the last one has come, that is the state at the tick, and it can be saved.

use std::collections::VecDeque;

use super::org::OrgState;
use crate::checkpoint::Checkpoint;

/// Ticks that are noted down; where there are more, some in between are forgotten. The newest never
/// is: somebody is behind a tick exactly as long as there is one.
const CUTS_MAX: usize = 64;

/// The state at a place in the stream.
pub struct Cut {
    checkpoint: Checkpoint,
    sequence: u64,
    received_ms: i64,
    /// How many organizations have not come to it.
    pub awaited: usize,
}

impl Cut {
    /// With nothing open; `base` says what it says of organizations that nothing is noted of.
    pub fn new(base: Checkpoint, sequence: u64, received_ms: i64) -> Self {
        let mut checkpoint = base;
        let tick_ms = checkpoint.tick_ms;
        // The tick alone puts the others there.
        checkpoint
            .times_ms
            .retain(|_, time_ms| Some(*time_ms) > tick_ms);
        checkpoint.position = sequence + 1;
        Self {
            checkpoint,
            sequence,
            received_ms,
            awaited: 0,
        }
    }

    /// Notes down what an organization has open, and how far its time has come.
    pub fn note(&mut self, org: &OrgState) {
        let checkpoint = &mut self.checkpoint;
        if let Some(sequence) = org.first_sequence() {
            checkpoint.position = checkpoint.position.min(sequence);
        }
        let time_ms = org.watermark.ms();
        if Some(time_ms) > checkpoint.tick_ms {
            checkpoint.times_ms.insert(org.org.to_string(), time_ms);
        }
        if !org.parts_ms().is_empty() {
            let parts_ms = org.parts_ms().clone();
            checkpoint.parts_ms.insert(org.org.to_string(), parts_ms);
        }
    }

    pub fn into_checkpoint(self) -> Checkpoint {
        self.checkpoint
    }

    pub fn received_ms(&self) -> i64 {
        self.received_ms
    }
}

/// In the order of the stream. Whoever awaits one awaits those after it, so they are complete in
/// that order.
#[derive(Default)]
pub struct Cuts(VecDeque<Cut>);

impl Cuts {
    pub fn push(&mut self, cut: Cut) {
        self.0.push_back(cut);
        if self.0.len() > CUTS_MAX {
            self.thin_out();
        }
    }

    /// Forgets the one whose neighbours lie closest together, so that all lie about as far apart.
    fn thin_out(&mut self) {
        let apart = |n: &usize| self.0[n + 1].sequence - self.0[n - 1].sequence;
        if let Some(closest) = (1..self.0.len() - 1).min_by_key(apart) {
            self.0.remove(closest);
        }
    }

    /// Whether nobody is behind a tick.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One that was awaited has come to a tick, if it is anybody.
    pub fn came(&mut self, sequence: u64, org: Option<&OrgState>) {
        let Some(cut) = self.0.iter_mut().find(|cut| cut.sequence == sequence) else {
            return;
        };
        cut.awaited = cut.awaited.saturating_sub(1);
        if let Some(org) = org {
            cut.note(org);
        }
    }

    /// Takes out the newest that is complete, and those before it.
    pub fn complete(&mut self) -> Option<Cut> {
        let complete = self.0.iter().take_while(|cut| cut.awaited == 0).count();
        self.0.drain(..complete).next_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Origin;

    #[test]
    fn the_newest_tick_is_never_forgotten() {
        let origin = Origin {
            stream: "INGEST".to_owned(),
            created_ms: 0,
            last_sequence: 0,
        };
        let mut cuts = Cuts::default();
        let ticks = 10 * CUTS_MAX as u64;
        for sequence in 1..=ticks {
            let mut cut = Cut::new(Checkpoint::new(&origin), sequence, 0);
            cut.awaited = 1;
            cuts.push(cut);
            assert!(cuts.0.len() <= CUTS_MAX);
            assert_eq!(cuts.0.back().map(|cut| cut.sequence), Some(sequence));
        }
        let mut saved = Vec::new();
        for sequence in 1..=ticks {
            assert!(!cuts.is_empty());
            cuts.came(sequence, None);
            saved.extend(cuts.complete().map(|cut| cut.sequence));
        }
        assert!(
            cuts.is_empty() && saved.is_sorted() && saved.len() > CUTS_MAX / 2,
            "{saved:?}"
        );
        assert_eq!(saved.last(), Some(&ticks));
        let gaps = saved.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.max() <= Some(4 * ticks / CUTS_MAX as u64), "{saved:?}");
    }
}
