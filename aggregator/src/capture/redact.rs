//! Training copies of messages, without the series that are held back.

use bytes::Bytes;
use ratchet_codec::payload::write::{BuildError, MessageBuilder};
use ratchet_codec::payload::{Header, Message, Strings};
use ratchet_codec::DecodeError;

use super::split::SplitKey;
use crate::identity::Org;

#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    #[error("cannot decode the message: {0:?}")]
    Decode(DecodeError),
    #[error("cannot encode the copy: {0}")]
    Encode(#[from] BuildError),
}

impl From<DecodeError> for RedactError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

/// Columns of a message, with buffers kept between messages.
#[derive(Default)]
pub struct Redactor {
    mirror: Vec<u8>,
    bounds: Vec<u32>,
    key_ids: Vec<u32>,
    metric_ids: Vec<u32>,
    set_ids: Vec<u32>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
    keys: Vec<Vec<u32>>,
}

impl Redactor {
    /// The message without the points of held-back series; `None` when nothing is left.
    pub fn redact(
        &mut self,
        payload: &Bytes,
        header: &Header,
        org: &Org,
        key: &SplitKey,
    ) -> Result<Option<Bytes>, RedactError> {
        let mut source: &[u8] = payload;
        let mut message = Message::new(*header, &mut source, &mut self.mirror)?;
        message.pull_all()?;
        message.key_ids(&mut self.key_ids)?;
        message.metric_ids(&mut self.metric_ids)?;
        message.set_ids(&mut self.set_ids)?;
        message.timestamps(&mut self.timestamps)?;
        message.values(&mut self.values)?;
        self.keys.resize_with(header.keys as usize, Vec::new);
        for (key_index, column) in self.keys.iter_mut().enumerate() {
            message.key_column(key_index as u32, column)?;
        }
        let strings = message.strings(&mut self.bounds)?;
        let sets: Vec<_> = (0..header.sets as usize)
            .map(|set| TagSet::read(set, &strings, &self.metric_ids, &self.key_ids, &self.keys))
            .collect();
        let kept: Vec<bool> = sets
            .iter()
            .map(|s| !key.holds_back(org, &s.identity()))
            .collect();
        if kept.iter().all(|kept| *kept) {
            return Ok(Some(payload.clone()));
        }
        let mut builder = MessageBuilder::new();
        let points = self.set_ids.iter().zip(&self.timestamps).zip(&self.values);
        for ((set, ts), value) in points.filter(|((set, _), _)| kept[**set as usize]) {
            let set = &sets[*set as usize];
            builder.point(set.metric, &set.tags, *ts, *value)?;
        }
        if builder.is_empty() {
            return Ok(None);
        }
        Ok(Some(builder.finish()?.into()))
    }
}

/// A metric and its tags in order of keys.
struct TagSet<'a> {
    metric: &'a [u8],
    tags: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> TagSet<'a> {
    fn read(
        set: usize,
        strings: &Strings<'a>,
        metric_ids: &[u32],
        key_ids: &[u32],
        keys: &[Vec<u32>],
    ) -> Self {
        let present = keys
            .iter()
            .zip(key_ids)
            .filter(|(column, _)| column[set] != 0);
        let tag =
            |(column, id): (&Vec<u32>, &u32)| (strings.get(*id), strings.get(column[set] - 1));
        Self {
            metric: strings.get(metric_ids[set]),
            tags: present.map(tag).collect(),
        }
    }

    /// Unambiguous bytes: every text goes after its length.
    fn identity(&self) -> Vec<u8> {
        let tags = self.tags.iter().flat_map(|(key, value)| [*key, *value]);
        let mut out = Vec::new();
        for text in std::iter::once(self.metric).chain(tags) {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use ratchet_codec::payload::validate;

    use super::*;

    #[test]
    fn held_back_series_leave_no_point() {
        let key = SplitKey::new(&[3; 32]).unwrap();
        let org = Org::parse("acme").unwrap();
        let mut builder = MessageBuilder::new();
        for i in 0..200u32 {
            let host = format!("h{}", i % 50);
            let tags = [("host", host.as_str())];
            builder
                .point("cpu", &tags, 1_000 + i64::from(i), f64::from(i))
                .unwrap();
        }
        let payload = Bytes::from(builder.finish().unwrap());
        let header = validate(&payload).unwrap();
        let mut redactor = Redactor::default();
        let copy = redactor
            .redact(&payload, &header, &org, &key)
            .unwrap()
            .unwrap();
        let left = validate(&copy).unwrap();
        assert!(left.sets < 50 && left.points == left.sets * 4, "{left:?}");
        // What was removed stays removed: a second pass finds nothing to hold back.
        assert_eq!(
            redactor.redact(&copy, &left, &org, &key).unwrap(),
            Some(copy)
        );
    }
}
