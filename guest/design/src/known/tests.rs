use super::index::{Full, Index};
use super::memory::{Memory, Room, Series, SlotLists, Texts, HEAD};
use super::{Grid, Known, PAIRS_MAX, SETS_MAX};
use crate::{single_window, Front, Lists, Spec};
use common::{configuration, meaning_of, message, Random};
use ratchet_api::payload::{write::MessageBuilder, Header};
use ratchet_api::{Message, Record, Records};
use ratchet_codec::payload::Strings;
use ratchet_rules::{Aggregate, Filter, Rule};

#[path = "../../../baseline/tests/common/mod.rs"]
mod common;

const AMPLE: Room = Room::of(4_096);
/// Room for a message or two of the tests.
const SCANT: Room = Room::of(200);

type Bits = Vec<(u32, u32, u32, u32, u64)>;

fn bits(records: &[Record]) -> Bits {
    let each = records.iter();
    each.map(|r| (r.rule, r.set, r.window, r.count, r.value.to_bits()))
        .collect()
}

fn spec_of(rules: &[Rule]) -> &'static Spec {
    Box::leak(Box::new(Spec::of(&ratchet_rules::encode(rules)).unwrap()))
}

/// What `run` says of a message, and the records that it writes.
fn with_front<T>(
    spec: &'static Spec,
    payload: &[u8],
    run: impl FnOnce(&mut Front, &Strings<'_>, i64, &mut Records) -> T,
) -> (T, Vec<Record>) {
    let header = Header::read(payload).unwrap();
    let (mut source, mut mirror, mut bounds) = (payload, Vec::new(), Vec::new());
    let mut m = Message::new(header, &mut source, &mut mirror).unwrap();
    m.pull_all().unwrap();
    let strings = m.strings(&mut bounds).unwrap();
    let mut front = Front::new(spec);
    front.locate(&m, &strings).unwrap();
    front.decode(&m, true).unwrap();
    front.resolve_metrics(&strings);
    let mut out = Records::new();
    let said = run(&mut front, &strings, header.min_ts, &mut out);
    (said, out.as_slice().to_vec())
}

/// What remembers series.
trait Way {
    /// Whether it serves messages of several windows.
    const WINDOWS: bool;

    fn within(spec: &'static Spec, room: Room) -> Self;
    fn run(&mut self, front: &Front, strings: &Strings<'_>, at: At, out: &mut Records) -> bool;
}

/// When a message begins, and whether it lies within one window of every rule.
type At = (i64, bool);

impl Way for Known {
    const WINDOWS: bool = false;

    fn within(spec: &'static Spec, room: Room) -> Self {
        Known::within(spec, room)
    }

    fn run(&mut self, front: &Front, strings: &Strings<'_>, _: At, out: &mut Records) -> bool {
        self.run(front, strings, out)
    }
}

impl Way for Grid {
    const WINDOWS: bool = true;

    fn within(spec: &'static Spec, room: Room) -> Self {
        Grid::within(spec, room)
    }

    fn run(&mut self, front: &Front, strings: &Strings<'_>, at: At, out: &mut Records) -> bool {
        self.run(front, strings, at, out)
    }
}

fn run(way: &mut impl Way, spec: &'static Spec, payload: &[u8]) -> (bool, Vec<Record>) {
    let single = lies_in_one_window(spec, payload);
    with_front(spec, payload, |front, strings, min, out| {
        way.run(front, strings, (min, single), out)
    })
}

fn lies_in_one_window(spec: &Spec, payload: &[u8]) -> bool {
    let header = Header::read(payload).unwrap();
    single_window(spec, header.min_ts, header.max_ts)
}

/// By the general way, without any memory.
fn plain(spec: &'static Spec, payload: &[u8]) -> Vec<Record> {
    let mut lists = Lists::new(spec);
    let (_, records) = with_front(spec, payload, |front, strings, min, out| {
        lists.run(front, strings, min, |_| true, out);
    });
    records
}

/// Messages of a seed, in two orders on one instance and each on a fresh one: those that ran.
fn check<W: Way>(room: Room, seed: u64) -> [usize; 2] {
    let mut random = Random::new(seed);
    let rules = configuration(&mut random);
    let spec = spec_of(&rules);
    let serves = |payload: &Vec<u8>| W::WINDOWS || lies_in_one_window(spec, payload);
    let messages: Vec<Vec<u8>> = (0..20)
        .map(|_| message(&mut random))
        .filter(serves)
        .collect();
    let mut used = W::within(spec, room);
    let mut ran = 0;
    for payload in messages.iter().chain(messages.iter().rev()) {
        let (said, records) = run(&mut used, spec, payload);
        let fresh = run(&mut W::within(spec, room), spec, payload);
        assert_eq!(
            (said, bits(&records)),
            (fresh.0, bits(&fresh.1)),
            "seed {seed}"
        );
        if said {
            let expected = meaning_of(&rules, payload, &plain(spec, payload));
            assert_eq!(
                meaning_of(&rules, payload, &records),
                expected,
                "seed {seed}"
            );
        } else {
            assert!(records.is_empty(), "seed {seed}");
        }
        ran += usize::from(said);
    }
    [ran, 2 * messages.len()]
}

fn check_all<W: Way>(room: Room, seeds: u64) -> [usize; 2] {
    let each = (1..=seeds).map(|seed| check::<W>(room, seed));
    each.fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
}

#[test]
fn agrees_with_the_plain_way_whatever_came_before() {
    for [ran, all] in [check_all::<Known>(AMPLE, 60), check_all::<Grid>(AMPLE, 60)] {
        assert!(all > 500, "{all}");
        assert_eq!(ran, all);
    }
}

#[test]
fn forgets_when_full_and_goes_on() {
    for [ran, all] in [check_all::<Known>(SCANT, 60), check_all::<Grid>(SCANT, 60)] {
        assert!(ran > all / 2 && ran < all, "{ran} of {all}");
    }
}

#[test]
fn each_kind_of_room_can_be_too_little_for_any_message() {
    let none = |change: fn(&mut Room)| {
        let mut room = AMPLE;
        change(&mut room);
        room
    };
    for (name, room) in [
        ("texts", none(|room| room.texts = 1)),
        ("bytes", none(|room| room.bytes = 5)),
        ("series", none(|room| room.series = 1)),
        ("words", none(|room| room.words = 12)),
        ("entries", none(|room| room.entries = 3)),
        ("slots", none(|room| room.slots = 3)),
    ] {
        let [ran, all] = check_all::<Known>(room, 8);
        assert!(ran < all, "{name}: {ran} of {all}");
        let [ran, all] = check_all::<Grid>(room, 8);
        // Its columns have room for whatever series there is room for.
        let series = ["entries", "slots"].contains(&name);
        assert!(ran < all || series, "{name}: {ran} of {all}");
    }
}

/// A rule for all tag-sets of `m`, as often as is asked.
fn every(count: usize) -> &'static Spec {
    let rule = |n: usize| Rule {
        id: format!("r{n:05}").as_bytes().into(),
        metric: b"m"[..].into(),
        aggregate: Aggregate::Sum,
        window_ms: 30_000,
        group_by: vec![b"host"[..].into()],
        filter: Filter::All,
    };
    spec_of(&(0..count).map(rule).collect::<Vec<_>>())
}

fn hosts(count: usize) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for host in 0..count {
        let tags = [("host", &*format!("host-{host}"))];
        builder.point("m", &tags, 1_700_000_000_000, 1.5).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn messages_beyond_the_limits_are_left_to_others() {
    for (rules, sets, runs) in [
        (1, SETS_MAX, true),
        (1, SETS_MAX + 1, false),
        (64, PAIRS_MAX / 64, true),
        (64, PAIRS_MAX / 64 + 1, false),
    ] {
        let spec = every(rules);
        let mut known = Known::new(spec);
        for _ in 0..2 {
            let (said, records) = run(&mut known, spec, &hosts(sets));
            assert_eq!(said, runs, "{rules} rules, {sets} tag-sets");
            assert_eq!(records.len(), if runs { rules * sets } else { 0 });
        }
    }
}

#[test]
fn the_grid_leaves_what_is_too_large_to_others() {
    for (rules, sets, runs) in [
        (1, SETS_MAX, true),
        (1, SETS_MAX + 1, false),
        (106, 4_096, true),
        (400, 1_000, true),
        (401, 1, false),
    ] {
        let spec = every(rules);
        let mut grid = Grid::new(spec);
        for _ in 0..2 {
            let (said, records) = run(&mut grid, spec, &hosts(sets));
            assert_eq!(said, runs, "{rules} rules, {sets} tag-sets");
            assert_eq!(records.len(), if runs { rules * sets } else { 0 });
        }
    }
}

#[test]
fn series_that_are_new_each_time_only_cost_time() {
    let spec = every(2);
    let mut known = Known::within(spec, SCANT);
    for n in 0..50 {
        let mut builder = MessageBuilder::new();
        for host in 0..100 {
            let tags = [("host", &*format!("host-{n}-{host}"))];
            builder.point("m", &tags, 1_700_000_000_000, 0.5).unwrap();
        }
        let payload = builder.finish().unwrap();
        let (said, records) = run(&mut known, spec, &payload);
        assert!(said);
        assert_eq!(records.len(), 200);
    }
}

#[test]
fn equal_hashes_are_told_apart_and_a_flood_of_them_is_refused() {
    let mut index: Index = Index::new(1_000);
    for number in 0..128 {
        let place = index.find(7, |seen| seen == number).unwrap_err();
        assert_eq!(index.put(place, 7, number), Ok(()));
    }
    assert_eq!(index.find(7, |seen| seen == 127), Ok(127));
    let place = index.find(7, |_| false).unwrap_err();
    assert_eq!(index.put(place, 7, 128), Err(Full));
    let place = index.find(128, |_| true).unwrap_err();
    assert_eq!(index.put(place, 128, 129), Ok(()));
    index.clear();
    assert!(index.find(7, |_| true).is_err());
}

#[test]
fn texts_are_numbered_by_their_contents() {
    let mut texts = Texts::new(Room {
        texts: 5,
        bytes: 100,
        ..AMPLE
    });
    let both_ends = ["beginning-a-ending-ending", "beginning-b-ending-ending"];
    for (text, expected) in [
        ("", Ok(1)),
        ("a", Ok(2)),
        (both_ends[0], Ok(3)),
        (both_ends[1], Ok(4)),
        ("a", Ok(2)),
        (both_ends[0], Ok(3)),
        ("a\0", Ok(5)),
        ("one too many", Err(Full)),
        (both_ends[1], Ok(4)),
    ] {
        assert_eq!(texts.number(text.as_bytes()), expected, "{text}");
    }
    texts.clear();
    assert_eq!(texts.number(&[b'x'; 101]), Err(Full));
    assert_eq!(texts.number(&[b'x'; 100]), Ok(1));
    assert_eq!(texts.number(b"y"), Err(Full));
}

#[test]
fn series_are_found_by_their_contents() {
    let (mut series, mut lists) = (Series::new(AMPLE), SlotLists::new(AMPLE));
    let rows = [[0, 0, 1, 2, 3, 0, 0, 0], [0, 0, 1, 2, 4, 0, 0, 0]];
    let key = [HEAD as u32 + 1];
    for (row, expected) in rows.iter().zip([(0, 2), (2, 4)]) {
        // All hashes are equal.
        let place = series.find(9, row).unwrap_err();
        let rules = [(5, &key[..]), (6, &[][..])];
        let learned = series.learn((place, 9, row), rules.into_iter(), &mut lists);
        assert_eq!(learned, Ok(expected));
    }
    for (row, expected) in rows.iter().zip([(0, 2), (2, 4)]) {
        assert_eq!(series.find(9, row), Ok(expected));
    }
    // Both agree in what the rules group by.
    assert_eq!(lists.lists, [0, 1, 0, 1]);
    assert_eq!(lists.rules, [5, 6, 5, 6]);
    series.clear();
    lists.clear();
    assert!(series.find(9, &rows[0]).is_err());
    assert!(lists.lists.is_empty());
}
