//! What points add up to: first of tag-sets, then of subsets of them ("slots").

use super::plan::Needs;
use crate::{Extreme, NONE};
use alloc::vec::Vec;

/// Quantities that no rule asks for are not kept.
pub(crate) struct Accumulators<Bound> {
    pub needs: Needs,
    pub count: Vec<u32>,
    /// A tag-set of the group that has a point.
    pub owner: Vec<u32>,
    pub sum: Vec<f64>,
    pub max: Vec<Bound>,
    pub min: Vec<Bound>,
}

impl<Bound: Extreme> Accumulators<Bound> {
    pub(crate) fn new(needs: Needs) -> Self {
        Accumulators {
            needs,
            count: Vec::new(),
            owner: Vec::new(),
            sum: Vec::new(),
            max: Vec::new(),
            min: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.count.clear();
        self.owner.clear();
        self.sum.clear();
        self.max.clear();
        self.min.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.count.len()
    }

    /// More accumulators, empty ones.
    #[inline(always)]
    pub(crate) fn grow(&mut self, more: usize) {
        let len = self.count.len() + more;
        self.count.resize(len, 0);
        self.owner.resize(len, NONE);
        if self.needs.sum {
            self.sum.resize(len, -0.0);
        }
        if self.needs.max {
            self.max.resize(len, Bound::LEAST);
        }
        if self.needs.min {
            self.min.resize(len, Bound::MOST);
        }
    }

    /// Adds every point, in order, to the accumulator that is named for it.
    pub(crate) fn add(&mut self, places: &[u32], values: &[f64]) {
        let Needs { sum, max, min, .. } = self.needs;
        match (sum, max, min) {
            (true, false, false) => self.add_to::<true, false, false>(places, values),
            (true, true, false) => self.add_to::<true, true, false>(places, values),
            (true, false, true) => self.add_to::<true, false, true>(places, values),
            (true, true, true) => self.add_to::<true, true, true>(places, values),
            (false, true, false) => self.add_to::<false, true, false>(places, values),
            (false, false, true) => self.add_to::<false, false, true>(places, values),
            (false, true, true) => self.add_to::<false, true, true>(places, values),
            (false, false, false) => self.add_to::<false, false, false>(places, values),
        }
    }

    #[inline(always)]
    fn add_to<const SUM: bool, const MAX: bool, const MIN: bool>(
        &mut self,
        places: &[u32],
        values: &[f64],
    ) {
        let (counts, sums) = (&mut self.count[..], &mut self.sum[..]);
        let (most, fewest) = (&mut self.max[..], &mut self.min[..]);
        for (&at, &value) in places.iter().zip(values) {
            let at = at as usize;
            counts[at] += 1;
            if SUM {
                sums[at] += value;
            }
            if MAX {
                most[at] = most[at].greater(Bound::above(value));
            }
            if MIN {
                fewest[at] = fewest[at].smaller(Bound::below(value));
            }
        }
    }
}
