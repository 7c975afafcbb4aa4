//! Messages that come again with other times and values.
//!
//! Whoever scrapes or exports sends the same series in the same order, time after time. A message
//! of such a sequence differs from the one before in two columns; the others are copied.

use std::collections::HashMap;
use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::columns::{Cut, Facts};

/// What a sequence takes that was met, about.
const MET_BYTES: usize = 2 * (size_of::<u32>() + size_of::<u64>());

/// What messages of one sequence of series have in common.
pub struct Template {
    /// By number, point by point.
    pub series: Box<[u32]>,
    /// But for the times.
    pub facts: Facts,
    pub cut: Cut,
}

impl Template {
    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.series) + self.cut.bytes()
    }
}

/// One template for each series that messages begin with.
#[derive(Default)]
pub struct Templates {
    kept: HashMap<u32, Arc<Template>>,
    /// A hash of the sequence that was met last: what comes only once gets no template.
    met: HashMap<u32, u64>,
    kept_bytes: usize,
}

impl Templates {
    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.kept_bytes + self.met.len() * MET_BYTES
    }

    /// That of messages that begin with this series.
    pub fn find(&self, first: u32) -> Option<Arc<Template>> {
        self.kept.get(&first).cloned()
    }

    /// Takes note of a message, so that the next one like it may be made from this one. `room` is
    /// for all, in bytes.
    pub fn note(&mut self, series: &[u32], facts: &Facts, message: &[u8], room: usize) {
        let Some(first) = series.first().copied() else {
            return;
        };
        let hash = hash(series);
        if self.met.insert(first, hash) != Some(hash) {
            self.limit(room);
            return;
        }
        let template = Template {
            series: series.into(),
            facts: *facts,
            cut: Cut::of(message),
        };
        self.kept_bytes += template.bytes();
        if let Some(old) = self.kept.insert(first, Arc::new(template)) {
            self.kept_bytes -= old.bytes();
        }
        self.limit(room);
    }

    /// Where there is no room for all, those that are used come again.
    fn limit(&mut self, room: usize) {
        if self.bytes() > room {
            *self = Self::default();
        }
    }
}

fn hash(series: &[u32]) -> u64 {
    let numbers = series.iter().flat_map(|number| number.to_le_bytes());
    XxHash3_64::oneshot(&numbers.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::columns::Writer;
    use super::*;

    const FACTS: Facts = Facts {
        strings: 0,
        keys: 0,
        sets: 0,
        points: 0,
        min_ts: 0,
        max_ts: 0,
    };

    /// A message without anything in its columns.
    fn message() -> Vec<u8> {
        let mut writer = Writer::new(0, 0);
        (0..8).for_each(|_| writer.bytes(&[]));
        writer.finish(&FACTS)
    }

    #[test]
    fn what_comes_a_second_time_is_kept() {
        let (mut templates, message) = (Templates::default(), message());
        let mut note = |series: &[u32], room| {
            templates.note(series, &FACTS, &message, room);
            let kept = templates.find(series[0]);
            kept.map(|template| template.series.to_vec())
        };
        let room = 1 << 20;
        assert_eq!(note(&[1, 2, 3], room), None);
        assert_eq!(note(&[1, 2, 3], room), Some(vec![1, 2, 3]));
        assert_eq!(note(&[1, 3], room), Some(vec![1, 2, 3]), "once only");
        assert_eq!(note(&[1, 3], room), Some(vec![1, 3]));
        assert_eq!(note(&[2], room), None);
        assert_eq!(note(&[2], room), Some(vec![2]));
        assert_eq!(note(&[1, 3], 100), None, "no room for any");
        assert_eq!(templates.bytes(), 0);
    }
}
