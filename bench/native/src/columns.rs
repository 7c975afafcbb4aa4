//! The columns of a message that a kernel looks at.

use ratchet_api::{DecodeError, Message};
use ratchet_codec::payload::Strings;

pub(crate) const ABSENT: u32 = 0;
pub(crate) const NONE: u32 = u32::MAX;

/// Decoded columns, kept from message to message.
#[derive(Default)]
pub(crate) struct Columns {
    pub ids: Vec<u32>,
    /// Per tag-set: its metric among the kernel's, or none.
    pub metric: Vec<u32>,
    pub sets: Vec<u32>,
    pub values: Vec<f64>,
    /// Per key of the kernel: the string id + 1 of each tag-set; empty when no tag-set has the key.
    pub keys: Vec<Vec<u32>>,
}

impl Columns {
    pub fn new(keys: usize) -> Self {
        Columns {
            keys: vec![Vec::new(); keys],
            ..Columns::default()
        }
    }

    /// `keys` and `metrics` ascend.
    pub fn decode(
        &mut self,
        message: &Message<'_>,
        strings: &Strings<'_>,
        keys: &[Box<[u8]>],
        metrics: &[Box<[u8]>],
    ) -> Result<(), DecodeError> {
        message.set_ids(&mut self.sets)?;
        message.values(&mut self.values)?;
        message.key_ids(&mut self.ids)?;
        let mut ids = self.ids.iter().enumerate().peekable();
        for (key, column) in keys.iter().zip(&mut self.keys) {
            column.clear();
            while ids.next_if(|(_, &id)| strings.get(id) < &**key).is_some() {}
            if let Some((at, _)) = ids.next_if(|(_, &id)| strings.get(id) == &**key) {
                message.key_column(at as u32, column)?;
            }
        }
        message.metric_ids(&mut self.metric)?;
        let sets = self.metric.len();
        if self.sets.iter().any(|&set| set as usize >= sets) {
            return Err(DecodeError::Overflow);
        }
        let (mut last, mut found) = (NONE, NONE);
        for metric in &mut self.metric {
            if *metric != last {
                last = *metric;
                let name = strings.get(last);
                let place = metrics.binary_search_by(|known| (**known).cmp(name));
                found = place.map_or(NONE, |at| at as u32);
            }
            *metric = found;
        }
        Ok(())
    }
}
