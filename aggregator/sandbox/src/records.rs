//! Checks the records that a guest returned, in one pass.

use crate::fault::RecordFault;
use ratchet_codec::payload::Header;
use ratchet_rules::Rule;
use zerocopy::{FromBytes, IntoBytes};

pub use ratchet_api::Record;

/// Length of a record in the guest's memory.
pub const RECORD_BYTES: usize = 24;

/// Guests write little-endian numbers: elsewhere records could not be read in place.
const _: () = assert!(cfg!(target_endian = "little"));

/// Checks records against the rules and the header of their message.
pub(crate) struct Checker {
    /// The distinct window lengths of the rules, in milliseconds.
    lengths: Vec<i64>,
    /// For each rule, which of them it has.
    length_of: Vec<u32>,
    /// For each length, how many windows the message touches.
    spans: Vec<u32>,
}

impl Checker {
    pub fn new(rules: &[Rule]) -> Self {
        let mut lengths: Vec<i64> = Vec::new();
        let length_of = rules.iter().map(|rule| {
            let length = i64::from(rule.window_ms).max(1);
            let known = lengths.iter().position(|&other| other == length);
            known.unwrap_or_else(|| {
                lengths.push(length);
                lengths.len() - 1
            }) as u32
        });
        let length_of = length_of.collect();
        Checker {
            lengths,
            length_of,
            spans: Vec::new(),
        }
    }

    /// The records in `bytes`, once it is sure that they can be merged. They are read in place;
    /// from an address that no record may have they are copied into `copy`. Two records of one
    /// group are left to those who resolve groups: the merge, and `compare`.
    pub fn check<'a>(
        &mut self,
        bytes: &'a [u8],
        header: &Header,
        max: usize,
        copy: &'a mut Vec<Record>,
    ) -> Result<&'a [Record], RecordFault> {
        let records = bytes.len() / RECORD_BYTES;
        if !bytes.len().is_multiple_of(RECORD_BYTES) {
            return Err(RecordFault::Length { bytes: bytes.len() });
        }
        if records > max {
            return Err(RecordFault::TooMany { records, max });
        }
        self.spans.clear();
        self.spans.extend(self.lengths.iter().map(|&length| {
            let span = header.max_ts.div_euclid(length) - header.min_ts.div_euclid(length) + 1;
            u32::try_from(span).unwrap_or(0)
        }));
        let records = match <[Record]>::ref_from_bytes(bytes) {
            Ok(records) => records,
            Err(_) => {
                copy.resize(records, BLANK);
                copy.as_mut_slice().as_mut_bytes().copy_from_slice(bytes);
                copy
            }
        };
        match self.first_bad(records, header) {
            Some(at) => Err(self.explain(at, &records[at], header)),
            None => Ok(records),
        }
    }

    fn first_bad(&self, records: &[Record], header: &Header) -> Option<usize> {
        if self.is_single() {
            let windows = |rule: usize| u32::from(rule < self.length_of.len());
            return first_bad(records, header, windows);
        }
        let (length_of, spans) = (&self.length_of[..], &self.spans[..]);
        first_bad(records, header, |rule| {
            let length = length_of.get(rule).copied().unwrap_or(u32::MAX);
            spans.get(length as usize).copied().unwrap_or(0)
        })
    }

    /// Whether the message lies within one window of every rule, as most do.
    fn is_single(&self) -> bool {
        self.spans.iter().all(|&span| span == 1)
    }

    /// What is wrong with a record.
    #[cold]
    fn explain(&self, at: usize, record: &Record, header: &Header) -> RecordFault {
        let Record {
            rule,
            set,
            window,
            count,
            ..
        } = *record;
        let (rules, sets, points) = (self.length_of.len() as u32, header.sets, header.points);
        let Some(&length) = self.length_of.get(rule as usize) else {
            return RecordFault::Rule { at, rule, rules };
        };
        let windows = self.spans[length as usize];
        if set >= sets {
            RecordFault::Set { at, set, sets }
        } else if window >= windows {
            RecordFault::Window {
                at,
                rule,
                window,
                windows,
            }
        } else {
            RecordFault::Count { at, count, points }
        }
    }
}

const BLANK: Record = Record {
    rule: 0,
    set: 0,
    window: 0,
    count: 0,
    value: 0.0,
};

/// One pass with one branch a record, because some messages have thousands of them. `windows` says
/// how many the message touches of a rule; none of one that is not there.
#[inline(always)]
fn first_bad(records: &[Record], header: &Header, windows: impl Fn(usize) -> u32) -> Option<usize> {
    records.iter().position(|record| {
        let good = (record.window < windows(record.rule as usize))
            & (record.set < header.sets)
            & (record.count.wrapping_sub(1) < header.points);
        !good
    })
}
