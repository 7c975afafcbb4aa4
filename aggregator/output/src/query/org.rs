//! The windows of one organization: its messages as they were emitted.
//!
//! Far more is emitted than anybody asks for. So a message is kept as it came, compact, with a list
//! of its rules; whoever asks for a rule has that rule's points decoded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeBounds;
use std::sync::Arc;

use ratchet_codec::payload::Header;

use super::store::Limits;
use crate::emission::{contents, points_of, EmissionError, Envelope, Group, Tags};
use crate::names::{Labels, Naming};

/// End and start of a window: a rule whose windows changed length may have two that end together.
pub type WindowKey = (i64, i64);

/// One aggregated point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Index into the rule's series.
    pub series: u32,
    pub value: f64,
    pub count: u32,
}

pub struct Series {
    pub labels: Labels,
    pub tags: Tags,
}

/// What is kept of one rule, decoded.
pub struct RuleStore {
    pub id: Arc<str>,
    pub metric: String,
    pub series: Vec<Series>,
    pub windows: BTreeMap<WindowKey, Vec<Kept>>,
}

#[derive(Default)]
pub struct OrgStore {
    name: Arc<str>,
    /// Oldest first.
    windows: BTreeMap<WindowKey, Vec<Arc<Message>>>,
    bytes: usize,
}

struct Message {
    header: Header,
    payload: Box<[u8]>,
    /// Sorted.
    rules: Box<[Arc<str>]>,
}

/// Memory of a window without messages, about, and of a rule's name in one.
const WINDOW_BYTES: usize = 128;
const RULE_BYTES: usize = 32;

impl Message {
    fn bytes(&self) -> usize {
        let names = self.rules.iter().map(|rule| RULE_BYTES + rule.len());
        size_of::<Self>() + self.payload.len() + names.sum::<usize>()
    }

    fn has(&self, rule: &str) -> bool {
        self.rules
            .binary_search_by(|known| (**known).cmp(rule))
            .is_ok()
    }
}

impl OrgStore {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many windows are kept, of all rules together.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// Ids of the rules that have a window.
    pub fn rules(&self) -> BTreeSet<&Arc<str>> {
        let messages = self.windows.values().flatten();
        messages.flat_map(|message| &*message.rules).collect()
    }

    /// The windows of a rule.
    pub fn windows_of<'a>(
        &'a self,
        rule: &'a str,
    ) -> impl DoubleEndedIterator<Item = WindowKey> + 'a {
        let with_rule = self
            .windows
            .iter()
            .filter(move |(_, messages)| messages.iter().any(|message| message.has(rule)));
        with_rule.map(|(key, _)| *key)
    }

    /// Decodes what is kept of a rule in these windows; nothing where there is nothing.
    pub fn rule(&self, id: &str, windows: impl RangeBounds<WindowKey>) -> RuleStore {
        let mut rule = RuleStore::new(id);
        let mut places = HashMap::new();
        for (key, messages) in self.windows.range(windows) {
            for message in messages.iter().filter(|message| message.has(id)) {
                let points = points_of(message.header, &message.payload, id);
                // Its contents were read when it came.
                for point in points.unwrap_or_default() {
                    if point.start_ms == key.1 {
                        let series = rule.place(&self.name, &mut places, point.tags);
                        let kept = Kept {
                            series,
                            value: point.value,
                            count: point.count,
                        };
                        rule.windows.entry(*key).or_default().push(kept);
                    }
                }
            }
        }
        rule
    }

    pub fn add(&mut self, envelope: &Envelope, payload: &[u8]) -> Result<(), EmissionError> {
        let contents = contents(envelope.header, payload)?;
        self.name = envelope.org.clone();
        let message = Arc::new(Message {
            header: envelope.header,
            payload: payload.into(),
            rules: contents.rules.into(),
        });
        for start_ms in contents.starts_ms {
            let key = (start_ms + i64::from(envelope.window_ms), start_ms);
            let messages = self.windows.entry(key).or_insert_with(|| {
                self.bytes += WINDOW_BYTES;
                Vec::new()
            });
            self.bytes += message.bytes();
            messages.push(message.clone());
        }
        Ok(())
    }

    /// Drops what is too old, and of windows as long what is too many.
    pub fn forget_old(&mut self, limits: &Limits) {
        let newest_ms = self.windows.last_key_value().map_or(0, |(key, _)| key.0);
        let oldest_ms = newest_ms.saturating_sub(limits.history_ms);
        let mut of_length: HashMap<i64, usize> = HashMap::new();
        let mut surplus = Vec::new();
        for (end_ms, start_ms) in self.windows.keys().rev() {
            let number = of_length.entry(end_ms - start_ms).or_default();
            *number += 1;
            if *number > limits.windows || *end_ms < oldest_ms {
                surplus.push((*end_ms, *start_ms));
            }
        }
        for key in surplus {
            self.remove(key);
        }
    }

    /// False when there is none.
    pub fn evict_oldest(&mut self) -> bool {
        let oldest = self.windows.first_key_value().map(|(key, _)| *key);
        oldest.map(|key| self.remove(key)).is_some()
    }

    fn remove(&mut self, key: WindowKey) {
        if let Some(messages) = self.windows.remove(&key) {
            let bytes = messages.iter().map(|message| message.bytes());
            self.bytes -= WINDOW_BYTES + bytes.sum::<usize>();
        }
    }
}

impl RuleStore {
    fn new(id: &str) -> Self {
        Self {
            id: Arc::from(id),
            metric: metric_of(id),
            series: Vec::new(),
            windows: BTreeMap::new(),
        }
    }

    /// The place of a series, new or known.
    fn place(&mut self, org: &str, places: &mut HashMap<Tags, u32>, tags: Tags) -> u32 {
        if let Some(place) = places.get(&tags) {
            return *place;
        }
        let group = Group {
            rule: self.id.clone(),
            tags,
        };
        let labels = Naming::default().labels(org, &group, "");
        let place = self.series.len() as u32;
        places.insert(group.tags.clone(), place);
        self.series.push(Series {
            labels,
            tags: group.tags,
        });
        place
    }
}

/// What a rule is called in answers of Prometheus's kind.
pub fn metric_of(rule: &str) -> String {
    Naming::default().metric(rule)
}
