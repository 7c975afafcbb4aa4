//! What tag-sets add up to by themselves, and what subsets of them do.
//!
//! The quantities of a subset that do not depend on an order are put together from those of its
//! tag-sets; its sum is not, so it waits for the points, which are added in their order.

use ratchet_api::Record;
use ratchet_rules::Aggregate;

/// The most tag-sets of a metric: one a bit.
pub(crate) const BITS: usize = 64;

/// The tag-sets of one metric, by their place among them. Each quantity as a record that lacks
/// nothing but its rule.
pub(crate) struct Cells {
    pub set: [u32; BITS],
    count: [u32; BITS],
    max: [i64; BITS],
    min: [i64; BITS],
    records: [[Record; BITS]; KINDS],
}

const KINDS: usize = 4;
const BLANK: Record = Record {
    rule: 0,
    set: 0,
    window: 0,
    count: 0,
    value: 0.0,
};

impl Default for Cells {
    fn default() -> Self {
        Cells {
            set: [0; BITS],
            count: [0; BITS],
            max: [0; BITS],
            min: [0; BITS],
            records: [[BLANK; BITS]; KINDS],
        }
    }
}

/// Where an aggregate's records lie.
fn kind(aggregate: Aggregate) -> usize {
    match aggregate {
        Aggregate::Sum | Aggregate::Avg => 0,
        Aggregate::Max => 1,
        Aggregate::Min => 2,
        Aggregate::Count => 3,
    }
}

impl Cells {
    /// What a rule answers for tag-sets that are alone in their groups.
    #[inline(always)]
    pub fn records(&self, aggregate: Aggregate) -> &[Record; BITS] {
        &self.records[kind(aggregate)]
    }
}

/// A subset of several tag-sets.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub count: u32,
    pub sum: f64,
    pub max: i64,
    pub min: i64,
}

/// A record whose sum is not there yet.
pub(crate) struct Pending {
    pub rule: u32,
    pub set: u32,
    pub slot: u32,
}

/// The sums of one message.
#[derive(Default)]
pub(crate) struct Adding {
    totals: Vec<Slot>,
    /// Per tag-set: the slots that its values are added to.
    lists: Vec<Vec<u32>>,
    pub slots: Vec<Slot>,
    pub pending: Vec<Pending>,
}

const EMPTY: Slot = Slot {
    count: 0,
    sum: -0.0,
    max: i64::MIN,
    min: i64::MAX,
};

impl Adding {
    /// Takes in the points of a message with so many tag-sets. With extremes or without.
    pub fn begin<const EXTREMES: bool>(&mut self, total: usize, sets: &[u32], values: &[f64]) {
        self.totals.clear();
        self.totals.resize(total, EMPTY);
        self.slots.clear();
        self.pending.clear();
        if self.lists.len() < total {
            self.lists.resize(total, Vec::new());
        }
        self.lists[..total].iter_mut().for_each(Vec::clear);
        for (&set, &value) in sets.iter().zip(values) {
            let cell = &mut self.totals[set as usize];
            cell.count += 1;
            cell.sum += value;
            if EXTREMES {
                cell.max = cell.max.max(key_of(value, i64::MIN));
                cell.min = cell.min.min(key_of(value, i64::MAX));
            }
        }
    }

    /// The tag-sets of one metric; answers which of them have points.
    pub fn cells(&self, members: &[u32], cells: &mut Cells) -> u64 {
        let mut present = 0;
        for (at, &set) in members.iter().enumerate().take(BITS) {
            let total = &self.totals[set as usize];
            let count = total.count;
            (cells.set[at], cells.count[at]) = (set, count);
            (cells.max[at], cells.min[at]) = (total.max, total.min);
            let record = |value| Record {
                set,
                count,
                value,
                ..BLANK
            };
            cells.records[0][at] = record(total.sum);
            cells.records[1][at] = record(value_of(total.max, i64::MIN));
            cells.records[2][at] = record(value_of(total.min, i64::MAX));
            cells.records[3][at] = record(f64::from(count));
            present |= u64::from(count > 0) << at;
        }
        present
    }

    /// A slot for a subset; its sum only when somebody wants it, and so its extremes.
    #[inline(always)]
    pub fn slot(&mut self, subset: u64, cells: &Cells, sums: bool, extremes: bool) -> u32 {
        let slot = self.slots.len() as u32;
        let mut made = EMPTY;
        let mut rest = subset;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize % BITS;
            rest &= rest - 1;
            made.count += cells.count[at];
            if sums {
                self.lists[cells.set[at] as usize].push(slot);
            }
            if extremes {
                made.max = made.max.max(cells.max[at]);
                made.min = made.min.min(cells.min[at]);
            }
        }
        self.slots.push(made);
        slot
    }

    /// Adds every point to the slots of its tag-set, and writes the records that waited.
    pub fn finish(&mut self, sets: &[u32], values: &[f64], out: &mut Vec<Record>) {
        if self.pending.is_empty() {
            return;
        }
        for (&set, &value) in sets.iter().zip(values) {
            for &slot in &self.lists[set as usize] {
                self.slots[slot as usize].sum += value;
            }
        }
        out.extend(self.pending.iter().map(|&Pending { rule, set, slot }| {
            let Slot { count, sum, .. } = self.slots[slot as usize];
            Record {
                rule,
                set,
                window: 0,
                count,
                value: sum,
            }
        }));
    }
}

/// A number that is ordered as values are, -0.0 below +0.0; a NaN is `none`.
#[inline(always)]
fn key_of(value: f64, none: i64) -> i64 {
    let bits = value.to_bits() as i64;
    let key = bits ^ ((bits >> 63) as u64 >> 1) as i64;
    if value.is_nan() {
        none
    } else {
        key
    }
}

/// The value of such a number.
#[inline(always)]
pub(crate) fn value_of(key: i64, none: i64) -> f64 {
    let bits = key ^ ((key >> 63) as u64 >> 1) as i64;
    if key == none {
        f64::NAN
    } else {
        f64::from_bits(bits as u64)
    }
}
