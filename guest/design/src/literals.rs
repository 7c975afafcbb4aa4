//! Recognising a string of the dictionary as a literal of the rules.

use crate::{hash, Spec, NONE};
use alloc::{vec, vec::Vec};
use hashbrown::HashMap;
use ratchet_codec::payload::Strings;

/// Knows the literals of the rules, by number.
pub trait Recognise {
    /// For each string of a message the number of the literal that it is plus 1, or 0, behind what
    /// `found` holds already.
    fn recognise(&self, strings: &Strings<'_>, found: &mut Vec<u32>);
}

/// By binary search.
pub struct Search(&'static Spec);

impl Search {
    pub fn new(spec: &'static Spec) -> Self {
        Search(spec)
    }

    /// The number of the literal that a text is, or `NONE`.
    #[inline]
    pub fn find(&self, text: &[u8]) -> u32 {
        self.0
            .values
            .binary_search(&text)
            .map_or(NONE, |at| at as u32)
    }
}

impl Recognise for Search {
    #[inline]
    fn recognise(&self, strings: &Strings<'_>, found: &mut Vec<u32>) {
        found.extend(strings.iter().map(|text| self.find(text).wrapping_add(1)));
    }
}

/// By a hash map of texts.
pub struct Map(HashMap<&'static [u8], u32>);

impl Map {
    pub fn new(spec: &'static Spec) -> Self {
        let each = spec.values.iter().enumerate();
        Map(each.map(|(at, &text)| (text, at as u32)).collect())
    }

    /// The number of the literal that a text is, or `NONE`.
    #[inline]
    pub fn find(&self, text: &[u8]) -> u32 {
        self.0.get(text).copied().unwrap_or(NONE)
    }
}

impl Recognise for Map {
    #[inline]
    fn recognise(&self, strings: &Strings<'_>, found: &mut Vec<u32>) {
        found.extend(strings.iter().map(|text| self.find(text).wrapping_add(1)));
    }
}

/// By an open table that is at most a quarter full; `WORDS` compares texts eight bytes at a time.
pub struct Table<const WORDS: bool> {
    texts: &'static [&'static [u8]],
    places: Vec<(u32, u32)>,
}

impl<const WORDS: bool> Table<WORDS> {
    pub fn new(spec: &'static Spec) -> Self {
        Self::of(spec.values)
    }

    /// For any texts, which all differ.
    pub(crate) fn of(texts: &'static [&'static [u8]]) -> Self {
        let size = (4 * texts.len()).next_power_of_two().max(16);
        let mut places = vec![(0, NONE); size];
        for (at, text) in texts.iter().enumerate() {
            let hash = hash(text);
            let mut place = hash as usize & (size - 1);
            while places[place].1 != NONE {
                place = (place + 1) & (size - 1);
            }
            places[place] = (hash, at as u32);
        }
        Table { texts, places }
    }

    /// The number of the literal that a text is, or `NONE`.
    #[inline]
    pub fn find(&self, text: &[u8]) -> u32 {
        let hash = hash(text);
        let mask = self.places.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let (seen, at) = self.places[place];
            if at == NONE || (seen == hash && Self::same(self.texts[at as usize], text)) {
                return at;
            }
            place = (place + 1) & mask;
        }
    }

    #[inline(always)]
    fn same(a: &[u8], b: &[u8]) -> bool {
        if WORDS {
            same_words(a, b)
        } else {
            a == b
        }
    }
}

impl<const WORDS: bool> Recognise for Table<WORDS> {
    /// First all places are looked at, without a branch on what lies there, then what lies there is
    /// compared: no guess about either goes wrong often.
    #[inline]
    fn recognise(&self, strings: &Strings<'_>, found: &mut Vec<u32>) {
        let (first, count) = (found.len(), strings.len());
        // Behind what is answered: the strings whose places are taken.
        found.resize(first + 2 * count, 0);
        let mask = self.places.len() - 1;
        let mut taken = first + count;
        for (id, text) in strings.iter().enumerate() {
            let (_, at) = self.places[hash(text) as usize & mask];
            found[taken] = id as u32;
            taken += usize::from(at != NONE);
        }
        for each in first + count..taken {
            let id = found[each];
            found[first + id as usize] = self.find(strings.get(id)).wrapping_add(1);
        }
        found.truncate(first + count);
    }
}

/// Equality by words of eight bytes; the last ones overlap.
#[inline(always)]
pub(crate) fn same_words(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(x), Some(y)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(x, y)| x == y);
    };
    let mut differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
    let ((a, _), (b, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a.iter().zip(b) {
        differ |= u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
    }
    differ == 0
}
