//! Building messages: for producers, gateways and tests. Never linked into a guest.

mod assemble;
mod columns;
mod encode;
mod interner;
mod message;

use super::{FIXED_COLUMNS, HEADER_LEN, MAX_TIMESTAMP, TAIL_LEN};
use super::{MAX_KEYS, MAX_LEN, MAX_POINTS, MAX_SETS, MAX_SPAN, MAX_STRINGS, MAX_STRING_LEN};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use interner::Interner;

/// Why a point does not fit, or a message cannot be made. The builder is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The message has no point.
    Empty,
    /// A metric or a tag key is empty. (A tag with an empty value is the same as no tag.)
    EmptyName,
    /// A string is longer than 1024 bytes; its length.
    StringTooLong(usize),
    /// A string is not UTF-8.
    Utf8,
    /// A tag key occurs twice in one tag-set.
    DuplicateKey,
    /// A timestamp lies outside the years 1970 to 9999.
    Timestamp(i64),
    /// The point is more than one hour from another one of the message; the span in ms.
    Span(i64),
    /// The message is full: finish it and begin another.
    Full,
    /// Some points have counts and others have none.
    MixedCounts,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Empty => write!(f, "the message has no point"),
            BuildError::EmptyName => write!(f, "a metric or tag key is empty"),
            BuildError::StringTooLong(n) => write!(f, "a string has {n} bytes, more than 1024"),
            BuildError::Utf8 => write!(f, "a string is not UTF-8"),
            BuildError::DuplicateKey => write!(f, "a tag key occurs twice"),
            BuildError::Timestamp(ts) => write!(f, "timestamp {ts} ms is not in 1970 to 9999"),
            BuildError::Span(ms) => write!(f, "points span {ms} ms, more than one hour"),
            BuildError::Full => write!(f, "the message is full"),
            BuildError::MixedCounts => write!(f, "some points have counts, others have none"),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<interner::Crowded> for BuildError {
    fn from(_: interner::Crowded) -> Self {
        BuildError::Full
    }
}

/// Gathers points into one message.
#[derive(Default)]
pub struct MessageBuilder {
    strings: Interner,
    /// String ids of the tag keys, in the order of first use, and how many tag-sets have each.
    keys: Vec<(u32, u32)>,
    /// For each string its index as a key, or [`NO_KEY`].
    key_of_string: Vec<u32>,
    sets: Vec<Set>,
    set_ids: Interner,
    points: Vec<Point>,
    counts: Vec<u32>,
    min_ts: i64,
    max_ts: i64,
    string_bytes: usize,
    tags: usize,
}

/// The string is no key.
const NO_KEY: u32 = u32::MAX;

/// A metric and its tags: pairs of a key's index and a value's string id, sorted.
struct Set {
    metric: u32,
    tags: Box<[(u32, u32)]>,
}

#[derive(Clone, Copy)]
struct Point {
    set: u32,
    ts: i64,
    value: f64,
}

impl MessageBuilder {
    /// A message without points.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many points it has.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether it has no points.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Adds a point. Tags may come in any order; those with an empty value are dropped.
    pub fn point<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        metric: impl AsRef<[u8]>,
        tags: &[(K, V)],
        ts: i64,
        value: f64,
    ) -> Result<(), BuildError> {
        if !self.counts.is_empty() {
            return Err(BuildError::MixedCounts);
        }
        self.add(metric.as_ref(), tags, ts, value)
    }

    /// Adds a point that stands for `count` points: for aggregated output.
    pub fn point_with_count<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        metric: impl AsRef<[u8]>,
        tags: &[(K, V)],
        ts: i64,
        value: f64,
        count: u32,
    ) -> Result<(), BuildError> {
        if self.counts.len() != self.points.len() {
            return Err(BuildError::MixedCounts);
        }
        self.add(metric.as_ref(), tags, ts, value)?;
        self.counts.push(count);
        Ok(())
    }

    /// The message, and an empty builder again.
    pub fn finish(&mut self) -> Result<Vec<u8>, BuildError> {
        if self.points.is_empty() {
            return Err(BuildError::Empty);
        }
        let built = core::mem::take(self);
        Ok(encode::message(&built))
    }

    fn add<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        metric: &[u8],
        tags: &[(K, V)],
        ts: i64,
        value: f64,
    ) -> Result<(), BuildError> {
        self.check_text(metric, tags)?;
        let (min, max) = self.span_with(ts)?;
        self.check_room(metric, tags)?;
        let set = self.intern_set(metric, tags);
        (self.min_ts, self.max_ts) = (min, max);
        self.points.push(Point { set, ts, value });
        Ok(())
    }

    fn check_text<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        metric: &[u8],
        tags: &[(K, V)],
    ) -> Result<(), BuildError> {
        if metric.is_empty() {
            return Err(BuildError::EmptyName);
        }
        let mut texts = core::iter::once(metric).chain(
            tags.iter()
                .flat_map(|(key, value)| [key.as_ref(), value.as_ref()]),
        );
        texts.try_for_each(|text| match text.len() {
            len if len > MAX_STRING_LEN as usize => Err(BuildError::StringTooLong(len)),
            _ if core::str::from_utf8(text).is_err() => Err(BuildError::Utf8),
            _ => Ok(()),
        })?;
        for (n, (key, _)) in tags.iter().enumerate() {
            if key.as_ref().is_empty() {
                return Err(BuildError::EmptyName);
            }
            if tags[..n]
                .iter()
                .any(|(other, _)| other.as_ref() == key.as_ref())
            {
                return Err(BuildError::DuplicateKey);
            }
        }
        Ok(())
    }

    /// The first and last timestamp with one more point.
    fn span_with(&self, ts: i64) -> Result<(i64, i64), BuildError> {
        if !(0..=MAX_TIMESTAMP).contains(&ts) {
            return Err(BuildError::Timestamp(ts));
        }
        if self.points.is_empty() {
            return Ok((ts, ts));
        }
        let (min, max) = (self.min_ts.min(ts), self.max_ts.max(ts));
        if max - min > MAX_SPAN {
            return Err(BuildError::Span(max - min));
        }
        Ok((min, max))
    }

    /// Whether a point with these texts fits, taking all that could be new as new.
    fn check_room<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        metric: &[u8],
        tags: &[(K, V)],
    ) -> Result<(), BuildError> {
        let mut bytes = self.string_bytes + metric.len();
        let mut keys = self.keys.len();
        for (key, value) in tags {
            bytes += key.as_ref().len() + value.as_ref().len();
            let known = match self.strings.find(key.as_ref())? {
                Some(id) => self.key_of_string[id as usize] != NO_KEY,
                None => false,
            };
            self.strings.find(value.as_ref())?;
            keys += usize::from(!known && !value.as_ref().is_empty());
        }
        self.strings.find(metric)?;
        let strings = self.strings.len() + 1 + 2 * tags.len();
        let sets = self.sets.len() + 1;
        let points = self.points.len() + 1;
        let full = strings > MAX_STRINGS as usize
            || keys > MAX_KEYS as usize
            || sets > MAX_SETS as usize
            || points > MAX_POINTS as usize
            || self.most_bytes(bytes, keys, strings, sets, points, tags.len()) > MAX_LEN as usize;
        if full {
            Err(BuildError::Full)
        } else {
            Ok(())
        }
    }

    /// No message with these counts is longer.
    fn most_bytes(
        &self,
        text: usize,
        keys: usize,
        strings: usize,
        sets: usize,
        points: usize,
        new_tags: usize,
    ) -> usize {
        let per_column = 8 + 7 + 5;
        let fixed = HEADER_LEN + TAIL_LEN + per_column * (FIXED_COLUMNS + keys);
        // Runs: lengths ≤ 2 bytes, ids ≤ 3, timestamps and counts ≤ 4, and a quarter for codes.
        let rows = 3 * strings + 4 * keys + 4 * sets + points * (4 + 5 + 8 + 5);
        // Dense columns take 3.25 bytes a tag-set, sparse ones 6.5 a tag: the shorter is written.
        let dense = keys * (4 * sets);
        let sparse = 7 * (self.tags + new_tags) + 4 * keys;
        fixed + text + rows + dense.min(sparse)
    }

    fn intern_set<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        metric: &[u8],
        tags: &[(K, V)],
    ) -> u32 {
        let metric = self.intern(metric);
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(tags.len());
        for (key, value) in tags {
            if !value.as_ref().is_empty() {
                pairs.push((self.intern_key(key.as_ref()), self.intern(value.as_ref())));
            }
        }
        pairs.sort_unstable();
        let numbers = pairs.iter().flat_map(|&(key, value)| [key, value]);
        let bytes: Vec<u8> = core::iter::once(metric)
            .chain(numbers)
            .flat_map(u32::to_le_bytes)
            .collect();
        // Where the search gives up the tag-set is written again, which is as good.
        if let Ok(Some(id)) = self.set_ids.find(&bytes) {
            return id;
        }
        for &(key, _) in &pairs {
            self.keys[key as usize].1 += 1;
        }
        self.tags += pairs.len();
        self.sets.push(Set {
            metric,
            tags: pairs.into_boxed_slice(),
        });
        self.set_ids.insert(&bytes)
    }

    fn intern_key(&mut self, key: &[u8]) -> u32 {
        let string = self.intern(key);
        let index = &mut self.key_of_string[string as usize];
        if *index == NO_KEY {
            *index = self.keys.len() as u32;
            self.keys.push((string, 0));
        }
        *index
    }

    fn intern(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.strings.find_anyhow(text) {
            return id;
        }
        self.string_bytes += text.len();
        self.key_of_string.push(NO_KEY);
        self.strings.insert(text)
    }
}
