//! Running an aggregation natively: the oracle of tests, and a reference to measure against.

use crate::payload::{Header, PayloadError};
use crate::{Aggregate, DecodeError, Message, Record, Records, Refusal};
use alloc::vec::Vec;
use core::fmt;

/// Why a native run has no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeError {
    /// The aggregation does not serve the rules.
    Refused(Refusal),
    /// The message's header is malformed.
    Header(PayloadError),
    /// The message could not be decoded.
    Decode(DecodeError),
}

impl fmt::Display for NativeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NativeError::Refused(refusal) => write!(f, "{refusal}"),
            NativeError::Header(error) => write!(f, "header: {error}"),
            NativeError::Decode(error) => write!(f, "message: {error:?}"),
        }
    }
}

impl core::error::Error for NativeError {}

/// One instance of an aggregation, reused from message to message.
pub struct Native<A> {
    aggregate: A,
    mirror: Vec<u8>,
    records: Records,
}

impl<A: Aggregate> Native<A> {
    /// An instance for the rules of a blob.
    pub fn new(rules: &[u8]) -> Result<Self, Refusal> {
        let aggregate = A::new(rules)?;
        Ok(Native {
            aggregate,
            mirror: Vec::new(),
            records: Records::new(),
        })
    }

    /// The partial records of a whole message.
    pub fn process(&mut self, payload: &[u8]) -> Result<&[Record], NativeError> {
        let header = Header::read(payload).map_err(NativeError::Header)?;
        let mut source = payload;
        self.records.clear();
        let mut message =
            Message::new(header, &mut source, &mut self.mirror).map_err(NativeError::Decode)?;
        self.aggregate
            .process(&mut message, &mut self.records)
            .map_err(NativeError::Decode)?;
        Ok(self.records.as_slice())
    }
}

/// The partial records of one message, from a fresh instance.
pub fn run_native<A: Aggregate>(rules: &[u8], payload: &[u8]) -> Result<Vec<Record>, NativeError> {
    let mut native = Native::<A>::new(rules).map_err(NativeError::Refused)?;
    native.process(payload).map(<[Record]>::to_vec)
}
