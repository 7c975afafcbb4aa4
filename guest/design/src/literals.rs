//! Recognising a string of the dictionary as a literal of the rules.

use crate::{hash, Spec, NONE};
use alloc::{vec, vec::Vec};
use hashbrown::HashMap;

/// By binary search.
pub struct Search(&'static Spec);

impl Search {
    pub fn new(spec: &'static Spec) -> Self {
        Search(spec)
    }

    /// The number of the literal that a text is, or `NONE`.
    pub fn find(&self, text: &[u8]) -> u32 {
        self.0
            .values
            .binary_search(&text)
            .map_or(NONE, |at| at as u32)
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
    pub fn find(&self, text: &[u8]) -> u32 {
        self.0.get(text).copied().unwrap_or(NONE)
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

/// Equality by words of eight bytes; the last ones overlap.
#[inline(always)]
fn same_words(a: &[u8], b: &[u8]) -> bool {
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
