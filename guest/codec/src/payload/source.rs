//! Where the bytes of a message come from.

use crate::error::DecodeError;
use vstd::prelude::*;

verus! {

/// Where the bytes of a message come from: a slice, or the host of a guest.
///
/// Its contract is an assumption where Verus does not see the implementation: the decoders answer
/// for the bytes that a source hands out, not for the source.
pub trait Source {
    /// The whole message.
    spec fn message(&self) -> Seq<u8>;

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// Errors: [`DecodeError::Truncated`] when the message ends before that.
    fn read(&mut self, offset: u32, into: &mut [u8]) -> (r: Result<(), DecodeError>)
        ensures
            final(self).message() == old(self).message(),
            final(into)@.len() == old(into)@.len(),
            r is Ok ==> {
                let end = offset + old(into)@.len();
                &&& end <= old(self).message().len()
                &&& final(into)@ == old(self).message().subrange(offset as int, end)
            },
    ;
}

impl Source for &[u8] {
    open spec fn message(&self) -> Seq<u8> {
        self@
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), DecodeError> {
        let all: &[u8] = self;
        let from = offset as usize;
        if from > all.len() || all.len() - from < into.len() {
            return Err(DecodeError::Truncated);
        }
        into.copy_from_slice(&all[from..from + into.len()]);
        Ok(())
    }
}

} // verus!
