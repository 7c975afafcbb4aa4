//! Whether the codec and the naive reader say the same of some bytes.

use crate::naive::reader::{self, Content};
use ratchet_codec::payload::{validate, Column, Header, Message, PayloadError};
use ratchet_codec::DecodeError;

/// Checks that both accept the bytes or both refuse them, and that they read the same; answers
/// what the codec said. Whatever the bytes are, every decoder is called: none may panic.
pub fn agree(bytes: &[u8]) -> Result<Header, PayloadError> {
    let (naive, ours) = (reader::read(bytes), validate(bytes));
    let whole = decode(bytes, Pulls::Whole);
    let parts = decode(bytes, Pulls::Parts);
    match (&naive, &ours) {
        (Ok(content), Ok(header)) => {
            assert_eq!(Header::read(bytes), Ok(*header), "{}", hex(bytes));
            assert_eq!(whole.as_ref(), Ok(content), "{}", hex(bytes));
            assert_eq!(parts.as_ref(), Ok(content), "{}", hex(bytes));
        }
        (Err(_), Err(_)) => {}
        (naive, ours) => panic!("naive: {naive:?}\nours: {ours:?}\n{}", hex(bytes)),
    }
    ours
}

/// The bytes as the corpus of malformed messages has them.
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = bytes.chunks(32).map(line).collect();
    lines.join("\n")
}

#[derive(Clone, Copy)]
enum Pulls {
    Whole,
    /// The prefix, then every other column by itself.
    Parts,
}

/// All columns, as far as there are any, of bytes that may be anything.
fn decode(bytes: &[u8], pulls: Pulls) -> Result<Content, DecodeError> {
    let header = Header::read(bytes).map_err(|_| DecodeError::Truncated)?;
    let mut source = bytes;
    // What an older message left behind must not show.
    let mut mirror = vec![0xa5; 64 + bytes.len() / 2];
    let mut message = Message::new(header, &mut source, &mut mirror)?;
    match pulls {
        Pulls::Whole => message.pull_all()?,
        Pulls::Parts => {
            message.pull_prefix()?;
            for column in rest(&header) {
                message.pull(column, column)?;
            }
        }
    }
    content(&header, &message)
}

fn rest(header: &Header) -> impl Iterator<Item = Column> {
    use Column::{Counts, MetricIds, SetIds, Timestamps, Values};
    let fixed = [MetricIds, SetIds, Timestamps, Values, Counts];
    fixed.into_iter().chain((0..header.keys).map(Column::Key))
}

/// Decodes every column, whether or not those before it could be; then says of the first that
/// could not. Buffers begin with what an older message might have left in them.
fn content(header: &Header, message: &Message<'_>) -> Result<Content, DecodeError> {
    let ids = |decode: &dyn Fn(&mut Vec<u32>) -> Result<(), DecodeError>, count: u32| {
        let mut out = vec![77; 5];
        decode(&mut out)?;
        assert_eq!(out.len(), count as usize);
        Ok(out)
    };
    let mut bounds = vec![9; 3];
    let strings = message.strings(&mut bounds).map(|strings| {
        assert_eq!(strings.len(), header.strings as usize);
        let all: Vec<Vec<u8>> = strings.iter().map(<[u8]>::to_vec).collect();
        let by_id = |id: usize| strings.get(id as u32).to_vec();
        assert_eq!((0..all.len()).map(by_id).collect::<Vec<_>>(), all);
        assert!(strings.get(header.strings).is_empty() && strings.get(u32::MAX).is_empty());
        all
    });
    let key_ids = ids(&|out| message.key_ids(out), header.keys);
    let metric_ids = ids(&|out| message.metric_ids(out), header.sets);
    let set_ids = ids(&|out| message.set_ids(out), header.points);
    let counts = ids(&|out| message.counts(out), header.points);
    let (mut timestamps, mut values) = (vec![7; 3], vec![7.0; 3]);
    let timestamps = message.timestamps(&mut timestamps).map(|()| timestamps);
    let values = message.values(&mut values).map(|()| values);
    let key = |key: u32| ids(&|out| message.key_column(key, out), header.sets);
    let keys: Vec<Result<Vec<u32>, DecodeError>> = (0..header.keys).map(key).collect();
    assert!(message.key_column(header.keys, &mut Vec::new()).is_err());
    Ok(Content {
        min_ts: header.min_ts,
        max_ts: header.max_ts,
        strings: strings?,
        key_ids: key_ids?,
        metric_ids: metric_ids?,
        set_ids: set_ids?,
        timestamps: timestamps?,
        values: values?.iter().map(|value| value.to_bits()).collect(),
        // No message has none of its points counted, so the codec needs no word for that.
        counts: counts.ok(),
        keys: keys.into_iter().collect::<Result<_, _>>()?,
    })
}
