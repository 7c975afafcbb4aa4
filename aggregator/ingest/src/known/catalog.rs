//! The series that one organization sent lately.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use ratchet_codec::payload::{MAX_KEYS, MAX_STRING_LEN};
use twox_hash::XxHash3_128;

use super::columns::Facts;
use super::templates::Templates;
use super::texts::{Numbers, Texts, NUMBER_BYTES};

const SECRET_BYTES: usize = 192;
/// The share of all memory that templates may have.
const TEMPLATES_SHARE: usize = 4;

/// What fingerprints are made with: drawn by the process, so that no sender can prepare two series
/// with the same one.
#[derive(Clone)]
pub struct Secret(Arc<[u8; SECRET_BYTES]>);

impl Default for Secret {
    fn default() -> Self {
        let random = RandomState::new();
        let mut bytes = [0; SECRET_BYTES];
        for (n, word) in bytes.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&random.hash_one(n).to_le_bytes());
        }
        Self(Arc::new(bytes))
    }
}

impl Secret {
    fn fingerprint(&self, bytes: &[u8]) -> u128 {
        let hash = XxHash3_128::oneshot_with_secret(&*self.0, bytes);
        hash.expect("invariant: the secret is longer than the shortest one")
    }
}

/// Labels that were parsed and checked. All are numbers of a catalog.
pub struct Series {
    pub metric: u32,
    /// The keys of its tags, in the order of its labels.
    pub keys: u32,
    /// Its metric with its tags, whatever the order of its labels.
    pub set: u32,
    /// Bytes of its metric, keys and values.
    pub text_bytes: u32,
    values: u32,
    /// What it is recognised by: its labels as they were sent.
    labels: Labels,
}

#[derive(Clone, Copy)]
struct Labels {
    fingerprint: u128,
    length: u32,
}

#[derive(Default)]
pub struct Catalog {
    secret: Secret,
    bytes_max: usize,
    full: bool,
    texts: Texts,
    labels: Numbers,
    series: Vec<Series>,
    /// Values of all series' tags.
    values: Vec<u32>,
    sets: Numbers,
    keys: Numbers,
    key_lists: Vec<Box<[u32]>>,
    /// Keys of all lists.
    listed_keys: usize,
    templates: Templates,
}

impl Catalog {
    /// An empty one that may grow to so many bytes.
    pub fn new(secret: Secret, bytes_max: usize) -> Self {
        Self {
            secret,
            bytes_max,
            ..Self::default()
        }
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        let numbers = self.labels.len() + self.sets.len() + self.key_lists.len();
        let lists = self.listed_keys * size_of::<u32>() + size_of_val(&*self.key_lists);
        let series = size_of_val(&*self.series) + size_of_val(&*self.values);
        self.texts.bytes() + numbers * NUMBER_BYTES + lists + series + self.templates.bytes()
    }

    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Whether a series did not fit.
    pub fn is_full(&self) -> bool {
        self.full
    }

    pub fn clear(&mut self) {
        *self = Self::new(self.secret.clone(), self.bytes_max);
    }

    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    pub fn sets(&self) -> usize {
        self.sets.len()
    }

    pub fn key_lists(&self) -> &[Box<[u32]>] {
        &self.key_lists
    }

    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// Takes note of a message that was made of these series.
    pub fn note(&mut self, series: &[u32], facts: &Facts, message: &[u8]) {
        let others = self.bytes() - self.templates.bytes();
        let left = self.bytes_max.saturating_sub(others);
        let room = left.min(self.bytes_max / TEMPLATES_SHARE);
        self.templates.note(series, facts, message, room);
    }

    pub fn series(&self, number: u32) -> (&Series, &[u32]) {
        let series = &self.series[number as usize];
        let values = &self.values[series.values as usize..];
        let tags = self.key_lists[series.keys as usize].len();
        (series, &values[..tags])
    }

    /// The series of these bytes, if they came before.
    pub fn find(&self, labels: &[u8]) -> Result<u32, Unknown> {
        let fingerprint = self.secret.fingerprint(labels);
        let found = self.labels.get(&fingerprint).copied();
        let length = labels.len() as u32;
        found.ok_or(Unknown(Labels {
            fingerprint,
            length,
        }))
    }

    /// How long the labels of a series are, if they are what the bytes begin with.
    pub fn begins_with(&self, bytes: &[u8], series: u32) -> Option<usize> {
        let Labels {
            fingerprint,
            length,
        } = self.series[series as usize].labels;
        let labels = bytes.get(..length as usize)?;
        (self.secret.fingerprint(labels) == fingerprint).then_some(labels.len())
    }

    /// Takes a series in. `None` if it is irregular, so that it takes the usual way and is refused
    /// or mended there, or if there is no room.
    pub fn add(
        &mut self,
        Unknown(labels): Unknown,
        metric: &[u8],
        tags: &[(&[u8], &[u8])],
    ) -> Option<u32> {
        if !is_regular(metric, tags) {
            return None;
        }
        let text_bytes = text_bytes(metric, tags);
        let most = most_bytes(text_bytes, tags.len());
        if self.bytes() + most > self.bytes_max {
            // They have what series leave.
            self.templates = Templates::default();
        }
        if self.bytes() + most > self.bytes_max {
            self.full = true;
            return None;
        }
        let metric = self.text(metric);
        let values = self.values.len();
        let mut keys = Vec::with_capacity(tags.len());
        for (key, value) in tags {
            keys.push(self.text(key));
            let value = self.text(value);
            self.values.push(value);
        }
        let set = self.set_number(metric, &keys, values);
        let series = Series {
            metric,
            keys: self.key_list(keys),
            set,
            text_bytes: text_bytes as u32,
            values: values as u32,
            labels,
        };
        let number = self.series.len() as u32;
        self.series.push(series);
        self.labels.insert(labels.fingerprint, number);
        Some(number)
    }

    fn text(&mut self, text: &[u8]) -> u32 {
        self.texts.intern(self.secret.fingerprint(text), text)
    }

    fn key_list(&mut self, keys: Vec<u32>) -> u32 {
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        let next = self.key_lists.len() as u32;
        let number = *self
            .keys
            .entry(self.secret.fingerprint(&bytes))
            .or_insert(next);
        if number == next {
            self.listed_keys += keys.len();
            self.key_lists.push(keys.into());
        }
        number
    }

    fn set_number(&mut self, metric: u32, keys: &[u32], values: usize) -> u32 {
        let mut pairs: Vec<_> = keys.iter().zip(&self.values[values..]).collect();
        pairs.sort_unstable();
        let numbers = pairs.into_iter().flat_map(|(key, value)| [*key, *value]);
        let bytes: Vec<u8> = std::iter::once(metric)
            .chain(numbers)
            .flat_map(u32::to_le_bytes)
            .collect();
        let next = self.sets.len() as u32;
        let fingerprint = self.secret.fingerprint(&bytes);
        *self.sets.entry(fingerprint).or_insert(next)
    }
}

/// Labels that are not in the catalog.
pub struct Unknown(Labels);

/// Whether the codec's builder takes these texts as they are.
fn is_regular(metric: &[u8], tags: &[(&[u8], &[u8])]) -> bool {
    let text = |text: &[u8]| {
        let length = 1..=MAX_STRING_LEN as usize;
        length.contains(&text.len()) && std::str::from_utf8(text).is_ok()
    };
    let mut keys: Vec<&[u8]> = tags.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    tags.len() <= MAX_KEYS as usize
        && text(metric)
        && tags.iter().all(|(key, value)| text(key) && text(value))
        && keys.windows(2).all(|pair| pair[0] != pair[1])
}

fn text_bytes(metric: &[u8], tags: &[(&[u8], &[u8])]) -> usize {
    let tags = tags.iter().map(|(key, value)| key.len() + value.len());
    metric.len() + tags.sum::<usize>()
}

/// The most that a series takes: all of its texts may be new, and its list of keys.
fn most_bytes(text_bytes: usize, tags: usize) -> usize {
    let texts = text_bytes + (1 + 2 * tags) * (size_of::<u32>() + NUMBER_BYTES);
    let lists = 2 * tags * size_of::<u32>() + size_of::<Box<[u32]>>() + NUMBER_BYTES;
    texts + lists + size_of::<Series>() + 2 * NUMBER_BYTES
}
