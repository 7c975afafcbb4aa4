//! The points of a message, and in which window each lies.

use alloc::vec::Vec;
use ratchet_api::{DecodeError, Message};

/// All points, in the order of the message. Buffers are kept from message to message.
#[derive(Default)]
pub(crate) struct Points {
    pub sets: Vec<u32>,
    pub timestamps: Vec<i64>,
    pub values: Vec<f64>,
    /// One for each window length of the plan.
    pub clocks: Vec<Clock>,
}

/// Tells the window of a timestamp, for one window length.
pub(crate) struct Clock {
    start: i64,
    size: u32,
    /// Whether the message lies in one window.
    pub single: bool,
    pub now: u32,
}

impl Points {
    pub(crate) fn decode(
        &mut self,
        window_sizes: &[u32],
        message: &Message<'_>,
    ) -> Result<(), DecodeError> {
        message.set_ids(&mut self.sets)?;
        message.timestamps(&mut self.timestamps)?;
        message.values(&mut self.values)?;
        let header = message.header();
        self.clocks.clear();
        self.clocks.extend(window_sizes.iter().map(|&size| {
            let start = header.min_ts - header.min_ts % i64::from(size);
            Clock {
                start,
                size,
                single: header.max_ts < start + i64::from(size),
                now: 0,
            }
        }));
        Ok(())
    }
}

impl Clock {
    #[inline(always)]
    pub(crate) fn advance(&mut self, ts: i64) {
        if !self.single {
            self.now = (ts - self.start) as u32 / self.size;
        }
    }
}
