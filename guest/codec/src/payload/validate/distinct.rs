//! Whether all strings of a dictionary differ.

mod sorted;
mod table;

use self::table::{Inserted, Table};
use super::order::same;
use super::texts::Texts;
use crate::payload::PayloadError;
#[cfg(verus_keep_ghost)]
use crate::payload::{spec::distinct, MAX_STRINGS};
use vstd::prelude::*;

verus! {

/// Refuses a dictionary that holds a string twice.
///
/// A hash table finds that out in linear time, unless someone chose the strings to collide: after
/// a bounded number of probes sorting decides, which no choice of strings can slow down.
pub(super) fn check(texts: &Texts<'_>) -> (r: Result<(), PayloadError>)
    requires
        texts@.len() <= MAX_STRINGS,
    ensures
        match r {
            Ok(()) => distinct(texts@),
            Err(e) => names_duplicate(texts@, e),
        },
{
    let count = texts.count();
    let mut table = Table::new(count);
    let mut probes = 8 * count;
    let mut id: usize = 0;
    while id < count
        invariant
            id <= count == texts@.len() <= MAX_STRINGS,
            table.holds(texts@, id as int),
            distinct(texts@.take(id as int)),
        decreases count - id,
    {
        match table.insert(texts, id, probes) {
            Inserted::New { left } => probes = left,
            Inserted::Old { first } => return Err(duplicate(first, id, Ghost(texts@))),
            Inserted::GaveUp => return sorted::check(texts),
        }
        proof {
            lemma_distinct_one_more(texts@, id as int);
        }
        id += 1;
    }
    assert(texts@.take(count as int) =~= texts@);
    Ok(())
}

/// Whether the error names two equal strings.
pub(super) open spec fn names_duplicate(strings: Seq<Seq<u8>>, e: PayloadError) -> bool {
    e matches PayloadError::DuplicateString { first, second } && first < second < strings.len()
        && strings[first as int] == strings[second as int]
}

fn duplicate(first: usize, second: usize, Ghost(all): Ghost<Seq<Seq<u8>>>) -> (e: PayloadError)
    requires
        first < second < all.len() <= MAX_STRINGS,
        all[first as int] == all[second as int],
    ensures
        names_duplicate(all, e),
{
    PayloadError::DuplicateString { first: first as u32, second: second as u32 }
}

proof fn lemma_distinct_one_more(strings: Seq<Seq<u8>>, id: int)
    requires
        0 <= id < strings.len(),
        distinct(strings.take(id)),
        forall|j: int| 0 <= j < id ==> strings[j] != strings[id],
    ensures
        distinct(strings.take(id + 1)),
{
    let (before, after) = (strings.take(id), strings.take(id + 1));
    assert forall|i: int, j: int| 0 <= i < j < after.len() implies #[trigger] after[i]
        != #[trigger] after[j] by {
        if j < id {
            assert(before[i] != before[j]);
        }
    }
}

} // verus!

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::hash::{colliding, hash};
    use alloc::{format, vec, vec::Vec};

    /// The table and sorting answer `expected` of these strings.
    fn check_both(strings: &[Vec<u8>], expected: Option<(u32, u32)>) {
        let mut bounds = vec![0];
        for s in strings {
            bounds.push(bounds.last().unwrap() + s.len() as u32);
        }
        let text = strings.concat();
        let texts = Texts::new(&text, &bounds);
        let expected = match expected {
            Some((first, second)) => Err(PayloadError::DuplicateString { first, second }),
            None => Ok(()),
        };
        assert_eq!(check(&texts), expected, "{} strings", strings.len());
        assert_eq!(sorted::check(&texts), expected, "{} strings", strings.len());
    }

    fn check_with_and_without_duplicate(mut strings: Vec<Vec<u8>>) {
        check_both(&strings, None);
        let count = strings.len();
        if count >= 2 {
            strings[count - 1] = strings[count / 3].clone();
            check_both(&strings, Some((count as u32 / 3, count as u32 - 1)));
        }
    }

    #[test]
    fn strings_of_many_shapes() {
        for count in [0usize, 1, 2, 3, 4, 100, 1_000, 65_535] {
            let numbered = |n| format!("string-{n}").into_bytes();
            check_with_and_without_duplicate((0..count).map(numbered).collect());
        }
        check_with_and_without_duplicate((1..=200).map(|n| vec![b'x'; n]).collect());
        let (a, b) = (b"ab".to_vec(), b"abc".to_vec());
        check_both(&[b.clone(), a.clone(), b"b".to_vec(), a], Some((1, 3)));
        check_both(&[b.clone(), b], Some((0, 1)));
    }

    #[test]
    fn strings_that_were_chosen_to_collide() {
        let strings = colliding(3_000);
        assert!(strings.iter().all(|s| hash(s) == hash(&strings[0])));
        check_with_and_without_duplicate(strings.iter().map(|s| s.to_vec()).collect());
    }
}
