//! Checks the records that a guest returned, in one pass.

use crate::fault::RecordFault;
use ratchet_codec::payload::Header;
use ratchet_rules::Rule;
use wide::u32x4;
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
        let rules = self.length_of.len() as u32;
        if self.is_single() && are_below([rules, header.sets, 1, header.points], records) {
            return None;
        }
        let windows = |rule: u32| {
            let length = self.length_of.get(rule as usize).copied();
            let span = self.spans.get(length.unwrap_or(u32::MAX) as usize);
            span.copied().unwrap_or(0)
        };
        // With one branch a record.
        records.iter().position(|record| {
            let good = (record.window < windows(record.rule))
                & (record.set < header.sets)
                & (record.count.wrapping_sub(1) < header.points);
            !good
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

/// Whether the rule, tag-set, window and count less one of every record are below these limits, of
/// which none is more than 2³¹. Without a branch, because some messages have thousands of records:
/// a number from 0 to the last one that is good leaves no sign bit, neither its own nor that of its
/// distance from there.
#[inline(never)]
fn are_below(limits: [u32; 4], records: &[Record]) -> bool {
    let (last, one) = (u32x4::new(limits) - u32x4::ONE, u32x4::new([0, 0, 0, 1]));
    let mut seen = u32x4::ZERO;
    for record in records {
        let Record {
            rule,
            set,
            window,
            count,
            ..
        } = *record;
        let numbers = u32x4::new([rule, set, window, count]) - one;
        seen |= numbers | (last - numbers);
    }
    seen.to_array().iter().all(|bits| bits >> 31 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_record_has_its_limit() {
        const LIMITS: [u32; 4] = [3, 5, 1, 1 << 31];
        let check = |[rule, set, window, count]: [u32; 4], expected| {
            let good = Record { count: 1, ..BLANK };
            let record = Record {
                rule,
                set,
                window,
                count,
                value: f64::NAN,
            };
            let found = are_below(LIMITS, &[good, record, good]);
            assert_eq!(found, expected, "{record:?}");
        };
        check([2, 4, 0, 1], true);
        check([0, 0, 0, 1 << 31], true);
        check([0, 0, 0, 0], false);
        check([0, 0, 0, (1 << 31) + 1], false);
        for beyond in [5, 1 << 31, (1 << 31) + 4, u32::MAX] {
            check([beyond, 0, 0, 1], false);
            check([0, beyond, 0, 1], false);
            check([0, 0, beyond, 1], false);
        }
        check([3, 0, 0, 1], false);
        check([0, 0, 1, 1], false);
        assert!(are_below(LIMITS, &[]));
        assert!(!are_below([0, 5, 1, 9], &[Record { count: 1, ..BLANK }]));
    }
}
