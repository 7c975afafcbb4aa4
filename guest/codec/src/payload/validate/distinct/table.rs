//! A hash table of strings by id, with linear probing.

use super::same;
use crate::payload::hash::hash;
#[cfg(verus_keep_ghost)]
use crate::payload::hash::hash_of;
use crate::payload::validate::texts::Texts;
#[cfg(verus_keep_ghost)]
use crate::payload::MAX_STRINGS;
use alloc::{vec, vec::Vec};
use vstd::prelude::*;

verus! {

/// Entries by hash; never full where it was made for at least as many strings as come.
pub(super) struct Table {
    /// 0, or an entry: sixteen bits of the string's hash, then sixteen bits of its id + 1.
    slots: Vec<u32>,
}

/// What became of a string.
pub(super) enum Inserted {
    /// It is the first of its kind; so many probes are left.
    New { left: usize },
    /// The table holds an equal one.
    Old { first: usize },
    /// There were too few probes to tell.
    GaveUp,
}

impl Table {
    /// Whether each of the first `n` strings can be found, and nothing else.
    pub(super) closed spec fn holds(self, strings: Seq<Seq<u8>>, n: int) -> bool {
        &&& 0 < self.slots@.len() <= u32::MAX
        &&& forall|slot: int|
            0 <= slot < self.slots@.len() && self.slots@[slot] != 0 ==> stands_for_one(
                strings,
                n,
                #[trigger] self.slots@[slot],
            )
        &&& forall|id: int| 0 <= id < n ==> #[trigger] found(self.slots@, strings, id)
    }

    /// An empty table, at most half full after `count` strings.
    pub(super) fn new(count: usize) -> (table: Self)
        requires
            count <= MAX_STRINGS,
        ensures
            forall|strings: Seq<Seq<u8>>| table.holds(strings, 0),
    {
        let mut len: usize = 1;
        while len < 2 * count
            invariant
                count <= MAX_STRINGS,
                0 < len < 4 * MAX_STRINGS,
            decreases 4 * MAX_STRINGS - len,
        {
            len *= 2;
        }
        Table { slots: vec![0; len] }
    }

    /// Enters string `id` unless it finds an equal one.
    #[inline]
    pub(super) fn insert(&mut self, texts: &Texts<'_>, id: usize, probes: usize) -> (r: Inserted)
        requires
            id < texts@.len() <= MAX_STRINGS,
            old(self).holds(texts@, id as int),
        ensures
            match r {
                Inserted::New { left } => {
                    &&& left <= probes
                    &&& final(self).holds(texts@, id + 1)
                    &&& forall|j: int| 0 <= j < id ==> #[trigger] texts@[j] != texts@[id as int]
                },
                Inserted::Old { first } => first < id && texts@[first as int] == texts@[id as int],
                Inserted::GaveUp => true,
            },
    {
        let text = texts.get(id);
        let h = hash(text);
        let new = entry(h, id);
        let mask = self.slots.len() - 1;
        let mut slot = first_slot(h, mask);
        let mut left = probes;
        let ghost mut steps: int = 0;
        proof {
            lemma_step_range(h, self.slots@.len() as int, 0);
        }
        while self.slots[slot] != 0
            invariant
                *self == *old(self),
                id < texts@.len() <= MAX_STRINGS,
                self.holds(texts@, id as int),
                text@ == texts@[id as int],
                h == hash_of(text@),
                new == entry_of(h, id as int),
                mask == self.slots@.len() - 1,
                0 <= slot <= mask,
                0 <= steps,
                slot == step(h, self.slots@.len() as int, steps),
                left <= probes,
                passed(self.slots@, texts@, text@, steps),
            decreases left,
        {
            let other = self.slots[slot];
            proof {
                lemma_entry(h, id as int);
                assert(stands_for_one(texts@, id as int, other));
                lemma_entry(hash_of(texts@[id_of(other)]), id_of(other));
            }
            if other >> 16 == new >> 16 {
                let first = (other & 0xffff) as usize - 1;
                if same(texts.get(first), text) {
                    return Inserted::Old { first };
                }
            }
            if left == 0 {
                return Inserted::GaveUp;
            }
            left -= 1;
            slot = if slot == mask { 0 } else { slot + 1 };
            proof {
                steps = steps + 1;
            }
        }
        proof {
            lemma_none_equal(self.slots@, texts@, id as int, steps);
            lemma_entry(h, id as int);
            lemma_entered(self.slots@, texts@, id as int, steps);
        }
        self.slots[slot] = new;
        Inserted::New { left }
    }
}

/// The entry of string `id` with hash `h`.
spec fn entry_of(h: u64, id: int) -> u32 {
    ((h >> 48) as u32) << 16 | (id + 1) as u32
}

/// The id in an entry.
spec fn id_of(entry: u32) -> int {
    (entry & 0xffff) - 1
}

#[inline(always)]
fn entry(h: u64, id: usize) -> (r: u32)
    requires
        id < MAX_STRINGS,
    ensures
        r == entry_of(h, id as int),
{
    ((h >> 48) as u32) << 16 | (id as u32 + 1)
}

/// An entry can be taken apart.
proof fn lemma_entry(h: u64, id: int)
    requires
        0 <= id < MAX_STRINGS,
    ensures
        entry_of(h, id) != 0,
        id_of(entry_of(h, id)) == id,
        entry_of(h, id) >> 16 == (h >> 48) as u32,
{
    let (tag, low) = ((h >> 48) as u32, (id + 1) as u32);
    assert(h >> 48 <= 0xffff) by (bit_vector);
    let e = tag << 16 | low;
    assert(e != 0 && e & 0xffff == low && e >> 16 == tag) by (bit_vector)
        requires
            tag <= 0xffff,
            0 < low <= 0xffff,
            e == tag << 16 | low,
    ;
}

/// Whether an entry is that of one of the first `n` strings.
spec fn stands_for_one(strings: Seq<Seq<u8>>, n: int, entry: u32) -> bool {
    let id = id_of(entry);
    0 <= id < n && entry == entry_of(hash_of(strings[id]), id)
}

/// The slot where the search for a hash begins.
spec fn home(h: u64, len: int) -> int {
    ((h as u32) & (len - 1) as u32) as int
}

#[inline(always)]
fn first_slot(h: u64, mask: usize) -> (slot: usize)
    requires
        mask < 0xffff_ffff,
    ensures
        slot == home(h, mask + 1),
{
    ((h as u32) & mask as u32) as usize
}

/// The slot after so many steps.
spec fn step(h: u64, len: int, steps: int) -> int
    decreases steps,
{
    if steps <= 0 {
        home(h, len)
    } else {
        let slot = step(h, len, steps - 1);
        if slot == len - 1 {
            0
        } else {
            slot + 1
        }
    }
}

/// Whether string `id` is found `steps` from home, past other entries.
spec fn found_after(slots: Seq<u32>, strings: Seq<Seq<u8>>, id: int, steps: int) -> bool {
    let h = hash_of(strings[id]);
    &&& 0 <= steps
    &&& slots[step(h, slots.len() as int, steps)] == entry_of(h, id)
    &&& forall|k: int|
        0 <= k < steps ==> slots[#[trigger] step(h, slots.len() as int, k)] != 0
}

spec fn found(slots: Seq<u32>, strings: Seq<Seq<u8>>, id: int) -> bool {
    exists|steps: int| #[trigger] found_after(slots, strings, id, steps)
}

/// Whether the first `steps` slots of a string hold other strings.
spec fn passed(slots: Seq<u32>, strings: Seq<Seq<u8>>, text: Seq<u8>, steps: int) -> bool {
    let h = hash_of(text);
    forall|k: int|
        0 <= k < steps ==> {
            let entry = slots[#[trigger] step(h, slots.len() as int, k)];
            entry != 0 && strings[id_of(entry)] != text
        }
}

proof fn lemma_step_range(h: u64, len: int, steps: int)
    requires
        0 < len <= u32::MAX,
    ensures
        0 <= step(h, len, steps) < len,
    decreases steps,
{
    if steps > 0 {
        lemma_step_range(h, len, steps - 1);
    } else {
        let (low, mask) = (h as u32, (len - 1) as u32);
        assert(low & mask <= mask) by (bit_vector);
    }
}

/// A search that ends at an empty slot has seen all equal strings.
proof fn lemma_none_equal(slots: Seq<u32>, strings: Seq<Seq<u8>>, id: int, steps: int)
    requires
        0 <= id < strings.len() <= MAX_STRINGS,
        0 <= steps,
        forall|j: int| 0 <= j < id ==> #[trigger] found(slots, strings, j),
        passed(slots, strings, strings[id], steps),
        slots[step(hash_of(strings[id]), slots.len() as int, steps)] == 0,
    ensures
        forall|j: int| 0 <= j < id ==> #[trigger] strings[j] != strings[id],
{
    let (h, len) = (hash_of(strings[id]), slots.len() as int);
    assert forall|j: int| 0 <= j < id implies #[trigger] strings[j] != strings[id] by {
        if strings[j] == strings[id] {
            assert(found(slots, strings, j));
            let at = choose|at: int| #[trigger] found_after(slots, strings, j, at);
            lemma_entry(h, j);
            assert(slots[step(h, len, at)] == entry_of(h, j));
            if steps < at {
                assert(slots[step(h, len, steps)] != 0);
            }
            assert(at < steps);
            assert(strings[id_of(slots[step(h, len, at)])] != strings[id]);
        }
    }
}

/// An entry in the first empty slot hides no other.
proof fn lemma_entered(slots: Seq<u32>, strings: Seq<Seq<u8>>, id: int, steps: int)
    requires
        0 <= id < strings.len() <= MAX_STRINGS,
        0 < slots.len() <= u32::MAX,
        0 <= steps,
        forall|j: int| 0 <= j < id ==> #[trigger] found(slots, strings, j),
        passed(slots, strings, strings[id], steps),
        slots[step(hash_of(strings[id]), slots.len() as int, steps)] == 0,
    ensures
        ({
            let h = hash_of(strings[id]);
            let slot = step(h, slots.len() as int, steps);
            let after = slots.update(slot, entry_of(h, id));
            forall|j: int| 0 <= j <= id ==> #[trigger] found(after, strings, j)
        }),
{
    let (h, len) = (hash_of(strings[id]), slots.len() as int);
    let slot = step(h, len, steps);
    let after = slots.update(slot, entry_of(h, id));
    lemma_step_range(h, len, steps);
    lemma_entry(h, id);
    assert forall|j: int| 0 <= j <= id implies #[trigger] found(after, strings, j) by {
        let hj = hash_of(strings[j]);
        let at = if j == id {
            steps
        } else {
            assert(found(slots, strings, j));
            choose|at: int| #[trigger] found_after(slots, strings, j, at)
        };
        lemma_step_range(hj, len, at);
        assert forall|k: int| 0 <= k < at implies after[#[trigger] step(hj, len, k)] != 0 by {
            lemma_step_range(hj, len, k);
            assert(slots[step(hj, len, k)] != 0);
        }
        if j < id {
            lemma_entry(hj, j);
            assert(slots[step(hj, len, at)] != 0);
        }
        assert(found_after(after, strings, j, at));
    }
}

} // verus!
