//! The plainest sink: numbers as they are.

use super::sink::{take_each, GroupSink, Sink};
use vstd::prelude::*;

verus! {

/// Numbers as they are. After the last one taken, the slice is as it was.
pub(crate) struct Numbers {
    pub n: usize,
    #[allow(dead_code)]  // Specifications read it.
    pub before: Ghost<Seq<u32>>,
}

impl Sink for Numbers {
    type Item = u32;

    type Plan = Seq<u32>;

    open(crate) spec fn plan(&self) -> Seq<u32> {
        self.before@
    }

    open(crate) spec fn well_formed(&self, out: Seq<u32>) -> bool {
        &&& self.n <= out.len() == self.before@.len()
        &&& forall|i: int| self.n <= i < out.len() ==> #[trigger] out[i] == self.before@[i]
    }

    open(crate) spec fn taken(&self, out: Seq<u32>) -> Seq<u32> {
        out.take(self.n as int)
    }

    open(crate) spec fn refuses(&self, out: Seq<u32>, v: u32) -> bool {
        self.n >= out.len()
    }

    #[inline(always)]
    fn take(&mut self, out: &mut [u32], v: u32) -> (r: bool) {
        if self.n >= out.len() {
            return false;
        }
        let ghost before = out@.take(self.n as int);
        out[self.n] = v;
        self.n += 1;
        assert(out@.take(self.n as int) =~= before.push(v));
        true
    }
}

impl GroupSink for Numbers {
    #[inline(always)]
    fn take_four(&mut self, out: &mut [u32], v: [u32; 4]) -> (r: bool) {
        let n = self.n;
        if n > out.len() || out.len() - n < 4 {
            return take_each(self, out, v);
        }
        let ghost before = out@.take(n as int);
        let (_, from) = out.split_at_mut(n);
        let (four, _) = from.split_at_mut(4);
        four.copy_from_slice(&v);
        self.n = n + 4;
        assert(out@.take(n + 4) =~= before + v@);
        true
    }
}

} // verus!
