//! The columns of a message, decoded by the codec.

use ratchet_codec::payload::{Header, Message, Source};
use ratchet_codec::DecodeError;

/// Which columns are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Every column that a message has.
    All,
    Strings,
    KeyIds,
    MetricIds,
    SetIds,
    Timestamps,
    Values,
    Keys,
}

impl Part {
    pub const EVERY: [Part; 8] = [
        Part::All,
        Part::Strings,
        Part::KeyIds,
        Part::MetricIds,
        Part::SetIds,
        Part::Timestamps,
        Part::Values,
        Part::Keys,
    ];

    #[inline(always)]
    pub(crate) fn has(self, other: Part) -> bool {
        self == Part::All || self == other
    }
}

/// Decoded columns. The memory is kept from message to message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    /// Where each string starts, and last where the last one ends.
    pub bounds: Vec<u32>,
    pub key_ids: Vec<u32>,
    pub metric_ids: Vec<u32>,
    pub set_ids: Vec<u32>,
    pub timestamps: Vec<i64>,
    pub values: Vec<f64>,
    pub keys: Vec<Vec<u32>>,
}

impl Columns {
    /// Makes room for the columns of `keys` keys.
    #[inline(always)]
    pub fn hold_keys(&mut self, keys: u32) {
        if self.keys.len() < keys as usize {
            self.keys.resize_with(keys as usize, Vec::new);
        }
    }

    /// A number that stands for all that was decoded.
    pub fn digest(&self) -> u64 {
        let words = [&self.bounds, &self.key_ids, &self.metric_ids, &self.set_ids];
        let words = words.into_iter().chain(&self.keys);
        let mut digest = words.fold(0, |digest, column| fold(digest, column));
        for &ts in &self.timestamps {
            digest = mix(digest, ts as u64);
        }
        for value in &self.values {
            digest = mix(digest, value.to_bits());
        }
        digest
    }
}

/// Takes a column of numbers into a digest.
pub(crate) fn fold(digest: u64, numbers: &[u32]) -> u64 {
    numbers
        .iter()
        .fold(mix(digest, numbers.len() as u64), |digest, &number| {
            mix(digest, u64::from(number))
        })
}

fn mix(digest: u64, word: u64) -> u64 {
    (digest.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The bytes lie where the message will look for them: nothing is copied while time is taken.
struct InPlace;

impl Source for InPlace {
    fn read(&mut self, _offset: u32, _into: &mut [u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Decodes a part of the message that lies in `mirror`.
pub(crate) fn decode(
    part: Part,
    header: Header,
    mirror: &mut Vec<u8>,
    out: &mut Columns,
) -> Result<(), DecodeError> {
    let mut source = InPlace;
    let mut message = Message::new(header, &mut source, mirror)?;
    message.pull_all()?;
    if part.has(Part::Strings) {
        message.strings(&mut out.bounds)?;
    }
    if part.has(Part::KeyIds) {
        message.key_ids(&mut out.key_ids)?;
    }
    if part.has(Part::MetricIds) {
        message.metric_ids(&mut out.metric_ids)?;
    }
    if part.has(Part::SetIds) {
        message.set_ids(&mut out.set_ids)?;
    }
    if part.has(Part::Timestamps) {
        message.timestamps(&mut out.timestamps)?;
    }
    if part.has(Part::Values) {
        message.values(&mut out.values)?;
    }
    if part.has(Part::Keys) {
        out.hold_keys(header.keys);
        for (key, column) in (0..header.keys).zip(&mut out.keys) {
            message.key_column(key, column)?;
        }
    }
    Ok(())
}
