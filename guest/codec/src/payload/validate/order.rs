//! Which of two strings comes first, bytewise.

#[cfg(verus_keep_ghost)]
use crate::payload::spec::before;
use core::cmp::Ordering;
use vstd::prelude::*;

verus! {

/// Whether two strings are equal.
pub(super) fn same(a: &[u8], b: &[u8]) -> (r: bool)
    ensures
        r == (a@ == b@),
{
    if a.len() != b.len() {
        return false;
    }
    let n = common(a, b);
    proof {
        if n == a@.len() {
            assert(a@ =~= b@);
        }
    }
    n == a.len()
}

/// How `a` stands to `b`.
pub(super) fn compare(a: &[u8], b: &[u8]) -> (r: Ordering)
    ensures
        match r {
            Ordering::Less => before(a@, b@),
            Ordering::Equal => a@ == b@,
            Ordering::Greater => before(b@, a@),
        },
{
    let n = common(a, b);
    proof {
        lemma_before_past_prefix(a@, b@, n as int);
        lemma_before_past_prefix(b@, a@, n as int);
    }
    if n == b.len() {
        if n == a.len() {
            assert(a@ =~= b@);
            Ordering::Equal
        } else {
            Ordering::Greater
        }
    } else if n == a.len() || a[n] < b[n] {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// How many bytes two strings have in common before they differ or one of them ends.
fn common(a: &[u8], b: &[u8]) -> (n: usize)
    ensures
        n <= a@.len(),
        n <= b@.len(),
        forall|k: int| 0 <= k < n ==> a@[k] == b@[k],
        n < a@.len() && n < b@.len() ==> a@[n as int] != b@[n as int],
{
    let mut n: usize = 0;
    while n < a.len() && n < b.len() && a[n] == b[n]
        invariant
            n <= a@.len(),
            n <= b@.len(),
            forall|k: int| 0 <= k < n ==> a@[k] == b@[k],
        decreases a@.len() - n,
    {
        n += 1;
    }
    n
}

/// Equal beginnings do not matter.
proof fn lemma_before_past_prefix(a: Seq<u8>, b: Seq<u8>, n: int)
    requires
        0 <= n <= a.len(),
        n <= b.len(),
        forall|k: int| 0 <= k < n ==> a[k] == b[k],
    ensures
        before(a, b) == before(a.skip(n), b.skip(n)),
    decreases n,
{
    if n > 0 {
        lemma_before_past_prefix(a.skip(1), b.skip(1), n - 1);
        assert(a.skip(1).skip(n - 1) =~= a.skip(n));
        assert(b.skip(1).skip(n - 1) =~= b.skip(n));
    } else {
        assert(a.skip(0) =~= a);
        assert(b.skip(0) =~= b);
    }
}

/// The order is transitive.
pub(super) proof fn lemma_before_transitive(a: Seq<u8>, b: Seq<u8>, c: Seq<u8>)
    requires
        before(a, b),
        before(b, c),
    ensures
        before(a, c),
    decreases a.len(),
{
    if a.len() > 0 && a[0] == b[0] && b[0] == c[0] {
        lemma_before_transitive(a.skip(1), b.skip(1), c.skip(1));
    }
}

/// No string comes before itself.
pub(super) proof fn lemma_before_irreflexive(a: Seq<u8>)
    ensures
        !before(a, a),
    decreases a.len(),
{
    if a.len() > 0 {
        lemma_before_irreflexive(a.skip(1));
    }
}

/// Of two strings at most one comes before the other.
pub(super) proof fn lemma_before_antisymmetric(a: Seq<u8>, b: Seq<u8>)
    requires
        before(a, b),
    ensures
        !before(b, a),
        a != b,
{
    lemma_before_irreflexive(a);
    if before(b, a) {
        lemma_before_transitive(a, b, a);
    }
}

} // verus!
