//! What was delivered and is not settled: one queue an organization, in stream order.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use async_nats::Subject;
use bytes::Bytes;

use crate::emission::Envelope;

/// Bytes of bodies in memory. Bodies beyond it are read again from the stream.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// One organization's share of them.
const ORG_BYTES_MAX: usize = BYTES_MAX / 8;
/// Messages remembered as settled, so that one that comes again is not sent again.
const SETTLED_MAX: usize = 65_536;

/// One message of the stream that waits to be forwarded.
#[derive(Clone, Debug)]
pub struct Item {
    pub sequence: u64,
    pub published_ms: i64,
    pub envelope: Envelope,
    /// `None`: to be read again.
    pub body: Option<Bytes>,
}

impl Item {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// What a message that came was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    New,
    /// It is here already; only the way to acknowledge it is new.
    Again,
    /// It was settled; whoever sent it again has not heard of that.
    Settled,
}

#[derive(Default)]
struct OrgQueue {
    waiting: VecDeque<Item>,
    bytes: usize,
    /// Its messages are under way; the next ones wait for them.
    busy: bool,
}

#[derive(Default)]
pub struct Queues {
    orgs: HashMap<Arc<str>, OrgQueue>,
    /// Where each message that is here is acknowledged.
    replies: BTreeMap<u64, Subject>,
    published: BTreeMap<u64, i64>,
    bytes: usize,
    settled: HashSet<u64>,
    settled_order: VecDeque<u64>,
}

impl Queues {
    pub fn offer(&mut self, mut item: Item, reply: Subject) -> Offered {
        if self.settled.contains(&item.sequence) {
            return Offered::Settled;
        }
        if self.replies.insert(item.sequence, reply).is_some() {
            return Offered::Again;
        }
        self.published.insert(item.sequence, item.published_ms);
        let queue = self.orgs.entry(item.envelope.org.clone()).or_default();
        let bytes = item.bytes();
        if self.bytes + bytes > BYTES_MAX || queue.bytes + bytes > ORG_BYTES_MAX {
            item.body = None;
        }
        self.bytes += item.bytes();
        queue.bytes += item.bytes();
        // At the end, unless it comes again after another process had it.
        let place = queue
            .waiting
            .partition_point(|known| known.sequence < item.sequence);
        queue.waiting.insert(place, item);
        Offered::New
    }

    /// The next messages of an organization, together at most `samples` (of `weigh`) but at least
    /// one; nothing while its last ones are under way.
    pub fn take(
        &mut self,
        org: &str,
        samples: usize,
        weigh: impl Fn(&Item) -> usize,
    ) -> Option<Vec<Item>> {
        let queue = self.orgs.get_mut(org).filter(|queue| !queue.busy)?;
        let (mut batch, mut total) = (Vec::new(), 0);
        while let Some(item) = queue.waiting.front() {
            total += weigh(item);
            if total > samples && !batch.is_empty() {
                break;
            }
            batch.extend(queue.waiting.pop_front());
        }
        queue.busy = !batch.is_empty();
        queue.busy.then_some(batch)
    }

    /// Forgets messages that [`Self::take`] gave out; returns where to acknowledge them.
    pub fn settle(&mut self, org: &str, items: &[Item]) -> Vec<Subject> {
        let mut replies = Vec::new();
        for item in items {
            self.published.remove(&item.sequence);
            replies.extend(self.replies.remove(&item.sequence));
            self.remember(item.sequence);
        }
        let bytes: usize = items.iter().map(Item::bytes).sum();
        self.bytes -= bytes;
        if let Some(queue) = self.orgs.get_mut(org) {
            queue.bytes -= bytes;
            queue.busy = false;
            if queue.waiting.is_empty() {
                self.orgs.remove(org);
            }
        }
        replies
    }

    /// Organizations that have messages to send.
    pub fn waiting(&self) -> Vec<Arc<str>> {
        let waiting = self
            .orgs
            .iter()
            .filter(|(_, queue)| !queue.waiting.is_empty());
        waiting.map(|(org, _)| org.clone()).collect()
    }

    /// Messages that are here.
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Where to acknowledge each message that is here, in stream order.
    pub fn replies(&self) -> impl Iterator<Item = &Subject> {
        self.replies.values()
    }

    /// When the oldest message that is here was published.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.published.first_key_value().map(|(_, ms)| *ms)
    }

    fn remember(&mut self, sequence: u64) {
        if self.settled.insert(sequence) {
            self.settled_order.push_back(sequence);
        }
        if self.settled_order.len() > SETTLED_MAX {
            let oldest = self.settled_order.pop_front();
            oldest.map(|sequence| self.settled.remove(&sequence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emission::tests::{headers, payload};

    fn item(org: &str, sequence: u64, bytes: usize) -> Item {
        let body = payload(&[("cpu", &[], 0, 1.0, 1)]);
        let headers = headers("1000");
        let envelope = Envelope::open(&format!("aggregates.{org}"), Some(&headers), &body);
        Item {
            sequence,
            published_ms: 1000 + sequence as i64,
            envelope: envelope.unwrap(),
            body: Some(Bytes::from(vec![0; bytes])),
        }
    }

    fn check(batch: Option<Vec<Item>>, expected: &[u64]) {
        let sequences = batch.into_iter().flatten().map(|item| item.sequence);
        assert_eq!(sequences.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn one_batch_of_an_organization_at_a_time_in_order() {
        let mut queues = Queues::default();
        for (org, sequence) in [("a", 3), ("b", 2), ("a", 4), ("a", 1)] {
            let reply = format!("ack.{sequence}").into();
            assert_eq!(queues.offer(item(org, sequence, 10), reply), Offered::New);
        }
        assert_eq!(
            (queues.oldest_ms(), queues.waiting().len()),
            (Some(1001), 2)
        );
        let weigh = |_: &Item| 3;
        let first = queues.take("a", 6, weigh).unwrap();
        check(Some(first.clone()), &[1, 3]);
        check(queues.take("a", 6, weigh), &[]);
        check(queues.take("b", 1, weigh), &[2]);
        assert_eq!(
            queues.offer(item("a", 3, 10), "again.3".into()),
            Offered::Again
        );
        let replies = queues.settle("a", &first);
        assert_eq!(replies, ["ack.1".into(), "again.3".into()]);
        assert_eq!(queues.offer(item("a", 3, 10), "x".into()), Offered::Settled);
        check(queues.take("a", 6, weigh), &[4]);
        let left: Vec<_> = queues.replies().map(Subject::to_string).collect();
        assert_eq!(left, ["ack.2", "ack.4"]);
        check(queues.take("c", 6, weigh), &[]);
    }

    #[test]
    fn bodies_in_memory_are_bounded_by_organization_and_in_all() {
        let mut queues = Queues::default();
        let offer = |queues: &mut Queues, org: &str, sequence| {
            queues.offer(item(org, sequence, ORG_BYTES_MAX / 2), "r".into());
        };
        for (sequence, org) in (0..27).zip("aaabbbcccdddeeefffggghhhiii".chars()) {
            offer(&mut queues, &org.to_string(), sequence);
        }
        assert_eq!(queues.bytes, BYTES_MAX);
        let mut taken = |org: &str| {
            let batch = queues.take(org, 100, |_| 1).unwrap();
            let kept = batch.iter().filter(|item| item.body.is_some()).count();
            queues.settle(org, &batch);
            (kept, batch.len())
        };
        assert_eq!(taken("a"), (2, 3));
        assert_eq!(taken("i"), (0, 3));
        for org in ["b", "c", "d", "e", "f", "g", "h"] {
            taken(org);
        }
        assert_eq!((queues.bytes, queues.orgs.len()), (0, 0));
    }
}
