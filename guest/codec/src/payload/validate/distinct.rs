//! Whether all strings of a dictionary differ.

use super::PayloadError;
use crate::payload::hash::hash;
use alloc::{vec, vec::Vec};

/// Refuses a dictionary that holds a string twice.
///
/// A hash table finds that out in linear time, unless someone chose the strings to collide: after
/// a bounded number of probes sorting decides, which no choice of strings can slow down.
pub(super) fn check(text: &[u8], bounds: &[u32]) -> Result<(), PayloadError> {
    let count = bounds.len() - 1;
    let string = |id: usize| &text[bounds[id] as usize..bounds[id + 1] as usize];
    let slots = (2 * count).next_power_of_two();
    let mut table: Vec<u32> = vec![0; slots]; // string + 1
    let mut probes = 8 * count;
    for id in 0..count {
        let mut slot = hash(string(id)) as usize & (slots - 1);
        while table[slot] != 0 {
            let other = table[slot] as usize - 1;
            if string(other) == string(id) {
                return duplicate(other, id);
            }
            if probes == 0 {
                return check_by_sorting(text, bounds);
            }
            probes -= 1;
            slot = (slot + 1) & (slots - 1);
        }
        table[slot] = id as u32 + 1;
    }
    Ok(())
}

fn check_by_sorting(text: &[u8], bounds: &[u32]) -> Result<(), PayloadError> {
    let string = |id: u32| &text[bounds[id as usize] as usize..bounds[id as usize + 1] as usize];
    let mut ids: Vec<u32> = (0..bounds.len() as u32 - 1).collect();
    ids.sort_unstable_by(|&a, &b| string(a).cmp(string(b)).then(a.cmp(&b)));
    match ids
        .windows(2)
        .find(|pair| string(pair[0]) == string(pair[1]))
    {
        Some(pair) => duplicate(pair[0] as usize, pair[1] as usize),
        None => Ok(()),
    }
}

fn duplicate(first: usize, second: usize) -> Result<(), PayloadError> {
    Err(PayloadError::DuplicateString {
        first: first as u32,
        second: second as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    fn dictionary(strings: &[String]) -> (Vec<u8>, Vec<u32>) {
        let mut bounds = vec![0];
        let mut text = Vec::new();
        for s in strings {
            text.extend(s.as_bytes());
            bounds.push(text.len() as u32);
        }
        (text, bounds)
    }

    /// Both ways of checking agree, whether there is a duplicate or not.
    #[test]
    fn hashing_and_sorting_agree() {
        for count in [0usize, 1, 2, 3, 100, 1000] {
            let mut strings: Vec<String> = (0..count).map(|n| format!("string-{n}")).collect();
            let (text, bounds) = dictionary(&strings);
            assert_eq!(check(&text, &bounds), Ok(()));
            assert_eq!(check_by_sorting(&text, &bounds), Ok(()));
            if count >= 2 {
                strings[count - 1] = strings[count / 3].clone();
                let (text, bounds) = dictionary(&strings);
                let expected = duplicate(count / 3, count - 1);
                assert_eq!(check(&text, &bounds), expected);
                assert_eq!(check_by_sorting(&text, &bounds), expected);
            }
        }
    }
}
