//! Checks the records that a guest returned, in one pass.

use crate::fault::RecordFault;
use ratchet_codec::payload::Header;
use ratchet_rules::Rule;

pub use ratchet_api::Record;

/// Length of a record in the guest's memory.
pub const RECORD_BYTES: usize = 24;

fn decode(bytes: &[u8; RECORD_BYTES]) -> Record {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Record {
        rule: word(0),
        set: word(4),
        window: word(8),
        count: word(12),
        value: f64::from_bits(u64::from(word(16)) | u64::from(word(20)) << 32),
    }
}

/// Up to so many possible (rule, tag-set, window) a message, repeats are found by a bit for each.
const SEEN_BITS_MAX: u64 = 1 << 23;

/// Checks records against the rules and the header of their message.
pub(crate) struct Checker {
    /// The distinct window lengths of the rules, in milliseconds.
    lengths: Vec<i64>,
    /// For each rule, which of them it has.
    length_of: Vec<u32>,
    /// For each length, how many windows the message touches.
    spans: Vec<u32>,
    /// A bit for each (rule, tag-set, window). All clear between messages.
    seen: Vec<u64>,
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
            seen: Vec::new(),
        }
    }

    /// Decodes `bytes` into `out`, and refuses what cannot be merged.
    pub fn check(
        &mut self,
        bytes: &[u8],
        header: &Header,
        max: usize,
        out: &mut Vec<Record>,
    ) -> Result<(), RecordFault> {
        out.clear();
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
        self.decode(bytes, header, out)?;
        self.check_unique(out, header)
    }

    fn decode(
        &self,
        bytes: &[u8],
        header: &Header,
        out: &mut Vec<Record>,
    ) -> Result<(), RecordFault> {
        let rules = self.length_of.len() as u32;
        let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
        out.reserve(records.len());
        for (at, bytes) in records.iter().enumerate() {
            let Record {
                rule,
                set,
                window,
                count,
                value,
            } = decode(bytes);
            let Some(&length) = self.length_of.get(rule as usize) else {
                return Err(RecordFault::Rule { at, rule, rules });
            };
            let windows = self.spans[length as usize];
            if set >= header.sets {
                return Err(RecordFault::Set {
                    at,
                    set,
                    sets: header.sets,
                });
            }
            if window >= windows {
                return Err(RecordFault::Window {
                    at,
                    rule,
                    window,
                    windows,
                });
            }
            if count == 0 || count > header.points {
                return Err(RecordFault::Count {
                    at,
                    count,
                    points: header.points,
                });
            }
            out.push(Record {
                rule,
                set,
                window,
                count,
                value,
            });
        }
        Ok(())
    }

    /// Finds a second record of one (rule, tag-set, window). Two records of one group under
    /// different tag-sets are left to `compare`, which resolves groups.
    fn check_unique(&mut self, records: &[Record], header: &Header) -> Result<(), RecordFault> {
        let span = u64::from(self.spans.iter().copied().max().unwrap_or(0));
        let sets = u64::from(header.sets);
        let bits = (self.length_of.len() as u64)
            .saturating_mul(sets)
            .saturating_mul(span);
        if bits > SEEN_BITS_MAX {
            return unique_by_order(records);
        }
        if (self.seen.len() as u64) < bits.div_ceil(64) {
            self.seen.resize(bits.div_ceil(64) as usize, 0);
        }
        let bit = |r: &Record| {
            ((u64::from(r.rule) * sets + u64::from(r.set)) * span + u64::from(r.window)) as usize
        };
        let mut repeat = None;
        for (at, record) in records.iter().enumerate() {
            let bit = bit(record);
            let word = &mut self.seen[bit / 64];
            if *word >> (bit % 64) & 1 == 1 {
                repeat = Some(at);
                break;
            }
            *word |= 1 << (bit % 64);
        }
        for record in records {
            self.seen[bit(record) / 64] = 0;
        }
        repeat.map_or(Ok(()), |at| Err(duplicate(at, &records[at])))
    }
}

fn unique_by_order(records: &[Record]) -> Result<(), RecordFault> {
    let key = |at: u32| {
        let record = &records[at as usize];
        (record.rule, record.set, record.window)
    };
    let mut order: Vec<u32> = (0..records.len() as u32).collect();
    order.sort_unstable_by_key(|&at| (key(at), at));
    let repeat = order
        .windows(2)
        .filter(|pair| key(pair[0]) == key(pair[1]))
        .map(|pair| pair[1]);
    match repeat.min() {
        Some(at) => Err(duplicate(at as usize, &records[at as usize])),
        None => Ok(()),
    }
}

fn duplicate(at: usize, record: &Record) -> RecordFault {
    RecordFault::Duplicate {
        at,
        rule: record.rule,
        set: record.set,
        window: record.window,
    }
}
