//! Building messages: for producers, gateways and tests. Never linked into a guest.

mod assemble;
mod columns;
mod encode;
mod interner;
mod message;

use super::{FIXED_COLUMNS, HEADER_LEN, MAX_TIMESTAMP, TAIL_LEN};
use super::{MAX_KEYS, MAX_LEN, MAX_POINTS, MAX_SETS, MAX_SPAN, MAX_STRINGS, MAX_STRING_LEN};
use alloc::vec::Vec;
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

/// Gathers points into one message.
#[derive(Default)]
pub struct MessageBuilder {
    strings: Interner,
    /// String ids of the tag keys, in the order of first use.
    keys: Vec<u32>,
    /// For each string its index as a key, or [`NO_KEY`].
    key_of_string: Vec<u32>,
    sets: Vec<Set>,
    /// Tags of all tag-sets: of each a key's index and a value's string id, sorted.
    pairs: Vec<(u32, u32)>,
    set_ids: Interner,
    points: Vec<Point>,
    counts: Vec<u32>,
    min_ts: i64,
    max_ts: i64,
    /// String ids of the last point's keys, by place: most often the next point has them there too.
    last_keys: Vec<u32>,
    scratch: Scratch,
}

/// The string is no key.
const NO_KEY: u32 = u32::MAX;
/// The text has no string id.
const NEW: u32 = u32::MAX;

/// A metric, and where its tags begin and end among the pairs.
struct Set {
    metric: u32,
    begin: u32,
    end: u32,
}

/// What is known of one point; kept for the sake of its memory.
#[derive(Default)]
struct Scratch {
    /// The string ids of each tag's key and value, or [`NEW`].
    found: Vec<(u32, u32)>,
    /// A tag-set as bytes.
    set: Vec<u8>,
}

/// What a look at a point's texts told.
struct Seen {
    /// A search gave up.
    crowded: bool,
    /// All keys are those of the last point, in the same places.
    same_keys: bool,
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
        let mut scratch = core::mem::take(&mut self.scratch);
        let set = self.set_of(&mut scratch, metric, tags, ts);
        self.scratch = scratch;
        let set = set?;
        let first = self.points.is_empty();
        self.min_ts = if first { ts } else { self.min_ts.min(ts) };
        self.max_ts = if first { ts } else { self.max_ts.max(ts) };
        self.points.push(Point { set, ts, value });
        Ok(())
    }

    /// The tag-set of a point, once nothing speaks against the point any more.
    fn set_of<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        scratch: &mut Scratch,
        metric: &[u8],
        tags: &[(K, V)],
        ts: i64,
    ) -> Result<u32, BuildError> {
        let seen = self.look(&mut scratch.found, metric, tags)?;
        if !seen.same_keys {
            check_keys(&scratch.found, tags, seen.crowded)?;
        }
        self.check_time(ts)?;
        if seen.crowded {
            return Err(BuildError::Full);
        }
        self.check_room(&scratch.found, metric, tags)?;
        Ok(self.intern_set(scratch, metric, tags))
    }

    /// Looks every text up, and checks those that are new.
    fn look<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        found: &mut Vec<(u32, u32)>,
        metric: &[u8],
        tags: &[(K, V)],
    ) -> Result<Seen, BuildError> {
        if metric.is_empty() {
            return Err(BuildError::EmptyName);
        }
        let mut crowded = false;
        self.find(metric, &mut crowded)?;
        let mut same_keys = tags.len() == self.last_keys.len();
        found.clear();
        for (place, (key, value)) in tags.iter().enumerate() {
            let key = key.as_ref();
            let key = match self.last_keys.get(place) {
                Some(&last) if self.strings.get(last) == key => last,
                _ => {
                    same_keys = false;
                    self.find(key, &mut crowded)?
                }
            };
            found.push((key, self.find(value.as_ref(), &mut crowded)?));
        }
        Ok(Seen { crowded, same_keys })
    }

    /// The string id of a text, or [`NEW`] for one that may become a string.
    fn find(&self, text: &[u8], crowded: &mut bool) -> Result<u32, BuildError> {
        match self.strings.find(text) {
            Ok(Some(id)) => return Ok(id),
            Ok(None) => {}
            Err(interner::Crowded) => *crowded = true,
        }
        match text.len() {
            len if len > MAX_STRING_LEN as usize => Err(BuildError::StringTooLong(len)),
            _ if core::str::from_utf8(text).is_err() => Err(BuildError::Utf8),
            _ => Ok(NEW),
        }
    }

    fn check_time(&self, ts: i64) -> Result<(), BuildError> {
        if !(0..=MAX_TIMESTAMP).contains(&ts) {
            return Err(BuildError::Timestamp(ts));
        }
        let span = self.max_ts.max(ts) - self.min_ts.min(ts);
        if !self.points.is_empty() && span > MAX_SPAN {
            return Err(BuildError::Span(span));
        }
        Ok(())
    }

    /// Whether a point with these texts fits, taking all that could be new as new.
    fn check_room<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        found: &[(u32, u32)],
        metric: &[u8],
        tags: &[(K, V)],
    ) -> Result<(), BuildError> {
        let mut bytes = self.strings.bytes().len() + metric.len();
        let mut keys = self.keys.len();
        for ((key, value), &(id, _)) in tags.iter().zip(found) {
            bytes += key.as_ref().len() + value.as_ref().len();
            let known = id != NEW && self.key_of_string[id as usize] != NO_KEY;
            keys += usize::from(!known && !value.as_ref().is_empty());
        }
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
        let sparse = 7 * (self.pairs.len() + new_tags) + 4 * keys;
        fixed + text + rows + dense.min(sparse)
    }

    fn intern_set<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        scratch: &mut Scratch,
        metric: &[u8],
        tags: &[(K, V)],
    ) -> u32 {
        let metric = self.intern(metric);
        let begin = self.pairs.len();
        self.last_keys.clear();
        for ((key, value), &(key_id, value_id)) in tags.iter().zip(&scratch.found) {
            if !value.as_ref().is_empty() {
                let key = self.known_or_new(key_id, key.as_ref());
                let value = self.known_or_new(value_id, value.as_ref());
                self.last_keys.push(key);
                let key = self.key_index(key);
                self.pairs.push((key, value));
            }
        }
        self.pairs[begin..].sort_unstable();
        scratch.set.clear();
        scratch.set.extend(metric.to_le_bytes());
        for (key, value) in &self.pairs[begin..] {
            scratch.set.extend(key.to_le_bytes());
            scratch.set.extend(value.to_le_bytes());
        }
        // Where the search gives up the tag-set is written again, which is as good.
        if let Ok(Some(id)) = self.set_ids.find(&scratch.set) {
            self.pairs.truncate(begin);
            return id;
        }
        self.sets.push(Set {
            metric,
            begin: begin as u32,
            end: self.pairs.len() as u32,
        });
        self.set_ids.insert(&scratch.set)
    }

    /// The index of a string among the keys; from now on it is one.
    fn key_index(&mut self, string: u32) -> u32 {
        let index = &mut self.key_of_string[string as usize];
        if *index == NO_KEY {
            *index = self.keys.len() as u32;
            self.keys.push(string);
        }
        *index
    }

    fn known_or_new(&mut self, id: u32, text: &[u8]) -> u32 {
        match id {
            NEW => self.intern(text),
            known => known,
        }
    }

    fn intern(&mut self, text: &[u8]) -> u32 {
        let id = self.strings.intern(text);
        self.key_of_string.resize(self.strings.len(), NO_KEY);
        id
    }
}

/// Each key has a name, and each another one.
fn check_keys<K: AsRef<[u8]>, V>(
    found: &[(u32, u32)],
    tags: &[(K, V)],
    crowded: bool,
) -> Result<(), BuildError> {
    for (n, ((key, _), &(id, _))) in tags.iter().zip(found).enumerate() {
        let key = key.as_ref();
        if key.is_empty() {
            return Err(BuildError::EmptyName);
        }
        // One text has one id, unless a search gave up.
        let by_text = crowded || id == NEW;
        let same = |((other, _), &(own, _)): (&(K, V), &(u32, u32))| {
            if by_text {
                other.as_ref() == key
            } else {
                own == id
            }
        };
        if tags[..n].iter().zip(found).any(same) {
            return Err(BuildError::DuplicateKey);
        }
    }
    Ok(())
}
