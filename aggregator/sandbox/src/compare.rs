//! When two lists of records mean the same: the group resolved, NaN made canonical, sorted.

use ratchet_api::{Message, Record};
use ratchet_codec::payload::{Column, Header};
use ratchet_codec::DecodeError;
use ratchet_rules::{Rule, MAX_GROUP_KEYS};
use std::fmt;
use thiserror::Error;

/// The values of a rule's group-by keys: string id + 1 of each, 0 where the tag is absent. Strings
/// of a message are distinct, so within a message equal ids are equal values.
pub type Group = [u32; MAX_GROUP_KEYS];

/// NaN as it leaves the system.
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// A record in canonical form. The order of fields is the order of partials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partial {
    pub rule: u32,
    pub window: u32,
    pub group: Group,
    pub count: u32,
    /// Bits of the value.
    pub value: u64,
}

impl Partial {
    fn key(&self) -> (u32, u32, Group) {
        (self.rule, self.window, self.group)
    }

    fn result(&self) -> Outcome {
        Outcome {
            count: self.count,
            value: self.value,
        }
    }
}

/// What a partial says of its group and window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub count: u32,
    /// Bits of the value.
    pub value: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} points, {:?} ({:016x})",
            self.count,
            f64::from_bits(self.value),
            self.value
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompareError {
    #[error("message: {0}")]
    Message(String),
    #[error("record {at}: no rule {rule}")]
    Rule { at: usize, rule: u32 },
    #[error("record {at}: no tag-set {set}")]
    Set { at: usize, set: u32 },
    #[error("two records of rule {rule}, window {window}, group {group:?}")]
    Duplicate {
        rule: u32,
        window: u32,
        group: Vec<String>,
    },
}

/// The first place where two results part. `None` is a partial that is missing there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    pub rule: u32,
    pub window: u32,
    pub group: Group,
    pub expected: Option<Outcome>,
    pub actual: Option<Outcome>,
}

/// The canonical form of one message's records. See [`Groups`] for several lists of one message.
pub fn canonical(
    payload: &[u8],
    rules: &[Rule],
    records: &[Record],
) -> Result<Vec<Partial>, CompareError> {
    Groups::new(payload, rules)?.canonical(records)
}

/// Compares two results in canonical form.
pub fn first_difference(expected: &[Partial], actual: &[Partial]) -> Option<Difference> {
    let common = expected.len().min(actual.len());
    let at = (0..common)
        .find(|&at| expected[at] != actual[at])
        .unwrap_or(common);
    let (wanted, got) = (expected.get(at), actual.get(at));
    let first = wanted
        .into_iter()
        .chain(got)
        .min_by_key(|partial| partial.key())?;
    let told = |partial: Option<&Partial>| {
        partial
            .filter(|p| p.key() == first.key())
            .map(Partial::result)
    };
    Some(Difference {
        rule: first.rule,
        window: first.window,
        group: first.group,
        expected: told(wanted),
        actual: told(got),
    })
}

/// The groups of one message's tag-sets under some rules.
pub struct Groups {
    header: Header,
    strings: Vec<Box<[u8]>>,
    /// One for each key of the message: the value of each tag-set.
    columns: Vec<Vec<u32>>,
    /// For each rule and key of its group-by, the message's column, if it has that key.
    keys: Vec<Vec<Option<usize>>>,
}

impl Groups {
    pub fn new(payload: &[u8], rules: &[Rule]) -> Result<Self, CompareError> {
        let header =
            Header::read(payload).map_err(|error| CompareError::Message(error.to_string()))?;
        let decoded = decode(payload, header);
        let (strings, key_ids, columns) =
            decoded.map_err(|error| CompareError::Message(format!("{error:?}")))?;
        let names: Vec<&[u8]> = key_ids
            .iter()
            .map(|&id| strings.get(id as usize).map_or(&[][..], |s| s))
            .collect();
        let column = |key: &[u8]| names.iter().position(|name| *name == key);
        let keys = rules
            .iter()
            .map(|rule| rule.group_by.iter().map(|key| column(key)).collect())
            .collect();
        Ok(Groups {
            header,
            strings,
            columns,
            keys,
        })
    }

    /// Resolves, canonicalises and sorts; refuses two records of one (rule, group, window).
    pub fn canonical(&self, records: &[Record]) -> Result<Vec<Partial>, CompareError> {
        let partials = records
            .iter()
            .enumerate()
            .map(|(at, record)| self.partial(at, record));
        let mut partials = partials.collect::<Result<Vec<_>, _>>()?;
        partials.sort_unstable();
        match partials
            .windows(2)
            .find(|pair| pair[0].key() == pair[1].key())
        {
            Some(
                &[Partial {
                    rule,
                    window,
                    group,
                    ..
                }, ..],
            ) => Err(CompareError::Duplicate {
                rule,
                window,
                group: self.names(rule, &group),
            }),
            _ => Ok(partials),
        }
    }

    /// The values of a group in the order of the rule's group-by; an absent tag is empty.
    pub fn names(&self, rule: u32, group: &Group) -> Vec<String> {
        let count = self.keys.get(rule as usize).map_or(0, Vec::len);
        let name = |id: u32| {
            let text = id
                .checked_sub(1)
                .and_then(|id| self.strings.get(id as usize));
            text.map_or_else(String::new, |text| {
                String::from_utf8_lossy(text).into_owned()
            })
        };
        group.iter().take(count).map(|&id| name(id)).collect()
    }

    /// Where a window begins, in milliseconds since the epoch.
    pub fn window_start_ms(&self, rule: &Rule, window: u32) -> i64 {
        let length = i64::from(rule.window_ms).max(1);
        (self.header.min_ts.div_euclid(length) + i64::from(window)) * length
    }

    fn partial(&self, at: usize, record: &Record) -> Result<Partial, CompareError> {
        let Record {
            rule,
            set,
            window,
            count,
            value,
        } = *record;
        let keys = self
            .keys
            .get(rule as usize)
            .ok_or(CompareError::Rule { at, rule })?;
        if set >= self.header.sets {
            return Err(CompareError::Set { at, set });
        }
        let mut group = Group::default();
        for (slot, column) in group.iter_mut().zip(keys) {
            *slot = column.map_or(0, |column| self.columns[column][set as usize]);
        }
        let value = if value.is_nan() {
            CANONICAL_NAN
        } else {
            value.to_bits()
        };
        Ok(Partial {
            rule,
            window,
            group,
            count,
            value,
        })
    }
}

type Decoded = (Vec<Box<[u8]>>, Vec<u32>, Vec<Vec<u32>>);

fn decode(payload: &[u8], header: Header) -> Result<Decoded, DecodeError> {
    let (mut source, mut mirror) = (payload, Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror)?;
    message.pull_prefix()?;
    let (mut bounds, mut key_ids) = (Vec::new(), Vec::new());
    let strings = message
        .strings(&mut bounds)?
        .iter()
        .map(Box::from)
        .collect();
    message.key_ids(&mut key_ids)?;
    let mut columns = Vec::with_capacity(key_ids.len());
    for key in 0..header.keys {
        message.pull(Column::Key(key), Column::Key(key))?;
        let mut column = Vec::new();
        message.key_column(key, &mut column)?;
        columns.push(column);
    }
    Ok((strings, key_ids, columns))
}
