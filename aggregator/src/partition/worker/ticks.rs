//! Time: what becomes of a tick, and of the checkpoints that are made at ticks.

use super::super::cuts::Cut;
use super::super::org::OrgState;
use super::super::outbox::Gone;
use super::super::turns::Turns;
use super::{Waiting, Worker};
use crate::checkpoint::Checkpoint;
use crate::events::now_ms;
use crate::identity::Org;

/// Stream time between two saves when nothing was emitted.
const SAVE_EVERY_MS: i64 = 5_000;

impl Worker {
    /// Tells the time to everybody: at once to those who have nothing waiting, to the others behind
    /// what was before it in the stream.
    pub(super) fn tick(
        &mut self,
        turns: &mut Turns<Waiting>,
        sequence: u64,
        received_ms: i64,
    ) -> Result<(), Gone> {
        let newest_ms = self.newest_tick_ms.max(Some(received_ms));
        (self.newest_tick_ms, self.tick_ms) = (newest_ms, newest_ms);
        self.take_in(sequence);
        self.crowd.ticked(now_ms() - received_ms);
        for org in self.shared.directory.spread_organizations() {
            if !turns.has(org.as_str()) {
                self.add_if_spread(org);
            }
        }
        let mut cut = self.cut(sequence, received_ms);
        let mut orgs = std::mem::take(&mut self.orgs);
        let mut emitted = Ok(());
        for org in orgs.values_mut().filter(|org| !turns.has(org.org.as_str())) {
            emitted = emitted.and_then(|()| self.tick_org(org, sequence, received_ms));
            cut.note(org);
        }
        self.orgs = orgs;
        emitted?;
        cut.awaited = turns.push_behind(|org| Waiting::Tick {
            org: org.to_owned(),
            sequence,
            received_ms,
            tick_ms: newest_ms,
        });
        turns.forget_idle();
        self.cuts.push(cut);
        self.save_if_due()
    }

    /// Tells the time to an organization that had something waiting, and is done with it.
    pub(super) fn tick_behind(
        &mut self,
        name: &str,
        sequence: u64,
        received_ms: i64,
    ) -> Result<(), Gone> {
        if let (false, Ok(org)) = (self.orgs.contains_key(name), Org::parse(name)) {
            self.add_if_spread(org);
        }
        let mut emitted = Ok(());
        match self.orgs.remove(name) {
            Some(mut org) => {
                emitted = self.tick_org(&mut org, sequence, received_ms);
                self.cuts.came(sequence, Some(&org));
                self.orgs.insert(org.org.clone(), org);
            }
            None => self.cuts.came(sequence, None),
        }
        emitted?;
        self.save_if_due()
    }

    fn tick_org(
        &mut self,
        org: &mut OrgState,
        sequence: u64,
        received_ms: i64,
    ) -> Result<(), Gone> {
        org.refresh(&self.shared, received_ms);
        org.follow_modules(&self.shared);
        org.watermark.tick(received_ms);
        org.replaying = sequence <= self.replay_until;
        let closed = org.close_and_tell();
        org.tell_state_if_changed();
        org.tell_matched();
        self.outbox.emit(org, sequence, closed)
    }

    /// A part of an organization tells its time also when it never had a message.
    fn add_if_spread(&mut self, org: Org) {
        let chronicle = self.shared.directory.chronicle(&org);
        let spread = chronicle.map_or(1, |chronicle| chronicle.spread_max());
        let is_here = spread > 1 && self.place.serves(&org, spread);
        if is_here && !self.orgs.contains_key(org.as_str()) {
            self.add_org(org);
        }
    }

    /// Saves the newest tick that everybody has come to.
    fn save_if_due(&mut self) -> Result<(), Gone> {
        let Some(cut) = self.cuts.complete() else {
            return Ok(());
        };
        let received_ms = cut.received_ms();
        self.lag.served(received_ms);
        let due = received_ms.saturating_sub(self.last_save_ms) >= SAVE_EVERY_MS;
        if self.outbox.unsaved || due {
            self.last_save_ms = received_ms;
            self.outbox.save(cut.into_checkpoint())?;
            // Whoever was ahead of it has emitted since.
            self.outbox.unsaved = !self.cuts.is_empty();
        }
        Ok(())
    }

    /// Where reading would have to start again, and what is closed by then; nothing waits.
    pub(super) fn snapshot(&self) -> Checkpoint {
        let mut cut = self.cut(self.taken, self.last_save_ms);
        self.orgs.values().for_each(|org| cut.note(org));
        cut.into_checkpoint()
    }

    fn cut(&self, sequence: u64, received_ms: i64) -> Cut {
        let base = Checkpoint {
            head: self.saved.head.max(sequence),
            tick_ms: self.newest_tick_ms,
            ..self.saved.clone()
        };
        Cut::new(base, sequence, received_ms)
    }
}
