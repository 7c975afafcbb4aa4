//! The strings, and which of them are keys.

use super::distinct;
#[cfg(verus_keep_ghost)]
use super::distinct::names_duplicate;
#[cfg(verus_keep_ghost)]
use super::faults::{is_length_fault, is_string_fault};
use super::layout::Layout;
use super::numbers::beyond;
use super::order::compare;
#[cfg(verus_keep_ghost)]
use super::order::lemma_before_antisymmetric;
use super::texts::Texts;
#[cfg(verus_keep_ghost)]
use super::texts::{bounded, pieces};
use super::utf8;
#[cfg(verus_keep_ghost)]
use super::utf8::names_malformed;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::{PayloadError, MAX_STRING_LEN};
use alloc::vec::Vec;
use core::cmp::Ordering;
use vstd::prelude::*;

verus! {

/// Checks the columns of the dictionary and of the key ids.
pub(super) fn check(layout: &Layout<'_>, numbers: &mut Vec<u32>) -> (r: Result<(), PayloadError>)
    ensures
        ({
            let (m, h) = (layout@, spec::header(layout@));
            match r {
                Ok(()) => spec::dictionary_valid(m, h) && spec::keys_valid(m, h),
                Err(e) => is_string_fault(m, e) || is_length_fault(m, e),
            }
        }),
{
    let header = layout.header();
    let ghost (m, h) = (layout@, spec::header(layout@));
    layout.run(0, header.strings, numbers)?;
    let text = layout.column(1);
    let bounds = bounds(numbers, text.len(), Ghost(m))?;
    proof {
        lemma_bounded(spec::string_lengths(m, h), bounds@, text@);
    }
    let texts = Texts::new(text, &bounds);
    proof {
        assert(texts@ =~= spec::dictionary(m, h));
        assert forall|i: int| 0 <= i < h.strings implies texts@[i] == #[trigger] spec::string(
            m,
            h,
            i,
        ) by {}
    }
    utf8::check(&texts)?;
    distinct::check(&texts)?;
    keys(layout, &texts, numbers)
}

/// Where each string starts, and last where the last one ends.
fn bounds(lengths: &[u32], room: usize, Ghost(m): Ghost<Seq<u8>>) -> (r: Result<
    Vec<u32>,
    PayloadError,
>)
    requires
        spec::header_valid(m),
        lengths@ == spec::string_lengths(m, spec::header(m)),
        room == spec::column(m, 1).len(),
    ensures
        match r {
            Ok(bounds) => are_bounds(lengths@, bounds@, lengths@.len() as int) && spec::bound(
                lengths@,
                lengths@.len() as int,
            ) == room && forall|i: int|
                0 <= i < lengths@.len() ==> 1 <= #[trigger] lengths@[i] <= MAX_STRING_LEN,
            Err(e) => is_string_fault(m, e),
        },
{
    let mut bounds: Vec<u32> = Vec::with_capacity(lengths.len() + 1);
    bounds.push(0);
    let mut end: u32 = 0;
    let mut i: usize = 0;
    while i < lengths.len()
        invariant
            lengths@ == spec::string_lengths(m, spec::header(m)),
            spec::header_valid(m),
            i <= lengths@.len(),
            end == spec::bound(lengths@, i as int) <= MAX_STRING_LEN * i,
            are_bounds(lengths@, bounds@, i as int),
            forall|k: int| 0 <= k < i ==> 1 <= #[trigger] lengths@[k] <= MAX_STRING_LEN,
        decreases lengths@.len() - i,
    {
        let len = lengths[i];
        if len == 0 || len > MAX_STRING_LEN {
            return Err(PayloadError::StringLength { string: i as u32, len });
        }
        end += len;
        bounds.push(end);
        i += 1;
    }
    if end as usize != room {
        return Err(PayloadError::StringBytes { claimed: end as usize, actual: room });
    }
    Ok(bounds)
}

/// Whether `bounds` are where the first `n` strings start and the last of them ends.
spec fn are_bounds(lengths: Seq<u32>, bounds: Seq<u32>, n: int) -> bool {
    &&& bounds.len() == n + 1
    &&& forall|i: int| 0 <= i <= n ==> #[trigger] bounds[i] == spec::bound(lengths, i)
}

proof fn lemma_bounded(lengths: Seq<u32>, bounds: Seq<u32>, text: Seq<u8>)
    requires
        are_bounds(lengths, bounds, lengths.len() as int),
        spec::bound(lengths, lengths.len() as int) == text.len(),
    ensures
        bounded(text, bounds),
        pieces(text, bounds) == Seq::new(
            lengths.len(),
            |i: int| spec::piece(text, lengths, i),
        ),
{
    assert forall|i: int, j: int| 0 <= i <= j < bounds.len() implies #[trigger] bounds[i]
        <= #[trigger] bounds[j] <= text.len() by {
        lemma_bound_rises(lengths, i, j);
        lemma_bound_rises(lengths, j, lengths.len() as int);
    }
    assert(pieces(text, bounds) =~= Seq::new(
        lengths.len(),
        |i: int| spec::piece(text, lengths, i),
    ));
}

proof fn lemma_bound_rises(lengths: Seq<u32>, i: int, j: int)
    requires
        0 <= i <= j,
    ensures
        spec::bound(lengths, i) <= spec::bound(lengths, j),
    decreases j,
{
    if i < j {
        lemma_bound_rises(lengths, i, j - 1);
    }
}

/// Checks that keys are strings and strictly ascend.
fn keys(layout: &Layout<'_>, texts: &Texts<'_>, ids: &mut Vec<u32>) -> (r: Result<
    (),
    PayloadError,
>)
    requires
        texts@ == spec::dictionary(layout@, spec::header(layout@)),
    ensures
        ({
            let (m, h) = (layout@, spec::header(layout@));
            match r {
                Ok(()) => spec::keys_valid(m, h),
                Err(e) => is_string_fault(m, e) || is_length_fault(m, e),
            }
        }),
{
    let header = layout.header();
    let ghost (m, h) = (layout@, spec::header(layout@));
    layout.run(2, header.keys, ids)?;
    if let Some(key) = beyond(ids, header.strings) {
        return Err(PayloadError::KeyId { key: key as u32, string: ids[key] });
    }
    let mut key: usize = 1;
    while key < ids.len()
        invariant
            1 <= key,
            m == layout@,
            h == spec::header(m),
            spec::header_valid(m),
            texts@ == spec::dictionary(m, h),
            ids@ == spec::key_ids(m, h),
            forall|k: int| 0 <= k < ids@.len() ==> #[trigger] ids@[k] < h.strings,
            forall|k: int|
                0 < k < key && k < ids@.len() ==> spec::before(
                    spec::string(m, h, ids@[k - 1] as int),
                    spec::string(m, h, #[trigger] ids@[k] as int),
                ),
        decreases ids@.len() - key,
    {
        let (last, next) = (texts.get(ids[key - 1] as usize), texts.get(ids[key] as usize));
        match compare(last, next) {
            Ordering::Less => {},
            _ => {
                proof {
                    lemma_not_before(last@, next@);
                }
                return Err(PayloadError::KeyOrder { key: key as u32 });
            },
        }
        key += 1;
    }
    Ok(())
}

proof fn lemma_not_before(a: Seq<u8>, b: Seq<u8>)
    requires
        a == b || spec::before(b, a),
    ensures
        !spec::before(a, b),
{
    if spec::before(a, b) {
        lemma_before_antisymmetric(a, b);
    }
}

} // verus!
