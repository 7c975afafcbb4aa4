//! What is remembered of series: their texts as numbers, their rows, and the slots that they
//! belong to.

use super::index::{Full, Index};
use crate::hash;
use crate::literals::same_words;
use alloc::vec::Vec;

/// How much is remembered. Whatever does not fit makes all be forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub texts: usize,
    pub bytes: usize,
    pub series: usize,
    /// Words of all series' rows.
    pub words: usize,
    /// Slots of all series.
    pub entries: usize,
    pub slots: usize,
}

impl Room {
    /// What so many series of usual shapes need: about 400 bytes each.
    pub const fn of(series: usize) -> Self {
        Room {
            texts: series,
            bytes: 32 * series,
            series,
            words: 20 * series,
            entries: 24 * series,
            slots: 4 * series,
        }
    }
}

/// Texts, numbered from 1 on in the order in which they were met.
pub(super) struct Texts {
    index: Index,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    room: Room,
}

impl Texts {
    pub fn new(room: Room) -> Self {
        let mut texts = Texts {
            index: Index::new(room.texts),
            bytes: Vec::with_capacity(room.bytes),
            ends: Vec::with_capacity(room.texts + 1),
            room,
        };
        texts.ends.push(0);
        texts
    }

    pub fn clear(&mut self) {
        self.index.clear();
        self.bytes.clear();
        self.ends.truncate(1);
    }

    /// The number of a text, a new one at first sight.
    #[inline(never)]
    pub fn number(&mut self, text: &[u8]) -> Result<u32, Full> {
        let hash = hash_all(text);
        let (bytes, ends) = (&self.bytes[..], &self.ends[..]);
        let same = |number: u32| {
            let (from, to) = (ends[number as usize - 1], ends[number as usize]);
            same_words(&bytes[from as usize..to as usize], text)
        };
        match self.index.find(hash, same) {
            Ok(number) => Ok(number),
            Err(place) => self.add(place, hash, text),
        }
    }

    #[cold]
    fn add(&mut self, place: usize, hash: u32, text: &[u8]) -> Result<u32, Full> {
        let number = self.ends.len();
        if number > self.room.texts || self.bytes.len() + text.len() > self.room.bytes {
            return Err(Full);
        }
        self.index.put(place, hash, number as u32)?;
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
        Ok(number as u32)
    }
}

/// Of all bytes: [`hash`] looks at both ends only.
#[inline(always)]
fn hash_all(text: &[u8]) -> u32 {
    if text.len() <= 16 {
        return hash(text);
    }
    let (words, _) = text.as_chunks::<8>();
    let mixed = words.iter().fold(0, |sum: u64, word| {
        mix(sum.rotate_left(23) ^ u64::from_le_bytes(*word))
    });
    hash(text) ^ (mixed >> 32) as u32
}

#[inline(always)]
fn mix(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A hash of numbers, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Mixed(u64);

impl Mixed {
    pub fn new(first: u32) -> Self {
        Mixed(mix(u64::from(first)))
    }

    #[inline(always)]
    pub fn with(self, number: u32) -> Self {
        Mixed(mix(self.0.rotate_left(17) ^ u64::from(number)))
    }

    #[inline(always)]
    pub fn hash(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Words before those of a row that say where its slots stand: from, to.
pub(super) const HEAD: usize = 2;
/// Rows are compared so many words at a time, and end where such a part ends.
pub(super) const PART: usize = 4;

/// Series by their row: the metric, then the numbers of its keys' values, 0 where there is none.
pub(super) struct Series {
    index: Index,
    len: usize,
    /// Rows behind their heads, one after the other.
    rows: Vec<u32>,
    room: Room,
}

impl Series {
    pub fn new(room: Room) -> Self {
        Series {
            index: Index::new(room.series),
            len: 0,
            rows: Vec::with_capacity(room.words),
            room,
        }
    }

    pub fn clear(&mut self) {
        self.index.clear();
        self.len = 0;
        self.rows.clear();
    }

    /// The head of a series, or the place where it would be put. That of `row` is not looked at.
    #[inline(always)]
    pub fn find(&self, hash: u32, row: &[u32]) -> Result<(u32, u32), usize> {
        let row = row.as_chunks::<PART>().0;
        let same = |at: u32| {
            let seen = self.rows[at as usize..].as_chunks::<PART>().0;
            // Of one metric all rows are as long.
            let first = seen[0][HEAD..] == row[0][HEAD..];
            first && seen[1..].iter().zip(&row[1..]).all(|(a, b)| a == b)
        };
        let at = self.index.find(hash, same)? as usize;
        Ok((self.rows[at], self.rows[at + 1]))
    }

    /// Remembers a series that was looked for in vain, with what `memory` says of it as its head.
    /// `taken` are the rules that take it, with the places in a row of what each groups by. Where
    /// something is full, nothing of it can be found.
    pub fn learn<'a>(
        &mut self,
        (place, hash, row): (usize, u32, &[u32]),
        taken: impl Iterator<Item = (u32, &'a [u32])>,
        memory: &mut impl Memory,
    ) -> Result<(u32, u32), Full> {
        if self.len == self.room.series || self.rows.len() + row.len() > self.room.words {
            return Err(Full);
        }
        let at = self.rows.len();
        self.rows.extend_from_slice(row);
        let head = memory.learn(&self.rows, at as u32, self.len as u32, taken)?;
        (self.rows[at], self.rows[at + 1]) = head;
        self.index.put(place, hash, at as u32)?;
        self.len += 1;
        Ok(head)
    }
}

/// What is remembered of series beside their rows.
pub(super) trait Memory {
    fn clear(&mut self);

    /// Takes in a series, by its row and its number, that these rules take; answers its head.
    fn learn<'a>(
        &mut self,
        rows: &[u32],
        row: u32,
        series: u32,
        taken: impl Iterator<Item = (u32, &'a [u32])>,
    ) -> Result<(u32, u32), Full>;
}

/// A hash of the group that a rule has for the series of a row.
#[inline(always)]
pub(super) fn group_hash(rows: &[u32], rule: u32, keys: &[u32], row: u32) -> u32 {
    let value = |&key: &u32| rows[(row + key) as usize];
    let mixed = keys.iter().map(value).fold(Mixed::new(rule), Mixed::with);
    mixed.hash()
}

/// Whether the series of two rows agree in what is grouped by.
#[inline(always)]
pub(super) fn agree(rows: &[u32], keys: &[u32], a: u32, b: u32) -> bool {
    let value = |row: u32, key: u32| rows[(row + key) as usize];
    keys.iter().all(|&key| value(a, key) == value(b, key))
}

/// A rule and a group of it: that of the series whose row this is.
#[derive(Clone, Copy)]
struct Slot {
    rule: u32,
    row: u32,
}

/// Of each series the slots that it belongs to, and their rules, one after the other. Its head says
/// where they stand: from, to.
pub(super) struct SlotLists {
    pub lists: Vec<u32>,
    pub rules: Vec<u16>,
    index: Index,
    slots: Vec<Slot>,
    room: Room,
}

impl SlotLists {
    pub fn new(room: Room) -> Self {
        SlotLists {
            lists: Vec::with_capacity(room.entries),
            rules: Vec::with_capacity(room.entries),
            index: Index::new(room.slots),
            slots: Vec::with_capacity(room.slots),
            room,
        }
    }

    /// The slot of a rule for the series of a row: that of another one that agrees in the group.
    fn slot(&mut self, rows: &[u32], rule: u32, keys: &[u32], row: u32) -> Result<u32, Full> {
        let hash = group_hash(rows, rule, keys, row);
        let same = |number: u32| {
            let slot = &self.slots[number as usize];
            slot.rule == rule && agree(rows, keys, slot.row, row)
        };
        let place = match self.index.find(hash, same) {
            Ok(number) => return Ok(number),
            Err(place) => place,
        };
        let number = self.slots.len();
        if number == self.room.slots {
            return Err(Full);
        }
        self.index.put(place, hash, number as u32)?;
        self.slots.push(Slot { rule, row });
        Ok(number as u32)
    }
}

impl Memory for SlotLists {
    fn clear(&mut self) {
        self.lists.clear();
        self.rules.clear();
        self.index.clear();
        self.slots.clear();
    }

    fn learn<'a>(
        &mut self,
        rows: &[u32],
        row: u32,
        _: u32,
        taken: impl Iterator<Item = (u32, &'a [u32])>,
    ) -> Result<(u32, u32), Full> {
        let from = self.lists.len() as u32;
        for (rule, keys) in taken {
            if self.lists.len() == self.room.entries {
                return Err(Full);
            }
            let slot = self.slot(rows, rule, keys, row)?;
            self.lists.push(slot);
            self.rules.push(rule as u16);
        }
        Ok((from, self.lists.len() as u32))
    }
}
