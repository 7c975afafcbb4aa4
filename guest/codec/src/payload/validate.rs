//! The check of a whole message against every rule of the format.
//!
//! Nothing is allocated from a count before the bytes that it claims were seen to be there. The
//! work is linear in the message, and for strings chosen to slow it down n log n.

mod dictionary;
mod distinct;
#[cfg(verus_keep_ghost)]
pub mod faults;
mod header;
mod keys;
mod layout;
mod numbers;
mod order;
mod points;
mod texts;
mod utf8;

pub(super) use self::header::header;

#[cfg(verus_keep_ghost)]
use self::faults::{is_fault, lemma_no_fault_is_valid};
use self::layout::Layout;
#[cfg(verus_keep_ghost)]
use super::spec;
use super::{Header, PayloadError};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// Checks a whole message; answers its header. A message is refused exactly when it is not of the
/// format, and then for a true reason.
pub fn validate(bytes: &[u8]) -> (r: Result<Header, PayloadError>)
    ensures
        match r {
            Ok(header) => spec::valid(bytes@) && header == spec::header(bytes@),
            Err(e) => !spec::valid(bytes@) && is_fault(bytes@, e),
        },
{
    let r = check(bytes);
    proof {
        if let Err(e) = r {
            lemma_no_fault_is_valid(bytes@, e);
        }
    }
    r
}

fn check(bytes: &[u8]) -> (r: Result<Header, PayloadError>)
    ensures
        match r {
            Ok(header) => spec::valid(bytes@) && header == spec::header(bytes@),
            Err(e) => is_fault(bytes@, e),
        },
{
    let header = header(bytes)?;
    let layout = Layout::read(bytes, header)?;
    let mut numbers: Vec<u32> = Vec::new();
    dictionary::check(&layout, &mut numbers)?;
    points::check_sets(&layout, &mut numbers)?;
    points::check_points(&layout, &mut numbers)?;
    let mut key: u32 = 0;
    while key < header.keys
        invariant
            layout@ == bytes@,
            header == spec::header(bytes@),
            key <= header.keys,
            forall|k: int| 0 <= k < key ==> #[trigger] spec::key_column_valid(bytes@, header, k),
        decreases header.keys - key,
    {
        keys::check(&layout, key, &mut numbers)?;
        key += 1;
    }
    Ok(header)
}

} // verus!
