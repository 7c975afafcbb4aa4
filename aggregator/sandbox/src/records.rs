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

/// Up to so many possible (rule, tag-set, window) of a message have a stamp each, to find repeats.
const STAMPS_MAX: u64 = 1 << 22;

/// Checks records against the rules and the header of their message.
pub(crate) struct Checker {
    /// The distinct window lengths of the rules, in milliseconds.
    lengths: Vec<i64>,
    /// For each rule, which of them it has.
    length_of: Vec<u32>,
    /// For each length, how many windows the message touches.
    spans: Vec<u32>,
    /// For each (rule, tag-set, window), the last message that had a record of it.
    stamps: Vec<u8>,
    /// Stands for the current message. Stamps are cleared when it comes round to 0.
    stamp: u8,
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
            stamps: Vec::new(),
            stamp: 0,
        }
    }

    /// Decodes `bytes` into `out`, and refuses what cannot be merged. Two records of one group
    /// under different tag-sets are left to `compare`, which resolves groups.
    pub fn check(
        &mut self,
        bytes: &[u8],
        header: &Header,
        max: usize,
        out: &mut Vec<Record>,
    ) -> Result<(), RecordFault> {
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
        // What is left of the last message is overwritten: blanking it would cost as much again.
        out.resize(records, BLANK);
        let (bytes, _) = bytes.as_chunks();
        match (self.begin_stamps(header), self.is_single()) {
            (true, true) => self.decode::<true, true>(bytes, header, out),
            (true, false) => self.decode::<true, false>(bytes, header, out),
            (false, _) => {
                self.decode::<false, false>(bytes, header, out)?;
                unique_by_order(out)
            }
        }
    }

    /// Whether the message lies within one window of every rule, as most do.
    fn is_single(&self) -> bool {
        self.spans.iter().all(|&span| span == 1)
    }

    /// Whether the message is small enough for stamps, which are then ready.
    fn begin_stamps(&mut self, header: &Header) -> bool {
        let rules = self.length_of.len() as u64;
        let wanted = rules
            .saturating_mul(u64::from(header.sets))
            .saturating_mul(self.widest());
        if wanted > STAMPS_MAX {
            return false;
        }
        if (self.stamps.len() as u64) < wanted {
            self.stamps.resize(wanted as usize, 0);
        }
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.stamps.fill(0);
            self.stamp = 1;
        }
        true
    }

    fn widest(&self) -> u64 {
        u64::from(self.spans.iter().copied().max().unwrap_or(0))
    }

    /// One pass with one branch a record, because some messages have thousands of them. `SINGLE`:
    /// what `is_single` says.
    fn decode<const STAMPED: bool, const SINGLE: bool>(
        &mut self,
        bytes: &[[u8; RECORD_BYTES]],
        header: &Header,
        out: &mut [Record],
    ) -> Result<(), RecordFault> {
        let (sets, widest) = (header.sets as usize, self.widest() as usize);
        // Slices of its own, lest the loop load them anew after every stamp.
        let (length_of, spans) = (&self.length_of[..], &self.spans[..]);
        let (stamps, current) = (&mut self.stamps[..], self.stamp);
        for (at, (bytes, out)) in bytes.iter().zip(out).enumerate() {
            let record = decode(bytes);
            let rule = record.rule as usize;
            let windows = if SINGLE {
                u32::from(rule < length_of.len())
            } else {
                let length = length_of.get(rule).copied().unwrap_or(u32::MAX);
                spans.get(length as usize).copied().unwrap_or(0)
            };
            let mut good = (record.window < windows)
                & (record.set < header.sets)
                & (record.count.wrapping_sub(1) < header.points);
            if STAMPED {
                let mut place = rule * sets + record.set as usize;
                if !SINGLE {
                    place = place.wrapping_mul(widest);
                    place = place.wrapping_add(record.window as usize);
                }
                match stamps.get_mut(place) {
                    Some(stamp) if good => {
                        good = *stamp != current;
                        *stamp = current;
                    }
                    _ => good = false,
                }
            }
            if !good {
                // Not a reference to `record`: that would keep it in memory, piece by piece.
                return Err(self.explain(at, bytes, header));
            }
            *out = record;
        }
        Ok(())
    }

    /// What is wrong with a record; if nothing else, it is a repeat.
    #[cold]
    fn explain(&self, at: usize, bytes: &[u8; RECORD_BYTES], header: &Header) -> RecordFault {
        let Record {
            rule,
            set,
            window,
            count,
            ..
        } = decode(bytes);
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
        } else if count == 0 || count > points {
            RecordFault::Count { at, count, points }
        } else {
            duplicate(at, &decode(bytes))
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
