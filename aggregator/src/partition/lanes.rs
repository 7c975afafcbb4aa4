//! The output subjects of a partition: each in its own order, many at a time.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::StreamExt;

use super::lane::{Fenced, Lane, Outgoing, Writer};

/// Subjects whose last message is remembered while nothing is to be written there.
const IDLE_MAX: usize = 20_000;

type Delivery = BoxFuture<'static, (String, Lane, Result<(), Fenced>)>;

pub struct Lanes {
    writer: Writer,
    idle: HashMap<String, Lane>,
    /// Subjects with a delivery under way, and what waits behind it.
    waiting: HashMap<String, VecDeque<Outgoing>>,
    busy: FuturesUnordered<Delivery>,
    queued: usize,
}

impl Lanes {
    pub fn new(writer: Writer) -> Self {
        Self {
            writer,
            idle: HashMap::new(),
            waiting: HashMap::new(),
            busy: FuturesUnordered::new(),
            queued: 0,
        }
    }

    /// Messages that are not delivered yet.
    pub fn queued(&self) -> usize {
        self.queued
    }

    pub fn push(&mut self, message: Outgoing) {
        self.queued += 1;
        if let Some(queue) = self.waiting.get_mut(&message.subject) {
            queue.push_back(message);
            return;
        }
        self.waiting
            .insert(message.subject.clone(), VecDeque::new());
        let lane = self.idle.remove(&message.subject).unwrap_or_default();
        self.start(lane, message);
    }

    /// Waits until one message is delivered; at once when there is none.
    pub async fn step(&mut self) -> Result<(), Fenced> {
        let Some((subject, lane, delivered)) = self.busy.next().await else {
            return Ok(());
        };
        self.queued -= 1;
        delivered?;
        let next = self.waiting.get_mut(&subject).and_then(VecDeque::pop_front);
        if let Some(message) = next {
            self.start(lane, message);
            return Ok(());
        }
        self.waiting.remove(&subject);
        if self.idle.len() >= IDLE_MAX {
            self.idle.clear();
        }
        self.idle.insert(subject, lane);
        Ok(())
    }

    /// Waits until everything is delivered.
    pub async fn settle(&mut self) -> Result<(), Fenced> {
        while self.queued > 0 {
            self.step().await?;
        }
        Ok(())
    }

    fn start(&mut self, mut lane: Lane, message: Outgoing) {
        let writer = self.writer.clone();
        self.busy.push(Box::pin(async move {
            let started = Instant::now();
            let delivered = lane.deliver(&writer, &message).await;
            let took = started.elapsed().as_secs_f64();
            writer.publish_seconds.observe(took);
            drop(message.spans);
            (message.subject, lane, delivered)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::tests::{lane, outgoing, writer};
    use super::*;

    /// Returns whose epoch ended it, if one did.
    async fn settled(theirs: u64) -> Option<u64> {
        let mut lanes = Lanes::new(writer(6).await);
        let messages = [outgoing(8), outgoing(9)];
        lanes
            .idle
            .insert(messages[0].subject.clone(), lane(theirs, 9));
        messages.into_iter().for_each(|message| lanes.push(message));
        lanes.settle().await.err().map(|fenced| fenced.theirs)
    }

    #[tokio::test]
    async fn one_lane_that_is_fenced_off_ends_all() {
        assert_eq!(settled(6).await, None);
        assert_eq!(settled(7).await, Some(7));
    }
}
