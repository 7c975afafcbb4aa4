//! The limit that modules are told against: the workloads A, B and C by hand, natively.
//!
//! Each takes the shape of its workload for granted and refuses other rules; what its own way does
//! not cover, messages of several windows or of very many tag-sets, goes to the baseline. The codec
//! is that of the guests, in its native form, which decodes without SIMD.

#![forbid(unsafe_code)]

mod a;
mod adding;
mod columns;
mod partition;
mod shapes;
mod tests;
mod tree;

pub use a::Services;
pub use shapes::{Dashboards, Dimensions};

use ratchet_api::{DecodeError, Message, Native, NativeError, Record, Refusal};
use ratchet_baseline::Baseline;
use ratchet_codec::payload::Header;

/// All of these workloads' windows.
const WINDOW_MS: i64 = 30_000;

/// One workload by hand.
pub trait Kernel: Sized {
    /// Refuses rules that are not its workload's.
    fn new(rules: &[ratchet_rules::Rule]) -> Result<Self, Refusal>;

    /// Appends the records of a message that lies within one window. `Ok(false)`: it is not one
    /// for this way, and nothing was appended.
    fn process(
        &mut self,
        message: &mut Message<'_>,
        out: &mut Vec<Record>,
    ) -> Result<bool, DecodeError>;
}

/// A kernel with its buffers, reused from message to message.
pub struct Limit<K> {
    kernel: K,
    mirror: Vec<u8>,
    records: Vec<Record>,
    baseline: Native<Baseline>,
}

impl<K: Kernel> Limit<K> {
    pub fn new(blob: &[u8]) -> Result<Self, Refusal> {
        let rules = ratchet_rules::parse(blob).map_err(|e| Refusal(e.problem.reason()))?;
        if rules.iter().any(|r| i64::from(r.window_ms) != WINDOW_MS) {
            return Err(Refusal("a window of another length"));
        }
        Ok(Limit {
            kernel: K::new(&rules)?,
            mirror: Vec::new(),
            records: Vec::new(),
            baseline: Native::new(blob)?,
        })
    }

    /// The partial records of a message that was validated.
    pub fn process(&mut self, payload: &[u8], header: &Header) -> Result<&[Record], NativeError> {
        if header.min_ts.div_euclid(WINDOW_MS) == header.max_ts.div_euclid(WINDOW_MS) {
            let mut source = payload;
            let mut message = Message::new(*header, &mut source, &mut self.mirror)
                .map_err(NativeError::Decode)?;
            self.records.clear();
            let done = self.kernel.process(&mut message, &mut self.records);
            if done.map_err(NativeError::Decode)? {
                return Ok(&self.records);
            }
        }
        self.baseline.process(payload)
    }
}
