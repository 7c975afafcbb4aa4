//! Whether all strings differ, by sorting: slower than a table, and no strings make it slow.

use super::duplicate;
#[cfg(verus_keep_ghost)]
use super::names_duplicate;
use crate::payload::validate::order::compare;
#[cfg(verus_keep_ghost)]
use crate::payload::validate::order::{lemma_before_antisymmetric, lemma_before_transitive};
use crate::payload::validate::texts::Texts;
use crate::payload::PayloadError;
#[cfg(verus_keep_ghost)]
use crate::payload::{
    spec::{before, distinct},
    MAX_STRINGS,
};
use alloc::vec::Vec;
use core::cmp::Ordering;
use vstd::prelude::*;

verus! {

/// Refuses a dictionary that holds a string twice.
pub(super) fn check(texts: &Texts<'_>) -> (r: Result<(), PayloadError>)
    requires
        texts@.len() <= MAX_STRINGS,
    ensures
        match r {
            Ok(()) => distinct(texts@),
            Err(e) => names_duplicate(texts@, e),
        },
{
    let _sorted = sort(texts, 0, texts.count())?;
    let ghost ids = _sorted@;
    proof {
        let all = texts@;
        assert forall|i: int, j: int| 0 <= i < j < all.len() implies #[trigger] all[i]
            != #[trigger] all[j] by {
            assert(has(ids, i) && has(ids, j));
            let m = choose|m: int| 0 <= m < ids.len() && #[trigger] ids[m] == i;
            let n = choose|n: int| 0 <= n < ids.len() && #[trigger] ids[n] == j;
            lemma_ascending_differ(all, ids, m, n);
        }
    }
    Ok(())
}

/// Whether the ids are of strings that strictly ascend.
spec fn ascending(strings: Seq<Seq<u8>>, ids: Seq<u32>) -> bool {
    &&& forall|m: int| 0 <= m < ids.len() ==> #[trigger] ids[m] < strings.len()
    &&& forall|m: int, n: int|
        0 <= m < n < ids.len() ==> before(
            strings[#[trigger] ids[m] as int],
            strings[#[trigger] ids[n] as int],
        )
}

/// Whether all ids are from `from` up to `to`.
spec fn within(ids: Seq<u32>, from: int, to: int) -> bool {
    forall|m: int| 0 <= m < ids.len() ==> from <= #[trigger] ids[m] < to
}

spec fn has(ids: Seq<u32>, id: int) -> bool {
    exists|m: int| 0 <= m < ids.len() && #[trigger] ids[m] == id
}

/// Whether all of `some`, up to `n`, are among `ids`.
spec fn has_first(ids: Seq<u32>, some: Seq<u32>, n: int) -> bool {
    forall|m: int| 0 <= m < n ==> has(ids, #[trigger] some[m] as int)
}

proof fn lemma_ascending_differ(strings: Seq<Seq<u8>>, ids: Seq<u32>, m: int, n: int)
    requires
        ascending(strings, ids),
        0 <= m < ids.len(),
        0 <= n < ids.len(),
        m != n,
    ensures
        strings[ids[m] as int] != strings[ids[n] as int],
{
    if m < n {
        lemma_before_antisymmetric(strings[ids[m] as int], strings[ids[n] as int]);
    } else {
        lemma_before_antisymmetric(strings[ids[n] as int], strings[ids[m] as int]);
    }
}

/// The ids from `from` up to `to`, sorted by their strings, unless two of these are equal.
fn sort(texts: &Texts<'_>, from: usize, to: usize) -> (r: Result<Vec<u32>, PayloadError>)
    requires
        from <= to <= texts@.len() <= MAX_STRINGS,
    ensures
        match r {
            Ok(ids) => {
                &&& ascending(texts@, ids@)
                &&& ids@.len() == to - from
                &&& within(ids@, from as int, to as int)
                &&& forall|id: int| from <= id < to ==> #[trigger] has(ids@, id)
            },
            Err(e) => names_duplicate(texts@, e),
        },
    decreases to - from,
{
    if to - from <= 1 {
        let mut ids: Vec<u32> = Vec::new();
        if from < to {
            ids.push(from as u32);
            assert(ids@[0] == from);
        }
        return Ok(ids);
    }
    let middle = from + (to - from) / 2;
    let a = sort(texts, from, middle)?;
    let b = sort(texts, middle, to)?;
    let ids = merge(texts, &a, &b, Ghost((from as int, middle as int, to as int)))?;
    proof {
        assert forall|id: int| from <= id < to implies #[trigger] has(ids@, id) by {
            let some = if id < middle { a@ } else { b@ };
            assert(has(some, id));
            let m = choose|m: int| 0 <= m < some.len() && #[trigger] some[m] == id;
            assert(has(ids@, some[m] as int));
        }
    }
    Ok(ids)
}

/// All ids of `a` and `b`, sorted as these are, unless two of their strings are equal.
fn merge(
    texts: &Texts<'_>,
    a: &[u32],
    b: &[u32],
    Ghost(range): Ghost<(int, int, int)>,
) -> (r: Result<Vec<u32>, PayloadError>)
    requires
        range.0 <= range.1 <= range.2,
        within(a@, range.0, range.1),
        within(b@, range.1, range.2),
        texts@.len() <= MAX_STRINGS,
        a@.len() + b@.len() <= MAX_STRINGS,
        ascending(texts@, a@),
        ascending(texts@, b@),
    ensures
        match r {
            Ok(ids) => {
                &&& ascending(texts@, ids@)
                &&& ids@.len() == a@.len() + b@.len()
                &&& within(ids@, range.0, range.2)
                &&& has_first(ids@, a@, a@.len() as int)
                &&& has_first(ids@, b@, b@.len() as int)
            },
            Err(e) => names_duplicate(texts@, e),
        },
{
    let mut ids: Vec<u32> = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0usize, 0usize);
    while i < a.len() || j < b.len()
        invariant
            texts@.len() <= MAX_STRINGS,
            i <= a@.len(),
            j <= b@.len(),
            ids@.len() == i + j,
            ascending(texts@, a@),
            ascending(texts@, b@),
            merged(texts@, ids@, a@, i as int),
            merged(texts@, ids@, b@, j as int),
            ascending(texts@, ids@),
            range.0 <= range.1 <= range.2,
            within(a@, range.0, range.1),
            within(b@, range.1, range.2),
            within(ids@, range.0, range.2),
        decreases a@.len() + b@.len() - i - j,
    {
        let from_a = if i == a.len() {
            false
        } else if j == b.len() {
            true
        } else {
            match compare(texts.get(a[i] as usize), texts.get(b[j] as usize)) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => {
                    return Err(duplicate(a[i] as usize, b[j] as usize, Ghost(texts@)));
                },
            }
        };
        let ghost old_ids = ids@;
        if from_a {
            ids.push(a[i]);
            proof {
                lemma_merged_one_more(texts@, old_ids, a@, i as int, b@, j as int);
            }
            i += 1;
        } else {
            ids.push(b[j]);
            proof {
                lemma_merged_one_more(texts@, old_ids, b@, j as int, a@, i as int);
            }
            j += 1;
        }
    }
    Ok(ids)
}

/// Whether `ids` has the first `n` of `some`, and comes before the rest of it.
spec fn merged(strings: Seq<Seq<u8>>, ids: Seq<u32>, some: Seq<u32>, n: int) -> bool {
    &&& has_first(ids, some, n)
    &&& n < some.len() ==> forall|m: int|
        0 <= m < ids.len() ==> before(
            strings[#[trigger] ids[m] as int],
            strings[some[n] as int],
        )
}

/// The next of `a` comes after all so far and, by the last requirement, before the rest of `b`.
proof fn lemma_merged_one_more(
    strings: Seq<Seq<u8>>,
    ids: Seq<u32>,
    a: Seq<u32>,
    i: int,
    b: Seq<u32>,
    j: int,
)
    requires
        ascending(strings, ids),
        ascending(strings, a),
        ascending(strings, b),
        0 <= i < a.len(),
        0 <= j <= b.len(),
        merged(strings, ids, a, i),
        merged(strings, ids, b, j),
        j < b.len() ==> before(strings[a[i] as int], strings[b[j] as int]),
    ensures
        ascending(strings, ids.push(a[i])),
        merged(strings, ids.push(a[i]), a, i + 1),
        merged(strings, ids.push(a[i]), b, j),
{
    let after = ids.push(a[i]);
    assert forall|id: int| has(ids, id) || id == a[i] implies #[trigger] has(after, id) by {
        if has(ids, id) {
            let m = choose|m: int| 0 <= m < ids.len() && #[trigger] ids[m] == id;
            assert(after[m] == id);
        } else {
            assert(after[ids.len() as int] == id);
        }
    }
    if i + 1 < a.len() {
        let next = strings[a[i + 1] as int];
        assert forall|m: int| 0 <= m < after.len() implies before(
            strings[#[trigger] after[m] as int],
            next,
        ) by {
            if m < ids.len() {
                let before_it = strings[ids[m] as int];
                lemma_before_transitive(before_it, strings[a[i] as int], next);
            }
        }
    }
}

} // verus!
