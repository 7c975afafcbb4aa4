//! A message as the merge sees it: dictionary hashes and tag columns, decoded once.

use ratchet_codec::payload::{Column, Header, Message, Strings};
use ratchet_codec::DecodeError;

use super::series::{Series, SeriesTable};

/// Stands for a series that was not looked up yet.
const UNRESOLVED: Series = Series {
    metric: NO_METRIC,
    id: 0,
};
/// Stands for a metric that no rule names.
const NO_METRIC: u32 = u32::MAX;
/// Stands for a metric that was not looked up yet.
const UNSEEN: u32 = u32::MAX - 1;

/// Buffers that are kept from message to message.
#[derive(Default)]
pub struct Buffers {
    pub mirror: Vec<u8>,
    pub bounds: Vec<u32>,
    columns: Columns,
}

/// Decoded columns of one message.
#[derive(Default)]
pub struct Columns {
    key_ids: Vec<u32>,
    metric_ids: Vec<u32>,
    /// One a key: string id + 1 of the value in each tag-set, 0 = absent.
    keys: Vec<Vec<u32>>,
    string_hashes: Vec<u128>,
    /// Of each string: the metric that it names.
    metrics: Vec<u32>,
    series: Vec<Series>,
    scratch: Vec<u8>,
}

/// One message: its strings and its columns.
pub struct View<'a> {
    strings: Strings<'a>,
    columns: &'a mut Columns,
}

impl Buffers {
    /// Decodes a validated message and hands it to `use_view`; its tags only when series have to be
    /// told apart.
    pub fn with_view<R>(
        &mut self,
        payload: &[u8],
        header: &Header,
        with_tags: bool,
        use_view: impl FnOnce(View<'_>) -> R,
    ) -> Result<R, DecodeError> {
        let mut source: &[u8] = payload;
        let mut message = Message::new(*header, &mut source, &mut self.mirror)?;
        if with_tags {
            message.pull_all()?;
        } else {
            message.pull_prefix()?;
            message.pull(Column::MetricIds, Column::MetricIds)?;
        }
        self.columns.load(&message, with_tags)?;
        let strings = message.strings(&mut self.bounds)?;
        Ok(use_view(View {
            strings,
            columns: &mut self.columns,
        }))
    }
}

impl Columns {
    fn load(&mut self, message: &Message<'_>, with_tags: bool) -> Result<(), DecodeError> {
        let header = *message.header();
        message.metric_ids(&mut self.metric_ids)?;
        self.metrics.clear();
        self.metrics.resize(header.strings as usize, UNSEEN);
        self.series.clear();
        self.series.resize(header.sets as usize, UNRESOLVED);
        if !with_tags {
            return Ok(());
        }
        let keys = header.keys as usize;
        message.key_ids(&mut self.key_ids)?;
        if self.keys.len() < keys {
            self.keys.resize_with(keys, Vec::new);
        }
        for (key, column) in self.keys[..keys].iter_mut().enumerate() {
            message.key_column(key as u32, column)?;
        }
        self.string_hashes.clear();
        self.string_hashes.resize(header.strings as usize, 0);
        Ok(())
    }
}

impl View<'_> {
    pub fn sets(&self) -> usize {
        self.columns.series.len()
    }

    /// The number of a tag-set's series when it was looked up before and is of this metric.
    #[inline]
    pub fn known(&self, set: usize, metric: u32) -> Option<u32> {
        let series = self.columns.series.get(set)?;
        (series.metric == metric).then_some(series.id)
    }

    /// The metric of a tag-set, if a rule names it; `set` is in range.
    #[inline]
    pub fn metric(&mut self, set: usize, table: &SeriesTable) -> Option<u32> {
        let id = self.columns.metric_ids[set] as usize;
        if self.columns.metrics[id] == UNSEEN {
            let hash = table.hash(self.strings.get(id as u32));
            self.columns.metrics[id] = table.metric(hash).unwrap_or(NO_METRIC);
        }
        let metric = self.columns.metrics[id];
        (metric != NO_METRIC).then_some(metric)
    }

    /// The series of a tag-set, which is of this metric; `set` is in range.
    pub fn series(&mut self, set: usize, metric: u32, table: &mut SeriesTable) -> Series {
        if self.columns.series[set] == UNRESOLVED {
            let metric_hash = self.string_hash(self.columns.metric_ids[set], table);
            let fingerprint = self.fingerprint(set, metric_hash, table);
            self.columns.series[set] = table.intern(fingerprint, metric);
        }
        self.columns.series[set]
    }

    /// Keys come in ascending order, so equal tag-sets make equal bytes.
    fn fingerprint(&mut self, set: usize, metric_hash: u128, table: &SeriesTable) -> u128 {
        let mut scratch = std::mem::take(&mut self.columns.scratch);
        scratch.clear();
        scratch.extend_from_slice(&metric_hash.to_le_bytes());
        for key in 0..self.columns.key_ids.len() {
            let value = self.columns.keys[key][set];
            if value != 0 {
                let key_hash = self.string_hash(self.columns.key_ids[key], table);
                let value_hash = self.string_hash(value - 1, table);
                scratch.extend_from_slice(&key_hash.to_le_bytes());
                scratch.extend_from_slice(&value_hash.to_le_bytes());
            }
        }
        let fingerprint = table.hash(&scratch);
        self.columns.scratch = scratch;
        fingerprint
    }

    #[inline]
    fn string_hash(&mut self, id: u32, table: &SeriesTable) -> u128 {
        let known = self.columns.string_hashes[id as usize];
        if known != 0 {
            return known;
        }
        let hash = table.hash(self.strings.get(id));
        self.columns.string_hashes[id as usize] = hash;
        hash
    }

    /// The group of a tag-set: each group-by value as `u16 length + bytes`, absent = empty.
    pub fn group_key(&mut self, set: usize, group_by: &[Box<[u8]>]) -> &[u8] {
        let mut out = std::mem::take(&mut self.columns.scratch);
        out.clear();
        for key in group_by {
            let value = self.tag(set, key);
            out.extend_from_slice(&(value.len() as u16).to_le_bytes());
            out.extend_from_slice(value);
        }
        self.columns.scratch = out;
        &self.columns.scratch
    }

    /// The value of a tag, empty when absent. Keys are sorted, so they are found by bisection.
    fn tag(&self, set: usize, key: &[u8]) -> &[u8] {
        let ids = &self.columns.key_ids;
        let found = ids.binary_search_by(|id| self.strings.get(*id).cmp(key));
        match found.map(|column| self.columns.keys[column][set]) {
            Ok(value) if value != 0 => self.strings.get(value - 1),
            _ => &[],
        }
    }
}

/// The values of a group key, in the order of the rule's group-by.
pub fn group_values(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = key;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (value, tail) = tail.split_at_checked(u16::from_le_bytes(*length) as usize)?;
        rest = tail;
        Some(value)
    })
}
