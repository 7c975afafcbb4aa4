//! Fields of a protobuf message, read in place: nothing is copied and nothing is allocated.
//!
//! Remote write is the hot path, and its messages are small and flat; generated types would
//! allocate two strings a label. Total: whatever the bytes, a field or an error.

/// The bytes are no protobuf message of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the message ends inside a field")]
    Cut,
    #[error("a number has more than ten bytes")]
    Varint,
    #[error("field number 0 or a wire type that is not used")]
    Tag,
    #[error("field {0} has another wire type than it should")]
    Type(u32),
    #[error("{0}")]
    Content(&'static str),
}

/// One field's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// What is left of a message.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next field and its number; `None` at the end.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed::Tag)?;
        if number == 0 {
            return Err(Malformed::Tag);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.take()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Cut)?;
                let (head, rest) = self.bytes.split_at_checked(length).ok_or(Malformed::Cut)?;
                self.bytes = rest;
                Value::Bytes(head)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.take()?)),
            _ => return Err(Malformed::Tag),
        };
        Ok(Some((number, value)))
    }

    /// The next number of a packed field; `None` at the end.
    #[inline]
    pub fn packed_varint(&mut self) -> Result<Option<u64>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    /// The next double of a packed field; `None` at the end.
    pub fn packed_double(&mut self) -> Result<Option<f64>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(f64::from_le_bytes(*self.take()?)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (n, &byte) in self.bytes.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte < 0x80 {
                self.bytes = &self.bytes[n + 1..];
                return Ok(value);
            }
        }
        Err(if self.bytes.len() < 10 {
            Malformed::Cut
        } else {
            Malformed::Varint
        })
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (head, rest) = self.bytes.split_first_chunk().ok_or(Malformed::Cut)?;
        self.bytes = rest;
        Ok(head)
    }
}

impl<'a> Value<'a> {
    /// The content of a message, a string or a packed field.
    #[inline]
    pub fn bytes(self, field: u32) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::Type(field)),
        }
    }

    #[inline]
    pub fn varint(self, field: u32) -> Result<u64, Malformed> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(Malformed::Type(field)),
        }
    }

    #[inline]
    pub fn double(self, field: u32) -> Result<f64, Malformed> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Malformed::Type(field)),
        }
    }
}

/// The number of a zigzag code.
pub fn zigzag(code: u64) -> i64 {
    (code >> 1) as i64 ^ -((code & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut found = Vec::new();
        while let Some(field) = reader.field()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn fields_of_every_type_and_what_is_malformed() {
        let check = |bytes: &[u8], expected: Result<Vec<(u32, Value<'_>)>, Malformed>| {
            assert_eq!(fields(bytes), expected, "{bytes:?}");
        };
        check(&[], Ok(vec![]));
        check(&[0x08, 0x96, 0x01], Ok(vec![(1, Value::Varint(150))]));
        check(
            &[0x12, 2, b'a', b'b', 0x1d, 1, 0, 0, 0],
            Ok(vec![(2, Value::Bytes(b"ab")), (3, Value::Fixed32(1))]),
        );
        check(
            &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
            Ok(vec![(1, Value::Fixed64(1.0f64.to_bits()))]),
        );
        let most = [&[0x08][..], &[0xff; 9], &[1]].concat();
        check(&most, Ok(vec![(1, Value::Varint(u64::MAX))]));
        check(&[0x08], Err(Malformed::Cut));
        check(&[0x08, 0x80], Err(Malformed::Cut));
        check(&[0x12, 3, b'a'], Err(Malformed::Cut));
        check(&[0x09, 0, 0], Err(Malformed::Cut));
        check(&[&[0x08][..], &[0xff; 10]].concat(), Err(Malformed::Varint));
        check(&[0x00, 0], Err(Malformed::Tag));
        check(&[0x0b, 0x0c], Err(Malformed::Tag));
        let huge = [&[0x12][..], &[0xff; 9], &[1]].concat();
        check(&huge, Err(Malformed::Cut));
    }

    #[test]
    fn zigzag_codes() {
        for (code, number) in [(0, 0), (1, -1), (2, 1), (u64::MAX, i64::MIN)] {
            assert_eq!(zigzag(code), number);
        }
    }
}
