//! A message as the merge sees it: fingerprints of its tag-sets, and what group keys are made of.

use ratchet_codec::payload::{Header, Message, Strings};
use ratchet_codec::DecodeError;

use super::memo::Memo;
use super::series::{Series, SeriesTable, StringHasher};

/// Stands for a metric that no rule names.
const NO_METRIC: u32 = u32::MAX;
/// Stands for a metric that was not looked up yet.
const UNSEEN: u32 = u32::MAX - 1;
/// Told apart from a value's hash, a key's is not: a tag must differ from its mirror image.
const KEY: u64 = 0x9e37_79b9_7f4a_7c15;

/// Buffers that are kept from message to message.
#[derive(Default)]
pub struct Buffers {
    mirror: Vec<u8>,
    bounds: Vec<u32>,
    columns: Columns,
}

/// Decoded columns of one message.
#[derive(Default)]
struct Columns {
    key_ids: Vec<u32>,
    metric_ids: Vec<u32>,
    /// One a key: string id + 1 of the value in each tag-set, 0 = absent.
    keys: Vec<Vec<u32>>,
    /// By string id + 1; 0 stands for the absent one.
    hashes: Vec<Hash>,
    /// By tag-set.
    fingerprints: Vec<Hash>,
    /// Of each string: the metric that it names.
    metrics: Vec<u32>,
    scratch: Vec<u8>,
}

/// Two hashes of one text, or of one tag-set.
#[derive(Clone, Copy)]
struct Hash {
    low: u64,
    high: u64,
}

/// One message: its strings and its columns.
pub struct View<'a> {
    strings: Strings<'a>,
    columns: &'a mut Columns,
}

impl Buffers {
    /// Decodes a validated message and hands it to `use_view`.
    pub fn with_view<R>(
        &mut self,
        payload: &[u8],
        header: &Header,
        hasher: StringHasher,
        use_view: impl FnOnce(View<'_>) -> R,
    ) -> Result<R, DecodeError> {
        let mut source: &[u8] = payload;
        let mut message = Message::new(*header, &mut source, &mut self.mirror)?;
        message.pull_all()?;
        self.columns.load(&message)?;
        let strings = message.strings(&mut self.bounds)?;
        self.columns.hash(header, &strings, hasher);
        Ok(use_view(View {
            strings,
            columns: &mut self.columns,
        }))
    }
}

impl Columns {
    fn load(&mut self, message: &Message<'_>) -> Result<(), DecodeError> {
        let header = *message.header();
        message.metric_ids(&mut self.metric_ids)?;
        self.metrics.clear();
        self.metrics.resize(header.strings as usize, UNSEEN);
        message.key_ids(&mut self.key_ids)?;
        if self.keys.len() < self.key_ids.len() {
            self.keys.resize_with(self.key_ids.len(), Vec::new);
        }
        for (key, column) in (0..header.keys).zip(&mut self.keys) {
            message.key_column(key, column)?;
        }
        Ok(())
    }

    /// Hashes every string once, and folds the hashes of a tag-set's strings into its fingerprint:
    /// its metric's, and of every tag the product of key and value, where the halves of the product
    /// fall together.
    fn hash(&mut self, header: &Header, strings: &Strings<'_>, hasher: StringHasher) {
        self.hashes.clear();
        self.hashes.push(Hash { low: 0, high: 0 });
        let hashes = (0..header.strings).map(|id| Hash::of(hasher.hash(strings.get(id))));
        self.hashes.extend(hashes);
        let hashes = &self.hashes[..];
        self.fingerprints.clear();
        let metrics = self.metric_ids.iter().map(|id| hashes[*id as usize + 1]);
        self.fingerprints.extend(metrics);
        for (key, column) in self.key_ids.iter().zip(&self.keys) {
            let key = hashes[*key as usize + 1];
            for (fingerprint, value) in self.fingerprints.iter_mut().zip(column) {
                fingerprint.add(key, hashes[*value as usize]);
            }
        }
    }
}

impl Hash {
    #[inline]
    fn of(hash: u128) -> Self {
        Hash {
            low: hash as u64,
            high: (hash >> 64) as u64,
        }
    }

    /// Adds a tag, in any order. An absent value adds nothing.
    #[inline]
    fn add(&mut self, key: Hash, value: Hash) {
        let fold = |key: u64, value: u64| {
            let product = u128::from(key ^ KEY) * u128::from(value);
            product as u64 ^ (product >> 64) as u64
        };
        self.low = self.low.wrapping_add(fold(key.high, value.low));
        self.high = self.high.wrapping_add(fold(key.low, value.high));
    }

    #[inline]
    fn bits(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

impl View<'_> {
    /// Writes the series of those tag-sets that are known already.
    pub fn recognise(&mut self, table: &SeriesTable, out: &mut [Series]) {
        for (set, out) in out.iter_mut().enumerate() {
            if self.metric(set, table) != NO_METRIC {
                let known = table.get(self.columns.fingerprints[set].bits());
                *out = known.unwrap_or(*out);
            }
        }
    }

    /// The series of a tag-set in range, if a rule names its metric.
    pub fn series(
        &mut self,
        set: usize,
        table: &mut SeriesTable,
        memo: &mut Memo,
    ) -> Option<Series> {
        let metric = self.metric(set, table);
        let fingerprint = self.columns.fingerprints[set].bits();
        (metric != NO_METRIC).then(|| table.intern(fingerprint, metric, memo))
    }

    /// The metric of a tag-set in range, or `NO_METRIC`; looked up once a message.
    #[inline(always)]
    fn metric(&mut self, set: usize, table: &SeriesTable) -> u32 {
        let columns = &mut *self.columns;
        let id = columns.metric_ids[set] as usize;
        if columns.metrics[id] == UNSEEN {
            let metric = table.metric(columns.hashes[id + 1].bits());
            columns.metrics[id] = metric.unwrap_or(NO_METRIC);
        }
        columns.metrics[id]
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

#[cfg(test)]
mod tests {
    use super::*;
    use ratchet_codec::payload::validate;
    use ratchet_codec::payload::write::MessageBuilder;

    type Tags = &'static [(&'static str, &'static str)];

    /// The rows of each tag-set of one message, after those of all before.
    fn rows(table: &mut SeriesTable, memo: &mut Memo, sets: &[(&str, Tags)]) -> Vec<Option<u32>> {
        let mut builder = MessageBuilder::new();
        for (metric, tags) in sets {
            builder.point(metric, tags, 0, 1.0).unwrap();
        }
        let payload = builder.finish().unwrap();
        let header = validate(&payload).unwrap();
        let mut buffers = Buffers::default();
        let row = |view: &mut View<'_>, set, table: &mut SeriesTable, memo: &mut Memo| {
            view.series(set, table, memo).map(|series| series.row)
        };
        let hasher = table.hasher();
        let rows = buffers.with_view(&payload, &header, hasher, |mut view| {
            let sets = 0..sets.len();
            sets.map(|set| row(&mut view, set, table, memo)).collect()
        });
        rows.unwrap()
    }

    #[test]
    fn series_are_told_apart_and_known_again() {
        let mut table = SeriesTable::with_seed(7, 0);
        let (mut memo, metrics) = (Memo::new(100), ["cpu", "mem"]);
        for metric in metrics {
            table.intern_metric(metric.as_bytes());
        }
        memo.lay_out(0, vec![1, 1]);
        let sets: [(&str, Tags); 8] = [
            ("cpu", &[]),
            ("mem", &[]),
            ("cpu", &[("a", "b")]),
            ("cpu", &[("b", "a")]),
            ("cpu", &[("a", "b"), ("b", "a")]),
            ("cpu", &[("a", "a"), ("b", "b")]),
            ("net", &[("a", "b")]),
            ("mem", &[("a", "b")]),
        ];
        let first = rows(&mut table, &mut memo, &sets);
        let told = [0, 1, 2, 3, 4, 5].map(Some);
        assert_eq!(first[..6], told);
        assert_eq!(first[6..], [None, Some(6)]);
        for (set, row) in sets.iter().zip(first).rev() {
            assert_eq!(rows(&mut table, &mut memo, &[*set]), [row], "{set:?}");
        }
    }
}
