//! The payload reader and check against the writer: what was written reads back, whatever is
//! malformed is refused for the right reason, and no bytes at all make them panic.

mod sample;

use ratchet_codec::payload::{validate, Column, Header, Message, PayloadError};
use ratchet_codec::DecodeError;
use sample::{random_message, read_back, Random};

#[test]
fn written_messages_read_back() {
    for seed in 1..400 {
        let mut random = Random::new(seed);
        let (bytes, points) = random_message(&mut random);
        let header = validate(&bytes).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(header.points as usize, points.len(), "seed {seed}");
        assert_eq!(read_back(&bytes), points, "seed {seed}");
    }
}

/// Whatever one changes in a message, the check and the decoders answer.
#[test]
fn corrupted_messages_never_panic() {
    for seed in 1..60 {
        let mut random = Random::new(seed);
        let (bytes, _) = random_message(&mut random);
        for _ in 0..400 {
            let mut bad = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = if random.below(2) == 0 {
                    random.below(200)
                } else {
                    random.next()
                };
                let at = at as usize % bad.len();
                bad[at] ^= 1 << random.below(8);
            }
            if random.below(4) == 0 {
                bad.truncate(random.below(bad.len() as u64 + 1) as usize);
            }
            let valid = validate(&bad).is_ok();
            let decoded = decode_everything(&bad);
            assert!(
                !valid || decoded.is_some(),
                "seed {seed}: valid but not decodable"
            );
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let (bytes, _) = random_message(&mut Random::new(7));
    for len in 0..bytes.len() {
        assert!(
            validate(&bytes[..len]).is_err(),
            "{len} of {} bytes",
            bytes.len()
        );
        decode_everything(&bytes[..len]);
    }
    assert!(validate(&bytes).is_ok());
}

/// Decodes all columns of a message that may be anything; `None` when one of them fails.
fn decode_everything(bytes: &[u8]) -> Option<()> {
    let header = Header::read(bytes).ok()?;
    let mut source = bytes;
    let mut mirror = vec![0x5a; 100];
    let mut message = Message::new(header, &mut source, &mut mirror).ok()?;
    message.pull_all().ok()?;
    let (mut ids, mut bounds) = (Vec::new(), Vec::new());
    let mut ok = true;
    if let Ok(strings) = message.strings(&mut bounds) {
        ok &= strings.iter().all(|s| !s.is_empty());
    } else {
        ok = false;
    }
    ok &= message.key_ids(&mut ids).is_ok();
    ok &= message.metric_ids(&mut ids).is_ok();
    ok &= message.set_ids(&mut ids).is_ok();
    ok &= message.timestamps(&mut Vec::new()).is_ok();
    ok &= message.values(&mut Vec::new()).is_ok();
    for key in 0..header.keys {
        ok &= message.key_column(key, &mut ids).is_ok();
        assert!(!ok || ids.len() == header.sets as usize);
    }
    ok.then_some(())
}

#[test]
fn columns_that_were_not_pulled_are_out_of_sight() {
    let (bytes, _) = random_message(&mut Random::new(3));
    let header = validate(&bytes).unwrap();
    let (mut source, mut mirror, mut ids) = (&bytes[..], Vec::new(), Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror).unwrap();
    let early = message.pull(Column::SetIds, Column::Values);
    assert_eq!(early, Err(DecodeError::Truncated));
    assert!(message.strings(&mut Vec::new()).is_err());
    message.pull_prefix().unwrap();
    assert!(message.strings(&mut Vec::new()).is_ok());
    assert!(message.key_ids(&mut ids).is_ok());
    assert_eq!(message.set_ids(&mut ids), Err(DecodeError::Truncated));
    message.pull(Column::SetIds, Column::Values).unwrap();
    assert!(message.set_ids(&mut ids).is_ok());
    assert!(message.timestamps(&mut Vec::new()).is_ok());
    assert_eq!(message.metric_ids(&mut ids), Err(DecodeError::Truncated));
    let beyond = message.pull(Column::MetricIds, Column::Key(header.keys));
    assert_eq!(beyond, Err(DecodeError::Truncated));
    assert_eq!(
        message.key_column(header.keys, &mut ids),
        Err(DecodeError::Truncated)
    );
}

/// A message just within the limits of the format is not refused for its size.
#[test]
fn limits_are_inclusive() {
    let long = "x".repeat(1_024);
    let mut builder = ratchet_codec::payload::write::MessageBuilder::new();
    for n in 0..256 {
        builder
            .point("m", &[(format!("k{n:03}"), &long)], 1_000 + n * 14_000, 1.0)
            .unwrap();
    }
    builder
        .point("m", &[("k000", "v")], 1_000 + 3_600_000, 1.0)
        .unwrap();
    let bytes = builder.finish().unwrap();
    let header = validate(&bytes).unwrap();
    assert_eq!(
        (header.keys, header.max_ts - header.min_ts),
        (256, 3_600_000)
    );
    assert!(matches!(
        validate(&[]),
        Err(PayloadError::TooShort { len: 0 })
    ));
}

/// A builder refuses a point before its message could break a limit, and is whole again after it.
#[test]
fn a_full_message_is_valid() {
    use ratchet_codec::payload::write::{BuildError, MessageBuilder};
    let mut builder = MessageBuilder::new();
    for round in [40, 900] {
        let mut refused = Ok(());
        for n in 0.. {
            let text = format!("{n:0round$}");
            refused = builder.point("m", &[("k", &text), ("other", &text)], n, n as f64);
            if refused.is_err() {
                break;
            }
        }
        assert_eq!(refused, Err(BuildError::Full));
        let bytes = builder.finish().unwrap();
        assert!(bytes.len() > 500_000, "{} bytes", bytes.len());
        validate(&bytes).unwrap();
        assert!(builder.is_empty());
    }
    assert_eq!(builder.finish(), Err(BuildError::Empty));
}

#[test]
fn a_builder_refuses_what_no_message_can_hold() {
    use ratchet_codec::payload::write::{BuildError, MessageBuilder};
    let mut builder = MessageBuilder::new();
    let mut check = |metric: &[u8], tags: &[(&[u8], &[u8])], ts: i64, expected| {
        assert_eq!(builder.point(metric, tags, ts, 0.0), expected);
    };
    check(b"m", &[(b"k", b"v")], 5, Ok(()));
    check(b"", &[], 5, Err(BuildError::EmptyName));
    check(b"m", &[(b"", b"v")], 5, Err(BuildError::EmptyName));
    check(
        &[b'm'; 1_025],
        &[],
        5,
        Err(BuildError::StringTooLong(1_025)),
    );
    check(b"m", &[(b"k", b"\xff")], 5, Err(BuildError::Utf8));
    check(
        b"m",
        &[(b"k", b"v"), (b"k", b"w")],
        5,
        Err(BuildError::DuplicateKey),
    );
    check(b"m", &[], -1, Err(BuildError::Timestamp(-1)));
    check(b"m", &[], 3_600_006, Err(BuildError::Span(3_600_001)));
    check(b"m", &[(b"k", b"")], 5, Ok(()));
    let tags: [(&str, &str); 0] = [];
    let mixed = builder.point_with_count("m", &tags, 5, 0.0, 1);
    assert_eq!(mixed, Err(BuildError::MixedCounts));
    assert_eq!(validate(&builder.finish().unwrap()).unwrap().points, 2);
}
