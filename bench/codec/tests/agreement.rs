//! All decoders of the contest give the same, on columns of either form too.

use ratchet_bench_codec::{every_control_byte, parse, write};
use ratchet_bench_codec::{Contestant, Item, Part, Task, SLACK};
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_codec::streamvbyte;

fn padded(count: u32, bytes: &[u8]) -> Item {
    Item {
        count,
        bytes: [bytes, &[0; SLACK]].concat(),
    }
}

/// Keys that every tag-set has, and keys that few have.
fn messages() -> Vec<Item> {
    let message = |size: i64| {
        let mut builder = MessageBuilder::new();
        for n in 0..size {
            let mut tags = vec![("common", format!("value-{}", n % 7))];
            if n % 9 == 3 {
                tags.push(("rare", format!("other-{n}")));
            }
            let ts = 1_000_000 + (n * 7_919) % 3_000_000;
            builder.point("m", &tags, ts, n as f64 / 3.0).unwrap();
        }
        padded(0, &builder.finish().unwrap())
    };
    [1, 2, 3, 4, 5, 40, 201, 3_000].map(message).into()
}

fn runs() -> Vec<Item> {
    let run = |count: u32| {
        let numbers: Vec<u32> = (0..count)
            .map(|n| (n * 0x9e37_79b1) >> (8 * (n % 4)))
            .collect();
        let (controls, room) = (numbers.len().div_ceil(4), 4 * numbers.len());
        let (mut control, mut data) = (vec![0; controls], vec![0; room]);
        let used = streamvbyte::encode(&numbers, &mut control, &mut data).unwrap();
        padded(count, &[&control[..], &data[..used]].concat())
    };
    [0, 1, 2, 3, 4, 5, 31, 32, 33, 50, 1_000].map(run).into()
}

fn check(tasks: &[(&str, Task)], items: &[Item]) {
    let items = parse(&write(items)).unwrap();
    let digest = |task: Task| Contestant::new(task, items.clone())?.digest();
    let expected = digest(tasks[0].1);
    assert!(expected.is_some_and(|digest| digest != 0), "{:?}", tasks[0]);
    for (name, task) in tasks {
        assert_eq!(digest(*task), expected, "{name}");
        assert_eq!(Task::from_number(task.number()), Some(*task));
    }
}

#[test]
fn all_decoders_agree() {
    check(&Task::runs().collect::<Vec<_>>(), &runs());
    for part in Part::EVERY {
        check(&Task::columns(part), &messages());
    }
    assert_eq!(Task::from_number(1_000), None);
}

/// `control-bytes.test.ts` does the same in a guest, where groups are decoded by SIMD.
#[test]
fn every_control_byte_decodes_by_groups_as_by_values() {
    let items = every_control_byte();
    assert_eq!(items.len(), 3 * 256);
    check(&[("codec", Task::EveryControlByte)], &items);
}

/// The unverified reader would not notice.
#[test]
fn malformed_items_are_refused() {
    let cut = |item: &Item| padded(item.count, &item.bytes[..item.bytes.len() - SLACK - 1]);
    for task in [Task::UnverifiedRuns, Task::StreamVbyteRuns] {
        let items = runs().iter().skip(1).map(cut).collect();
        assert!(Contestant::new(task, items).is_none());
    }
    let items = messages().iter().map(cut).collect();
    assert!(Contestant::new(Task::UnverifiedColumns(Part::All), items).is_none());
    let none = Item {
        count: 256,
        ..every_control_byte().remove(0)
    };
    for item in [padded(0, b"short"), none] {
        assert!(Contestant::new(Task::EveryControlByte, vec![item]).is_none());
    }
    let bare = Item::default();
    assert!(Contestant::new(Task::CodecRuns, vec![bare]).is_none());
}
