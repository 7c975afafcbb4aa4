//! What was found for messages whose tag-sets were the same.
//!
//! Many senders repeat themselves: a process exports the same series in the same order every few
//! seconds. Then a message differs from one before in its points alone, and the hash of the bytes
//! that name its tag-sets finds their series, without a string or a column being read. When it
//! comes a second time, the way of its records is remembered, too.

use ratchet_codec::payload::{Column, Header, FIXED_COLUMNS, HEADER_LEN};
use ratchet_ingest::fingerprint::{entry_bytes, FingerprintMap};

use super::route::Route;
use super::series::{Series, StringHasher};

/// What a message costs, beside its tag-sets and its records.
const MESSAGE_BYTES: usize = entry_bytes::<Known>();

/// So many tag-sets are remembered of any organization, however few its series are.
const SETS_MIN: usize = 1024;
/// So many of each series: senders may share it, or draw the line between two messages elsewhere.
const SETS_PER_SERIES: usize = 4;
/// So often each message that is remembered is refused a place before all are forgotten.
const PATIENCE: usize = 64;

/// What is known of a message that came before.
pub struct Known {
    /// By tag-set.
    series: Box<[Series]>,
    /// Of its records, if it came again.
    route: Option<Route>,
}

impl Known {
    pub fn route(&self) -> Option<&Route> {
        self.route.as_ref()
    }

    /// Tells the series of all tag-sets; false when they are not as many.
    pub fn tell(&self, out: &mut [Series]) -> bool {
        let is_it = self.series.len() == out.len();
        if is_it {
            out.copy_from_slice(&self.series);
        }
        is_it
    }

    fn bytes(&self) -> usize {
        let route = self.route().map_or(0, Route::bytes);
        MESSAGE_BYTES + size_of_val(&*self.series) + route
    }
}

/// What was found for messages, within a bound of bytes.
#[derive(Default)]
pub struct Recall {
    by_fingerprint: FingerprintMap<Known>,
    /// Tag-sets of all messages.
    sets: usize,
    bytes: usize,
    bytes_max: usize,
    /// How often something did not fit since all was forgotten.
    refused: usize,
    /// Steps of all routes, and of those whose messages had none when these were last forgotten.
    steps: usize,
    new_steps: usize,
    scratch: Vec<u8>,
}

impl Recall {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            ..Self::default()
        }
    }

    /// Of all that tells which series the tag-sets of a validated message are: the dictionary, the
    /// ids of keys and metrics, and the columns of keys.
    pub fn fingerprint(
        &mut self,
        payload: &[u8],
        header: &Header,
        hasher: StringHasher,
    ) -> Option<u128> {
        let entry = |column: usize| {
            let at = HEADER_LEN + 8 * column;
            let (start, rest) = payload.get(at..)?.split_first_chunk::<4>()?;
            Some((
                u32::from_le_bytes(*start) as usize,
                rest.first_chunk::<4>()?,
            ))
        };
        let text = &mut self.scratch;
        text.clear();
        for count in [header.strings, header.keys, header.sets] {
            text.extend_from_slice(&count.to_le_bytes());
        }
        for column in (0..Column::SetIds.index()).chain(FIXED_COLUMNS..header.columns()) {
            text.extend_from_slice(entry(column)?.1);
        }
        let (from, until) = (header.table_end(), entry(Column::SetIds.index())?.0);
        let keys = match header.keys {
            0 => payload.len(),
            _ => entry(FIXED_COLUMNS)?.0,
        };
        for bytes in [payload.get(from..until)?, payload.get(keys..)?] {
            text.extend_from_slice(&hasher.hash(bytes).to_le_bytes());
        }
        Some(hasher.hash(text))
    }

    pub fn get(&self, message: u128) -> Option<&Known> {
        self.by_fingerprint.get(&message)
    }

    /// Remembers the series of a message's tag-sets, of an organization that has so many series.
    /// What never comes again takes its share of those, and no more.
    pub fn put(&mut self, message: u128, sets: &[Series], series: usize) {
        let known = self.by_fingerprint.get_mut(&message);
        if let Some(known) = known.filter(|known| known.series.len() == sets.len()) {
            known.series.copy_from_slice(sets);
            return;
        }
        self.remove(message);
        let known = Known {
            series: sets.into(),
            route: None,
        };
        let bytes = self.bytes + known.bytes();
        let sets = self.sets + sets.len();
        if bytes > self.bytes_max || sets > SETS_MIN.max(SETS_PER_SERIES * series) {
            self.refuse();
            return;
        }
        (self.bytes, self.sets) = (bytes, sets);
        self.by_fingerprint.insert(message, known);
    }

    /// Remembers the way of the records of a message, if its tag-sets are known.
    pub fn put_route(&mut self, message: u128, route: Route) {
        let Some(known) = self.by_fingerprint.get_mut(&message) else {
            return;
        };
        let others = self.bytes - known.bytes();
        let (is_new, steps) = (known.route.is_none(), route.steps());
        let before = known.route.replace(route);
        let bytes = others + known.bytes();
        if bytes > self.bytes_max {
            known.route = before;
            self.refuse();
            return;
        }
        self.bytes = bytes;
        self.steps = self.steps + steps - before.map_or(0, |route| route.steps());
        self.new_steps += if is_new { steps } else { 0 };
    }

    /// What has to be looked at when all routes are renumbered.
    pub fn steps(&self) -> usize {
        self.steps + self.by_fingerprint.len()
    }

    /// Steps of messages that had no route when these were last forgotten. One that goes another
    /// way from time to time is not new.
    pub fn new_steps(&self) -> usize {
        self.new_steps
    }

    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.by_fingerprint.values().filter_map(Known::route)
    }

    /// No step is new any more.
    pub fn forget_new_steps(&mut self) {
        self.new_steps = 0;
    }

    /// Gives groups the numbers `moved[length]`.
    pub fn renumber(&mut self, moved: &[Vec<u32>]) {
        let routes = self.by_fingerprint.values_mut();
        let routes = routes.filter_map(|known| known.route.as_mut());
        routes.for_each(|route| route.renumber(moved));
        self.forget_new_steps();
    }

    /// Whether so much more may be remembered.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= self.bytes_max
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn clear(&mut self) {
        *self = Self {
            scratch: std::mem::take(&mut self.scratch),
            ..Self::new(self.bytes_max)
        };
    }

    fn remove(&mut self, message: u128) {
        if let Some(known) = self.by_fingerprint.remove(&message) {
            self.bytes -= known.bytes();
            self.steps -= known.route().map_or(0, Route::steps);
            self.sets -= known.series.len();
        }
    }

    /// Where senders repeat more than fits, what fits is kept. After many refusals it may be of
    /// senders who are gone: all is forgotten.
    pub fn refuse(&mut self) {
        self.refused += 1;
        if self.refused > PATIENCE * self.by_fingerprint.len() {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::route::{self, STEP_BYTES};
    use crate::merge::series::UNRESOLVED;
    use crate::merge::SeriesTable;
    use ratchet_codec::payload::validate;
    use ratchet_codec::payload::write::MessageBuilder;

    type Point = (
        &'static str,
        &'static [(&'static str, &'static str)],
        i64,
        f64,
    );

    fn fingerprint(points: &[Point]) -> u128 {
        let mut builder = MessageBuilder::new();
        for (metric, tags, ts, value) in points {
            builder.point(metric, tags, *ts, *value).unwrap();
        }
        let payload = builder.finish().unwrap();
        let header = validate(&payload).unwrap();
        let hasher = SeriesTable::with_seed(7, 0).hasher();
        let fingerprint = Recall::default().fingerprint(&payload, &header, hasher);
        fingerprint.unwrap()
    }

    #[test]
    fn points_make_no_difference_and_tag_sets_do() {
        let one: Point = ("cpu", &[("a", "x"), ("b", "y")], 5, 1.0);
        let two: Point = ("cpu", &[("a", "z")], 5, 1.0);
        let known = fingerprint(&[one, two]);
        let again: Point = ("cpu", &[("a", "z")], 70_000, -4.25);
        assert_eq!(fingerprint(&[one, again]), known);
        assert_eq!(fingerprint(&[one, two, one, again]), known);
        let others: [&[Point]; 8] = [
            &[one],
            &[two, one],
            &[one, ("mem", &[("a", "z")], 5, 1.0)],
            &[one, ("cpu", &[("b", "z")], 5, 1.0)],
            &[one, ("cpu", &[("a", "y")], 5, 1.0)],
            &[one, ("cpu", &[("a", "zz")], 5, 1.0)],
            &[one, ("cpu", &[], 5, 1.0)],
            &[one, two, ("cpu", &[], 5, 1.0)],
        ];
        let mut all: Vec<_> = others.map(fingerprint).into();
        all.push(known);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), others.len() + 1);
    }

    const SETS: usize = 100;

    fn series(row: u32) -> Vec<Series> {
        vec![Series { metric: 0, row }; SETS]
    }

    /// The series that are known for as many tag-sets of a message.
    fn told(recall: &Recall, message: u128) -> Option<Vec<Series>> {
        let mut out = vec![UNRESOLVED; SETS];
        recall.get(message)?.tell(&mut out).then_some(out)
    }

    fn has_route(recall: &Recall, message: u128) -> bool {
        recall.get(message).and_then(Known::route).is_some()
    }

    /// A way of so many records.
    fn route(records: usize) -> Route {
        route::tests::route(&vec![0; records])
    }

    #[test]
    fn a_message_that_comes_again_is_told_anew() {
        let mut recall = Recall::new(10_000);
        recall.put(1, &series(1), 1);
        recall.put_route(1, route(10));
        recall.put(1, &series(2), 1);
        assert_eq!(told(&recall, 1), Some(series(2)));
        assert!(has_route(&recall, 1), "still good");
        recall.put(1, &series(3)[1..], 1);
        assert_eq!(told(&recall, 1), None, "of another message");
        assert!(!has_route(&recall, 1));
        recall.put_route(2, route(10));
        assert!(recall.get(2).is_none(), "its tag-sets are not known");
        recall.clear();
        assert_eq!((recall.bytes(), told(&recall, 1)), (0, None));
    }

    #[test]
    fn remembers_within_its_bounds() {
        let message = MESSAGE_BYTES + SETS * size_of::<Series>();
        let mut recall = Recall::new(3 * message - 1);
        for id in 1..=3 {
            recall.put(id, &series(1), 1);
        }
        assert_eq!(recall.bytes(), 2 * message);
        let known = |recall: &Recall| [1, 2, 3].map(|id| told(recall, id).is_some());
        assert_eq!(known(&recall), [true, true, false]);
        let records = message / STEP_BYTES;
        recall.put_route(1, route(records / 2));
        let bytes = recall.bytes();
        recall.put_route(1, route(records));
        assert!(
            has_route(&recall, 1) && recall.bytes() == bytes,
            "as before"
        );
        recall.put_route(2, route(records));
        assert!(!has_route(&recall, 2) && recall.bytes() == bytes);
        assert!(recall.has_room(3 * message - 1 - bytes));
        assert!(!recall.has_room(3 * message - bytes));
        recall.put_route(1, route(1));
        assert!(recall.bytes() < bytes);
        // Who is refused again and again makes room in the end.
        let tries = (0..).take_while(|_| {
            recall.put(3, &series(1), 1);
            known(&recall) == [true, true, false]
        });
        assert!((PATIENCE..4 * PATIENCE).contains(&tries.count()));
        recall.put(3, &series(1), 1);
        assert_eq!(known(&recall), [false, false, true]);
        assert_eq!(recall.bytes(), message);
    }

    #[test]
    fn messages_that_never_come_again_take_a_share_of_their_series() {
        let mut recall = Recall::new(1 << 20);
        for id in 0..100 {
            recall.put(id, &series(1), 500);
        }
        let count = |recall: &Recall| (0..100).filter(|id| told(recall, *id).is_some()).count();
        assert_eq!(count(&recall), SETS_PER_SERIES * 500 / SETS);
        recall.clear();
        for id in 0..100 {
            recall.put(id, &series(1), 1);
        }
        assert_eq!(count(&recall), SETS_MIN / SETS);
    }

    #[test]
    fn steps_are_new_where_there_was_no_route() {
        let mut recall = Recall::new(20_000);
        let steps = |records: &[usize]| records.iter().map(|of| route(*of).steps()).sum::<usize>();
        let check = |recall: &Recall, all: &[usize], new: &[usize]| {
            assert_eq!((recall.steps, recall.new_steps()), (steps(all), steps(new)));
            assert_eq!(recall.steps(), recall.steps + recall.by_fingerprint.len());
        };
        for id in [1, 2] {
            recall.put(id, &series(1), 1);
            recall.put_route(id, route(10));
        }
        check(&recall, &[10, 10], &[10, 10]);
        recall.renumber(&[vec![0]]);
        check(&recall, &[10, 10], &[]);
        recall.put_route(1, route(7));
        check(&recall, &[7, 10], &[]);
        recall.put_route(1, route(10_000));
        check(&recall, &[7, 10], &[]);
        recall.put(2, &series(1)[1..], 1);
        check(&recall, &[7], &[]);
        recall.put_route(2, route(5));
        check(&recall, &[7, 5], &[5]);
        recall.clear();
        check(&recall, &[], &[]);
    }

    #[test]
    fn nothing_is_remembered_without_bytes() {
        let mut recall = Recall::new(0);
        recall.put(1, &series(1), 1);
        assert_eq!((recall.bytes(), told(&recall, 1)), (0, None));
    }
}
