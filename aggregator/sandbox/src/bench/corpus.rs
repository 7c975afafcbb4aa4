//! Files of captured messages: "RTC1", then of each message its length (u32) and its bytes.

use bytes::Bytes;
use thiserror::Error;

/// The first four bytes of a corpus.
pub const MAGIC: [u8; 4] = *b"RTC1";
/// The most messages of a corpus.
pub const MAX_MESSAGES: usize = 65_536;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CorpusError {
    #[error("not a corpus: it does not begin with \"RTC1\"")]
    Magic,
    #[error("message {at}: the corpus ends within it")]
    Truncated { at: usize },
    #[error("more than {MAX_MESSAGES} messages")]
    TooMany,
}

/// The messages of a corpus, slices of `file` itself. Payloads are not checked.
pub fn read(file: Bytes) -> Result<Vec<Bytes>, CorpusError> {
    let mut rest = match file.split_at_checked(MAGIC.len()) {
        Some((magic, rest)) if magic == MAGIC => rest,
        _ => return Err(CorpusError::Magic),
    };
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let at = messages.len();
        if at == MAX_MESSAGES {
            return Err(CorpusError::TooMany);
        }
        let truncated = CorpusError::Truncated { at };
        let (len, after) = rest.split_first_chunk().ok_or(truncated.clone())?;
        let len = u32::from_le_bytes(*len) as usize;
        let (message, after) = after.split_at_checked(len).ok_or(truncated)?;
        messages.push(file.slice_ref(message));
        rest = after;
    }
    Ok(messages)
}

/// A corpus of these messages.
pub fn write<'a>(messages: impl IntoIterator<Item = &'a Bytes>) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    for message in messages {
        file.extend((message.len() as u32).to_le_bytes());
        file.extend_from_slice(message);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let messages = [&b"one"[..], b"", b"three"].map(Bytes::from_static);
        assert_eq!(read(Bytes::from(write(&messages))), Ok(messages.to_vec()));
        assert_eq!(read(Bytes::from(write([]))), Ok(Vec::new()));
    }

    #[test]
    fn malformed() {
        let cases: [(&[u8], CorpusError); 5] = [
            (b"", CorpusError::Magic),
            (b"RTC", CorpusError::Magic),
            (b"RTC2\0\0\0\0", CorpusError::Magic),
            (b"RTC1\0\0\0", CorpusError::Truncated { at: 0 }),
            (b"RTC1\0\0\0\0\x02\0\0\0a", CorpusError::Truncated { at: 1 }),
        ];
        for (file, expected) in cases {
            assert_eq!(read(Bytes::from_static(file)), Err(expected), "{file:?}");
        }
    }
}
