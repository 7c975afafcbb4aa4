//! A message taken apart: series, and points that refer to them.

use ratchet_api::Message;
use ratchet_codec::payload::Header;
use ratchet_codec::DecodeError;

#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Never empty when there are points.
    pub series: Vec<Series>,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug)]
pub struct Series {
    pub metric: Vec<u8>,
    /// Keys are distinct, values not empty.
    pub tags: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Index of the series.
    pub series: usize,
    pub ts: i64,
    pub value: f64,
}

impl Series {
    /// Gives a tag a value, whether the series had the tag or not.
    pub fn set(&mut self, key: &[u8], value: &[u8]) {
        match self.tags.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.tags.push((key.to_vec(), value.to_vec())),
        }
    }
}

/// Takes a valid payload apart.
pub fn decode(payload: &[u8]) -> Result<Draft, DecodeError> {
    let header = Header::read(payload).map_err(|_| DecodeError::Truncated)?;
    let (mut source, mut mirror) = (payload, Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror)?;
    message.pull_all()?;
    let (mut bounds, mut ids) = (Vec::new(), Vec::new());
    let strings = message.strings(&mut bounds)?;
    let text = |id: u32| strings.get(id).to_vec();
    message.metric_ids(&mut ids)?;
    let mut series: Vec<Series> = ids
        .iter()
        .map(|&id| Series {
            metric: text(id),
            tags: Vec::new(),
        })
        .collect();
    message.key_ids(&mut ids)?;
    let mut column = Vec::new();
    for (key, &id) in ids.iter().enumerate() {
        message.key_column(key as u32, &mut column)?;
        for (series, &value) in series.iter_mut().zip(&column) {
            if let Some(value) = value.checked_sub(1) {
                series.tags.push((text(id), text(value)));
            }
        }
    }
    let (mut sets, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
    message.set_ids(&mut sets)?;
    message.timestamps(&mut times)?;
    message.values(&mut values)?;
    let points = sets.iter().zip(&times).zip(&values);
    let points = points.map(|((&set, &ts), &value)| Point {
        series: set as usize,
        ts,
        value,
    });
    Ok(Draft {
        points: points.collect(),
        series,
    })
}
