//! Messages, and the oracle that says what must come of them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::jetstream;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Filter, Rule};

pub fn now_ms() -> i64 {
    i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap()
}

/// A rule over `env:prod` of `cpu`.
pub fn rule(id: &str, aggregate: Aggregate, window_s: u32, by: &[&str]) -> Rule {
    Rule {
        id: id.as_bytes().into(),
        metric: b"cpu"[..].into(),
        aggregate,
        window_ms: window_s * 1000,
        group_by: by.iter().map(|key| key.as_bytes().into()).collect(),
        filter: Filter::Eq(b"env"[..].into(), b"prod"[..].into()),
    }
}

/// `(rule, window start, tags of the group)`.
pub type Key = (String, i64, Vec<(String, String)>);

/// Bits of the value, and the count.
pub type Outcome = (u64, u64);

#[derive(Clone)]
pub struct Point {
    pub tags: Vec<(&'static str, String)>,
    pub ts: i64,
    pub value: f64,
}

#[derive(Clone, Copy)]
struct Cell {
    value: f64,
    count: u64,
}

impl Cell {
    fn fold(into: Option<Self>, other: Self, aggregate: Aggregate) -> Self {
        let Some(cell) = into else { return other };
        let value = match aggregate {
            Aggregate::Max => cell.value.max(other.value),
            Aggregate::Min => cell.value.min(other.value),
            _ => cell.value + other.value,
        };
        Self {
            value,
            count: cell.count + other.count,
        }
    }
}

/// Computes, message by message and point by point, what the contract says; it knows the rules of
/// each span of window starts.
pub struct Oracle {
    /// `(from this window start on, these rules)`, ascending.
    spans: Vec<(i64, Vec<Rule>)>,
    cells: BTreeMap<Key, (Aggregate, Cell)>,
}

impl Oracle {
    pub fn new(rules: &[Rule]) -> Self {
        Self::from(0, rules)
    }

    /// For windows that start at a moment or later.
    pub fn from(from_ms: i64, rules: &[Rule]) -> Self {
        Self {
            spans: vec![(from_ms, rules.to_vec())],
            cells: BTreeMap::new(),
        }
    }

    pub fn change(&mut self, from_ms: i64, rules: &[Rule]) {
        self.spans.push((from_ms, rules.to_vec()));
    }

    pub fn message(&mut self, points: &[Point]) {
        let mut partials: BTreeMap<Key, (Aggregate, Cell)> = BTreeMap::new();
        for point in points {
            self.point(point, &mut partials);
        }
        for (key, (aggregate, partial)) in partials {
            let old = self.cells.get(&key).map(|(_, cell)| *cell);
            self.cells
                .insert(key, (aggregate, Cell::fold(old, partial, aggregate)));
        }
    }

    fn point(&self, point: &Point, partials: &mut BTreeMap<Key, (Aggregate, Cell)>) {
        let tag = |key: &str| {
            point
                .tags
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, v)| v.clone())
        };
        if tag("env").as_deref() != Some("prod") {
            return;
        }
        for (index, (from_ms, rules)) in self.spans.iter().enumerate() {
            let until_ms = self
                .spans
                .get(index + 1)
                .map_or(i64::MAX, |(from_ms, _)| *from_ms);
            for rule in rules {
                let start = point.ts.div_euclid(rule.window_ms.into()) * i64::from(rule.window_ms);
                if !(*from_ms..until_ms).contains(&start) {
                    continue;
                }
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let group = rule.group_by.iter().map(|key| text(key));
                let mut group: Vec<(String, String)> = group
                    .filter_map(|key| tag(&key).map(|value| (key, value)))
                    .collect();
                group.sort();
                let key = (text(&rule.id), start, group);
                let value = if rule.aggregate == Aggregate::Count {
                    1.0
                } else {
                    point.value
                };
                let old = partials.get(&key).map(|(_, cell)| *cell);
                let cell = Cell::fold(old, Cell { value, count: 1 }, rule.aggregate);
                partials.insert(key, (rule.aggregate, cell));
            }
        }
    }

    /// Folds what another partition has of the same windows; it is the next in order.
    pub fn fold(&mut self, other: &Self) {
        for (key, (aggregate, cell)) in &other.cells {
            let old = self.cells.get(key).map(|(_, cell)| *cell);
            let folded = Cell::fold(old, *cell, *aggregate);
            self.cells.insert(key.clone(), (*aggregate, folded));
        }
    }

    pub fn outcomes(&self) -> BTreeMap<Key, Outcome> {
        let finish = |(aggregate, cell): &(Aggregate, Cell)| match aggregate {
            Aggregate::Avg => cell.value / cell.count as f64,
            _ => cell.value,
        };
        let outcome = |entry: &(Aggregate, Cell)| (finish(entry).to_bits(), entry.1.count);
        self.cells
            .iter()
            .map(|(key, entry)| (key.clone(), outcome(entry)))
            .collect()
    }
}

/// Publishes messages of one organization, and tells the oracle.
pub struct Publisher {
    context: jetstream::Context,
    pub org: String,
    subject: String,
    random: u64,
    pub oracle: Oracle,
    pub messages: u64,
    /// How far the producer's clock is ahead.
    pub skew_ms: i64,
}

/// After so long a message is sent again; it keeps its id.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);
/// Points in a message.
pub const POINTS: usize = 50;

impl Publisher {
    pub fn new(context: jetstream::Context, org: &str, seed: u64, oracle: Oracle) -> Self {
        Self {
            context,
            org: org.to_owned(),
            subject: format!("ingest.{org}"),
            random: seed,
            oracle,
            messages: 0,
            skew_ms: 0,
        }
    }

    /// Of an organization that is spread: all its messages go to one partition.
    pub fn into_partition(self, partition: u32) -> Self {
        let subject = format!("ingest.{partition}.{}", self.org);
        Self { subject, ..self }
    }

    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn draw(&mut self, now_ms: i64) -> Point {
        let mut tags = Vec::new();
        if !self.next().is_multiple_of(8) {
            tags.push((
                "env",
                if self.next().is_multiple_of(4) {
                    "dev"
                } else {
                    "prod"
                }
                .to_owned(),
            ));
        }
        if !self.next().is_multiple_of(16) {
            tags.push(("host", format!("host-{}", self.next() % 12)));
        }
        tags.push(("zone", format!("z{}", self.next() % 3)));
        let value = (self.next() >> 12) as f64 / 1e9 - 2e6;
        Point {
            tags,
            ts: now_ms - (self.next() % 400) as i64,
            value,
        }
    }

    /// Publishes one message of points of the last 400 ms, and waits until it is in the stream.
    pub async fn publish(&mut self) {
        let points = self.publish_untold().await;
        self.oracle.message(&points);
    }

    /// Points of one message.
    pub fn draw_points(&mut self) -> Vec<Point> {
        let now_ms = now_ms() + self.skew_ms;
        (0..POINTS).map(|_| self.draw(now_ms)).collect()
    }

    /// The same, without telling the oracle.
    pub async fn publish_untold(&mut self) -> Vec<Point> {
        let points = self.draw_points();
        let mut builder = MessageBuilder::new();
        for point in &points {
            builder
                .point("cpu", &point.tags, point.ts, point.value)
                .unwrap();
        }
        let body = builder.finish().unwrap();
        let id = format!("{}-{}", self.subject, self.messages);
        while !self.send(&id, body.clone()).await {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        self.messages += 1;
        points
    }

    /// Whether the message is in the stream; repeated, it has the same id.
    async fn send(&self, id: &str, body: Vec<u8>) -> bool {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let sent = self
            .context
            .publish_with_headers(self.subject.clone(), headers, body.into());
        // What a server was sent before it died is never answered.
        let answer = async { sent.await?.await };
        matches!(tokio::time::timeout(ANSWER_WITHIN, answer).await, Ok(Ok(_)))
    }

    /// Publishes for a while, `per_second` messages a second.
    pub async fn publish_for(&mut self, duration: std::time::Duration, per_second: u32) {
        let mut interval = tokio::time::interval(std::time::Duration::from_secs(1) / per_second);
        let until = tokio::time::Instant::now() + duration;
        while tokio::time::Instant::now() < until {
            interval.tick().await;
            self.publish().await;
        }
    }
}
