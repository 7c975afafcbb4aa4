//! Step-wise decoding: bytes are pulled in ranges of columns, then decoded column by column.

use super::{Column, Header, Strings, HEADER_LEN, MAX_KEYS, MAX_LEN, SPARSE, TAIL_LEN};
use crate::bytes::read_u32;
use crate::error::DecodeError;
use crate::streamvbyte::{decode, Decoder};
use crate::zigzag;
use alloc::vec::Vec;

/// Where the bytes of a message come from.
pub trait Source {
    /// Fills `into` with the bytes from `offset` on.
    ///
    /// Errors: [`DecodeError::Truncated`] when the message ends before that.
    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), DecodeError>;
}

impl Source for &[u8] {
    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), DecodeError> {
        let rest = self.get(offset as usize..).ok_or(DecodeError::Truncated)?;
        let bytes = rest.get(..into.len()).ok_or(DecodeError::Truncated)?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

/// A bit for each possible column.
type Columns = [u64; COLUMN_WORDS];
const COLUMN_WORDS: usize = (super::FIXED_COLUMNS + MAX_KEYS as usize).div_ceil(64);

/// One message, as far as its bytes have been pulled.
///
/// Every decoder clears and fills the buffer that it is given, and answers
/// [`DecodeError::Truncated`] when the column was not pulled or is shorter than its header says.
pub struct Message<'a> {
    header: Header,
    source: &'a mut dyn Source,
    /// Bytes of the message at their own offsets. It outlives the message, to be used again, so
    /// what was not pulled holds bytes of older messages: `pulled` keeps them out of sight.
    mirror: &'a mut Vec<u8>,
    pulled: Columns,
}

impl<'a> Message<'a> {
    /// A message none of whose bytes are pulled yet. `mirror` may be reused for the next message.
    ///
    /// Errors: [`DecodeError::Overflow`] when the header exceeds the limits of the format.
    pub fn new(
        header: Header,
        source: &'a mut dyn Source,
        mirror: &'a mut Vec<u8>,
    ) -> Result<Self, DecodeError> {
        let fits = header.len <= MAX_LEN && header.keys <= MAX_KEYS;
        if !fits || header.prefix > header.len || header.table_end() > header.prefix as usize {
            return Err(DecodeError::Overflow);
        }
        if mirror.len() < header.len as usize {
            mirror.resize(header.len as usize, 0);
        }
        Ok(Message {
            header,
            source,
            mirror,
            pulled: [0; COLUMN_WORDS],
        })
    }

    /// What the header says.
    #[inline]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Pulls the whole message in one read.
    pub fn pull_all(&mut self) -> Result<(), DecodeError> {
        self.read(0, self.header.len as usize)?;
        self.pulled = [u64::MAX; COLUMN_WORDS];
        Ok(())
    }

    /// Pulls header, column table, dictionary and key ids in one read.
    pub fn pull_prefix(&mut self) -> Result<(), DecodeError> {
        self.read(0, self.header.prefix as usize)?;
        self.mark(0, Column::KeyIds.index());
        Ok(())
    }

    /// Pulls the columns from `first` to `last`, which lie side by side, in one read. The prefix
    /// must have been pulled before.
    pub fn pull(&mut self, first: Column, last: Column) -> Result<(), DecodeError> {
        let (from, to) = (first.index(), last.index());
        if from > to || !self.is_pulled(Column::KeyIds.index()) {
            return Err(DecodeError::Truncated);
        }
        let (start, _, _) = self.entry(from)?;
        let (_, end, _) = self.entry(to)?;
        self.read(start, end)?;
        self.mark(from, to);
        Ok(())
    }

    /// Decodes the dictionary. `bounds` is a buffer for the offsets of the strings.
    pub fn strings<'s>(&'s self, bounds: &'s mut Vec<u32>) -> Result<Strings<'s>, DecodeError> {
        let count = self.header.strings as usize;
        let (start, end, _) = self.pulled_entry(Column::StringBytes)?;
        let (at, to, _) = self.pulled_entry(Column::StringLengths)?;
        self.check_count(count, at, to)?;
        bounds.resize(count + 1, 0);
        bounds[0] = 0;
        self.run(at, to, count, &mut bounds[1..])?;
        Strings::new(&self.mirror[start..end], bounds)
    }

    /// The string id of each key, in the order of the key columns.
    pub fn key_ids(&self, out: &mut Vec<u32>) -> Result<(), DecodeError> {
        self.ids(Column::KeyIds, self.header.keys, out)
    }

    /// The string id of each tag-set's metric.
    pub fn metric_ids(&self, out: &mut Vec<u32>) -> Result<(), DecodeError> {
        self.ids(Column::MetricIds, self.header.sets, out)
    }

    /// The tag-set of each point.
    pub fn set_ids(&self, out: &mut Vec<u32>) -> Result<(), DecodeError> {
        self.ids(Column::SetIds, self.header.points, out)
    }

    /// How many points each point stands for: in aggregated output only.
    pub fn counts(&self, out: &mut Vec<u32>) -> Result<(), DecodeError> {
        self.ids(Column::Counts, self.header.points, out)
    }

    /// The timestamp of each point, in milliseconds since the epoch.
    pub fn timestamps(&self, out: &mut Vec<i64>) -> Result<(), DecodeError> {
        let count = self.header.points as usize;
        let (at, to, _) = self.pulled_entry(Column::Timestamps)?;
        self.check_count(count, at, to)?;
        out.clear();
        out.reserve(count);
        let (control, mut data, room) = self.streams(at, to, count)?;
        let mut decoder = Decoder::new(control, count)?;
        let mut last = self.header.min_ts;
        let mut block = [0u32; 128];
        while decoder.remaining() > 0 {
            let before = decoder.data_offset();
            let n = decoder.next_block(data, &mut block)?;
            data = &data[decoder.data_offset() - before..];
            out.extend(block[..n].iter().map(|&code| {
                last = last.wrapping_add(zigzag::decode(u64::from(code)));
                last
            }));
        }
        if decoder.data_offset() == room {
            Ok(())
        } else {
            Err(DecodeError::Truncated)
        }
    }

    /// The value of each point, bit for bit.
    pub fn values(&self, out: &mut Vec<f64>) -> Result<(), DecodeError> {
        let (start, end, _) = self.pulled_entry(Column::Values)?;
        if end - start != 8 * self.header.points as usize {
            return Err(DecodeError::Truncated);
        }
        out.clear();
        out.extend(
            self.mirror[start..end]
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
        );
        Ok(())
    }

    /// The value of key `key` in each tag-set, as its string id + 1; 0 where the tag is absent.
    /// Dense and sparse columns look alike.
    pub fn key_column(&self, key: u32, out: &mut Vec<u32>) -> Result<(), DecodeError> {
        if key >= self.header.keys {
            return Err(DecodeError::Truncated);
        }
        let (start, end, sparse) = self.pulled_entry(Column::Key(key))?;
        if sparse {
            return self.sparse(start, end, out);
        }
        let count = self.header.sets as usize;
        self.check_count(count, start, end)?;
        out.resize(count, 0);
        self.run(start, end, count, out)
    }

    /// A key column in sparse form: pairs of a gap in tag-sets and a string id + 1.
    fn sparse(&self, start: usize, end: usize, out: &mut Vec<u32>) -> Result<(), DecodeError> {
        let pairs = read_u32(&self.mirror[..end], start)?;
        let sets = self.header.sets;
        if pairs > sets {
            return Err(DecodeError::NoRoom);
        }
        let count = 2 * pairs as usize;
        out.clear();
        out.resize(sets as usize, 0);
        let (control, mut data, room) = self.streams(start + 4, end, count)?;
        let mut decoder = Decoder::new(control, count)?;
        let mut set: u64 = 0;
        let mut block = [0u32; 128];
        while decoder.remaining() > 0 {
            let before = decoder.data_offset();
            let n = decoder.next_block(data, &mut block)?;
            data = &data[decoder.data_offset() - before..];
            // A block is filled unless the run ends, so it holds whole pairs when data are whole.
            for pair in block[..n].chunks_exact(2) {
                set += u64::from(pair[0]);
                *out.get_mut(set as usize).ok_or(DecodeError::NoRoom)? = pair[1];
            }
        }
        if decoder.data_offset() == room {
            Ok(())
        } else {
            Err(DecodeError::Truncated)
        }
    }

    fn ids(&self, column: Column, count: u32, out: &mut Vec<u32>) -> Result<(), DecodeError> {
        let (start, end, _) = self.pulled_entry(column)?;
        self.check_count(count as usize, start, end)?;
        out.resize(count as usize, 0);
        self.run(start, end, count as usize, out)
    }

    /// Decodes `count` values from the column at `start..end`, all of it.
    fn run(
        &self,
        start: usize,
        end: usize,
        count: usize,
        out: &mut [u32],
    ) -> Result<(), DecodeError> {
        let (control, data, room) = self.streams(start, end, count)?;
        if decode(control, data, count, out)? == room {
            Ok(())
        } else {
            Err(DecodeError::Truncated)
        }
    }

    /// The control and data streams of `count` values at `start..end`, and how many data bytes are
    /// the column's own. The slice is longer where it can be: the decoder may then load freely.
    fn streams(
        &self,
        start: usize,
        end: usize,
        count: usize,
    ) -> Result<(&[u8], &[u8], usize), DecodeError> {
        let split = start + count.div_ceil(4);
        if split > end {
            return Err(DecodeError::Truncated);
        }
        let slack = (end + TAIL_LEN).min(self.mirror.len());
        Ok((
            &self.mirror[start..split],
            &self.mirror[split..slack],
            end - split,
        ))
    }

    /// Refuses a count that so many bytes cannot hold, before a buffer is made for it.
    fn check_count(&self, count: usize, start: usize, end: usize) -> Result<(), DecodeError> {
        if end - start < count {
            Err(DecodeError::Truncated)
        } else {
            Ok(())
        }
    }

    /// Start and end of a column, and whether it is sparse, if its bytes were pulled.
    fn pulled_entry(&self, column: Column) -> Result<(usize, usize, bool), DecodeError> {
        let index = column.index();
        if !self.is_pulled(index) {
            return Err(DecodeError::Truncated);
        }
        self.entry(index)
    }

    /// Start and end of a column within the message, and whether it is sparse, from the table.
    fn entry(&self, index: usize) -> Result<(usize, usize, bool), DecodeError> {
        if index >= self.header.columns() {
            return Err(DecodeError::Truncated);
        }
        let start = read_u32(self.mirror, HEADER_LEN + 8 * index)? as usize;
        let length = read_u32(self.mirror, HEADER_LEN + 8 * index + 4)?;
        // Both are below 2^32 and 2^31: checked, because a guest's usize has 32 bits.
        let end = start
            .checked_add((length & !SPARSE) as usize)
            .ok_or(DecodeError::Truncated)?;
        if end > self.header.len as usize {
            return Err(DecodeError::Truncated);
        }
        Ok((start, end, length & SPARSE != 0))
    }

    fn read(&mut self, start: usize, end: usize) -> Result<(), DecodeError> {
        let into = self
            .mirror
            .get_mut(start..end)
            .ok_or(DecodeError::Truncated)?;
        self.source.read(start as u32, into)
    }

    fn mark(&mut self, first: usize, last: usize) {
        for index in first..=last {
            self.pulled[index / 64] |= 1 << (index % 64);
        }
    }

    fn is_pulled(&self, index: usize) -> bool {
        self.pulled
            .get(index / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}
