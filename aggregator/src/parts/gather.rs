//! The second merge of one organization: parts wait until every partition has told its time.

use std::collections::BTreeMap;

use bytes::Bytes;
use ratchet_trust::Sha256Digest;

use super::fold::Fold;
use super::Window;
use crate::configuration::MeaningfulRule;
use crate::merge::ClosedWindow;
use crate::watermark::Lateness;
use std::sync::Arc;

/// Encoded partials of one organization that may wait. A partition that is served by nobody lets
/// those of the others wait, so this is for hours of them.
const BYTES_MAX: usize = 256 << 20;

/// A window of which every part is there.
pub struct Complete {
    window: Window,
    parts: BTreeMap<u32, Vec<Bytes>>,
}

/// A window that waits for parts.
struct Open {
    /// The oldest message that has a part of it.
    first_sequence: u64,
    /// By partition, in the order in which it sent them.
    parts: BTreeMap<u32, Vec<Bytes>>,
}

pub struct Gather {
    lateness: Lateness,
    times_ms: BTreeMap<u32, i64>,
    open: BTreeMap<Window, Open>,
    bytes: usize,
    bytes_max: usize,
}

impl Gather {
    /// With how far each partition's time had come.
    pub fn new(lateness: Lateness, times_ms: BTreeMap<u32, i64>) -> Self {
        Self {
            lateness,
            times_ms,
            open: BTreeMap::new(),
            bytes: 0,
            bytes_max: BYTES_MAX,
        }
    }

    pub fn times_ms(&self) -> &BTreeMap<u32, i64> {
        &self.times_ms
    }

    /// The oldest message that has a part of a window that waits.
    pub fn first_sequence(&self) -> Option<u64> {
        self.open.values().map(|open| open.first_sequence).min()
    }

    /// Takes in a part of a window that has parts in `sources`. An error is a reason to count it
    /// by: the part is left out.
    pub fn part(
        &mut self,
        source: u32,
        sequence: u64,
        (window, sources): (Window, &[u32]),
        body: Bytes,
    ) -> Result<(), &'static str> {
        if self.has_closed(window, sources) {
            return Err("part-late");
        }
        if self.bytes + body.len() > self.bytes_max {
            return Err("part-overflow");
        }
        self.bytes += body.len();
        let open = self.open.entry(window).or_insert_with(|| Open {
            first_sequence: sequence,
            parts: BTreeMap::new(),
        });
        open.parts.entry(source).or_default().push(body);
        Ok(())
    }

    /// A partition's time has come so far.
    pub fn time(&mut self, source: u32, time_ms: i64) {
        let known = self.times_ms.entry(source).or_insert(time_ms);
        *known = time_ms.max(*known);
    }

    /// Takes out the windows of which all parts are there, oldest first.
    pub fn complete(&mut self, sources: impl Fn(Window) -> Vec<u32>) -> Vec<Complete> {
        let windows = self.open.keys().copied();
        let done: Vec<Window> = windows
            .filter(|window| self.has_closed(*window, &sources(*window)))
            .collect();
        let mut complete = Vec::new();
        for window in done {
            let Some(Open { parts, .. }) = self.open.remove(&window) else {
                continue;
            };
            self.bytes -= parts.values().flatten().map(Bytes::len).sum::<usize>();
            complete.push(Complete { window, parts });
        }
        complete
    }

    /// Whether a window has closed in all the partitions.
    fn has_closed(&self, window: Window, sources: &[u32]) -> bool {
        let window_ms = i64::from(window.window_ms);
        let closes_ms = window.start_ms + window_ms + self.lateness.of(window_ms);
        let time_ms = |source| self.times_ms.get(source).copied().unwrap_or(i64::MIN);
        sources.iter().all(|source| time_ms(source) >= closes_ms)
    }
}

impl Complete {
    /// Folds the parts in the order of the partitions; one closed window a rule, ordered by id.
    pub fn fold(
        self,
        rule_of: impl Fn(&Sha256Digest) -> Option<Arc<MeaningfulRule>>,
    ) -> Result<Vec<ClosedWindow>, &'static str> {
        let mut fold = Fold::default();
        for body in self.parts.values().flatten() {
            fold.add(body, &rule_of)?;
        }
        Ok(fold.finish(self.window.start_ms))
    }
}

#[cfg(test)]
mod tests {
    use ratchet_rules::Aggregate;

    use super::*;
    use crate::configuration::tests::{of_rules, rule};
    use crate::configuration::Configuration;
    use crate::emit::{self, Form};
    use crate::merge::ClosedGroup;

    const SOURCES: [u32; 3] = [1, 2, 5];
    const WINDOW: Window = Window {
        start_ms: 20_000,
        window_ms: 10_000,
    };

    fn configuration() -> Arc<Configuration> {
        of_rules(&[
            rule("avg", "cpu", Aggregate::Avg, 10, &["host", "zone"]),
            rule("max", "cpu", Aggregate::Max, 10, &[]),
            rule("sum", "cpu", Aggregate::Sum, 10, &["zone"]),
        ])
    }

    fn gather() -> Gather {
        Gather::new(Lateness::Milliseconds(500), BTreeMap::new())
    }

    fn key(values: &[&str]) -> Arc<[u8]> {
        let mut key = Vec::new();
        for value in values {
            key.extend_from_slice(&(value.len() as u16).to_le_bytes());
            key.extend_from_slice(value.as_bytes());
        }
        key.into()
    }

    /// One partition's part: groups of rules, each with its partial and its count.
    fn body(groups: &[(usize, &[&str], f64, u32)]) -> Bytes {
        let configuration = configuration();
        let windows = groups
            .iter()
            .map(|(rule, values, partial, count)| ClosedWindow {
                rule: configuration.rules[*rule].clone(),
                start_ms: WINDOW.start_ms,
                groups: vec![ClosedGroup {
                    key: key(values),
                    value: f64::NAN,
                    partial: *partial,
                    count: *count,
                }],
            });
        let windows: Vec<_> = windows.collect();
        let encoded = emit::encode("parts", Form::Partials, |_| None, &windows).unwrap();
        encoded[0].body.clone()
    }

    fn complete(gather: &mut Gather) -> Vec<Complete> {
        gather.complete(|_| SOURCES.to_vec())
    }

    /// `(rule id, group, value, count)` of what the parts come to.
    fn fold(complete: Complete) -> Vec<(String, Arc<[u8]>, f64, u32)> {
        let configuration = configuration();
        let closed = complete.fold(|meaning| configuration.rule(meaning).cloned());
        let of = |window: &ClosedWindow| {
            let id = String::from_utf8_lossy(&window.rule.rule.id).into_owned();
            assert_eq!(window.start_ms, WINDOW.start_ms);
            let groups = window.groups.iter();
            let line = |g: &ClosedGroup| (id.clone(), g.key.clone(), g.value, g.count);
            groups.map(line).collect::<Vec<_>>()
        };
        closed.unwrap().iter().flat_map(of).collect()
    }

    #[test]
    fn parts_fold_in_the_order_of_partitions() {
        let big = 2f64.powi(53);
        let parts: [(u32, Bytes); 3] = [
            (
                1,
                body(&[
                    (0, &["a", ""], 3.0, 2),
                    (1, &[], -1.0, 4),
                    (2, &["z"], 1.0, 1),
                ]),
            ),
            (2, body(&[(1, &[], -2.0, 1), (2, &["z"], big, 1)])),
            (
                5,
                body(&[
                    (0, &["a", ""], 5.0, 2),
                    (2, &["y"], 7.0, 1),
                    (2, &["z"], -big, 1),
                ]),
            ),
        ];
        // In another order, 1.0 would not be lost: (big - big) + 1 = 1.
        let expected = vec![
            ("avg".to_owned(), key(&["a", ""]), 2.0, 4),
            ("max".to_owned(), key(&[]), -1.0, 5),
            ("sum".to_owned(), key(&["y"]), 7.0, 1),
            ("sum".to_owned(), key(&["z"]), (1.0 + big) - big, 3),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut gather = gather();
            for (at, index) in order.into_iter().enumerate() {
                let (source, body) = parts[index].clone();
                let sequence = 10 + at as u64;
                gather
                    .part(source, sequence, (WINDOW, &SOURCES), body)
                    .unwrap();
                assert_eq!(gather.first_sequence(), Some(10));
                assert!(complete(&mut gather).is_empty());
                gather.time(source, 30_500);
            }
            let mut done = complete(&mut gather);
            assert_eq!(
                (done.len(), gather.first_sequence(), gather.bytes),
                (1, None, 0)
            );
            assert_eq!(fold(done.remove(0)), expected, "{order:?}");
        }
    }

    #[test]
    fn a_window_waits_for_everybody() {
        let mut gather = gather();
        let part = || body(&[(1, &[], 1.0, 1)]);
        let late = Err("part-late");
        gather.part(5, 7, (WINDOW, &SOURCES), part()).unwrap();
        for (source, time_ms, done) in [
            (1, 99_000, 0),
            (2, 30_499, 0),
            (5, 30_500, 0),
            (2, 30_100, 0),
            (2, 30_500, 1),
        ] {
            gather.time(source, time_ms);
            assert_eq!(complete(&mut gather).len(), done, "{source} at {time_ms}");
        }
        assert_eq!(gather.part(5, 8, (WINDOW, &SOURCES), part()), late);
        // One that is spread wider waits for one more.
        gather.part(5, 8, (WINDOW, &[1, 2, 5, 6]), part()).unwrap();
        // What was saved of the times makes the same answers after a restart.
        let mut again = Gather::new(gather.lateness, gather.times_ms().clone());
        assert_eq!(again.part(5, 8, (WINDOW, &SOURCES), part()), late);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut gather = gather();
        let part = body(&[(1, &[], 1.0, 1)]);
        gather.bytes_max = 2 * part.len();
        let mut take = |sequence| gather.part(1, sequence, (WINDOW, &SOURCES), part.clone());
        assert_eq!(take(1), Ok(()));
        assert_eq!(take(2), Ok(()));
        assert_eq!(take(3), Err("part-overflow"));
    }

    #[test]
    fn a_rule_that_is_unknown_is_told() {
        let mut gather = gather();
        let part = body(&[(1, &[], 1.0, 1)]);
        gather.part(1, 1, (WINDOW, &[1]), part).unwrap();
        gather.time(1, 99_000);
        let complete = gather.complete(|_| vec![1]).remove(0);
        assert_eq!(complete.fold(|_| None).err(), Some("part-rule"));
    }
}
