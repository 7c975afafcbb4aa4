//! Reading a blob from front to back.

use crate::{Problem, RulesError, MAX_TEXT_LEN};
use alloc::boxed::Box;

/// A place in a blob.
pub(crate) struct Cursor<'a> {
    blob: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(blob: &'a [u8]) -> Self {
        Cursor { blob, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.blob.len() - self.at
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RulesError> {
        self.array().map(|[b]| b)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, RulesError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RulesError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RulesError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// A string of any length and content.
    pub(crate) fn raw(&mut self) -> Result<&'a [u8], RulesError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A string of 1 to 200 bytes of UTF-8.
    pub(crate) fn text(&mut self) -> Result<Box<[u8]>, RulesError> {
        let at = self.at;
        let text = self.raw()?;
        if text.is_empty() || text.len() > MAX_TEXT_LEN {
            return Err(RulesError {
                at,
                problem: Problem::TextLength(text.len()),
            });
        }
        if core::str::from_utf8(text).is_err() {
            return Err(RulesError {
                at,
                problem: Problem::Text(text.into()),
            });
        }
        Ok(text.into())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RulesError> {
        if self.left() < len {
            return Err(RulesError {
                at: self.at,
                problem: Problem::Truncated(len),
            });
        }
        let bytes = &self.blob[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }
}
