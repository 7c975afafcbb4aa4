//! Messages of series by number.

use std::sync::Arc;

use bytes::Bytes;
use ratchet_codec::payload::{
    FIXED_COLUMNS, HEADER_LEN, MAX_KEYS, MAX_LEN, MAX_POINTS, MAX_SETS, MAX_SPAN, MAX_STRINGS,
    MAX_TIMESTAMP, TAIL_LEN,
};

use super::catalog::{Catalog, Series};
use super::columns::{Facts, Writer};
use super::templates::Template;

/// Why a point is not taken. The message is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The message is full: finish it and begin another.
    Full,
    /// Its time fits no message, or not this one.
    Time,
}

/// What a number of the catalog is in the message; of another message unless the stamp is its own.
#[derive(Clone, Copy, Default)]
struct Mark {
    stamp: u32,
    local: u32,
}

/// One message at a time. Its buffers are kept for the next.
#[derive(Default)]
pub struct Composer {
    stamp: u32,
    /// The series so far, point by point.
    series: Vec<u32>,
    /// What the message is like, as long as its series are those of another one before: nothing of
    /// what follows up to `set_ids` is made then.
    template: Option<Arc<Template>>,
    /// By text: its number among the strings, and its column if it is a key.
    strings: Vec<Mark>,
    columns_of: Vec<Mark>,
    /// By tag-set: its number.
    sets: Vec<Mark>,
    /// By list of keys: where its columns lie.
    lists: Vec<Mark>,
    list_columns: Vec<u32>,
    lengths: Vec<u32>,
    text: Vec<u8>,
    /// Of each column its key, as a number of the catalog, and the values, one a tag-set.
    keys: Vec<u32>,
    columns: Vec<Vec<u32>>,
    metrics: Vec<u32>,
    pairs: usize,
    set_ids: Vec<u32>,
    times: Vec<i64>,
    values: Vec<u64>,
    min_ts: i64,
    max_ts: i64,
    scratch: Vec<u32>,
}

impl Composer {
    /// Begins a message of series of a catalog, which must stay as it is but for growing.
    pub fn begin(&mut self) {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            let marks = [&mut self.strings, &mut self.columns_of, &mut self.sets];
            marks.into_iter().for_each(Vec::clear);
            self.lists.clear();
            self.stamp = 1;
        }
        self.series.clear();
        self.template = None;
        self.list_columns.clear();
        self.lengths.clear();
        self.text.clear();
        self.keys.clear();
        self.metrics.clear();
        self.pairs = 0;
        self.set_ids.clear();
        self.times.clear();
        self.values.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The series that comes next if the message is as one before.
    pub fn expected(&self) -> Option<u32> {
        let template = self.template.as_ref()?;
        template.series.get(self.series.len()).copied()
    }

    pub fn point(
        &mut self,
        catalog: &Catalog,
        series: u32,
        ts: i64,
        value: f64,
    ) -> Result<(), Misfit> {
        let first = self.is_empty();
        let min_ts = if first { ts } else { self.min_ts.min(ts) };
        let max_ts = if first { ts } else { self.max_ts.max(ts) };
        if !(0..=MAX_TIMESTAMP).contains(&ts) || max_ts - min_ts > MAX_SPAN {
            return Err(Misfit::Time);
        }
        if first {
            self.template = catalog.templates().find(series);
        }
        // What fitted into that message fits into this one.
        if self.expected() != Some(series) {
            self.leave_template(catalog);
            self.check_room(catalog, series)?;
            self.place(catalog, series);
        }
        (self.min_ts, self.max_ts) = (min_ts, max_ts);
        self.series.push(series);
        self.times.push(ts);
        self.values.push(value.to_bits());
        Ok(())
    }

    /// The message of the points so far.
    pub fn finish(&mut self, catalog: &mut Catalog) -> Bytes {
        if let Some(template) = self.template.take() {
            if template.series.len() == self.series.len() {
                return self.finish_like(&template);
            }
            self.template = Some(template);
            self.leave_template(catalog);
        }
        let (facts, message) = self.finish_new(catalog);
        catalog.note(&self.series, &facts, &message);
        message.into()
    }

    fn finish_like(&mut self, template: &Template) -> Bytes {
        let mut writer = Writer::resume(&template.cut, self.times.len());
        writer.times(self.min_ts, &self.times, &mut self.scratch);
        writer.words(&self.values);
        writer.run(&[]);
        writer.rest(&template.cut);
        let facts = Facts {
            min_ts: self.min_ts,
            max_ts: self.max_ts,
            ..template.facts
        };
        writer.finish(&facts).into()
    }

    fn finish_new(&mut self, catalog: &Catalog) -> (Facts, Vec<u8>) {
        let sets = self.metrics.len();
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_unstable_by_key(|column| catalog.texts().get(self.keys[*column]));
        let ids: Vec<u32> = order
            .iter()
            .map(|column| self.strings[self.keys[*column] as usize].local)
            .collect();
        let rows = sets * (8 + 3 * ids.len()) + 16 * self.times.len();
        let mut writer = Writer::new(ids.len(), 1024 + self.text.len() + rows);
        writer.run(&self.lengths);
        writer.bytes(&self.text);
        writer.run(&ids);
        writer.run(&self.metrics);
        writer.run(&self.set_ids);
        writer.times(self.min_ts, &self.times, &mut self.scratch);
        writer.words(&self.values);
        writer.run(&[]);
        for column in order {
            let values = &mut self.columns[column];
            values.resize(sets, 0);
            writer.key(values, &mut self.scratch);
        }
        let facts = Facts {
            strings: self.lengths.len(),
            keys: ids.len(),
            sets,
            points: self.times.len(),
            min_ts: self.min_ts,
            max_ts: self.max_ts,
        };
        let message = writer.finish(&facts);
        (facts, message)
    }

    /// Makes what was not made while the message was as another one.
    fn leave_template(&mut self, catalog: &Catalog) {
        if self.template.take().is_none() {
            return;
        }
        for at in 0..self.series.len() {
            self.place(catalog, self.series[at]);
        }
    }

    fn place(&mut self, catalog: &Catalog, series: u32) {
        let (series, values) = catalog.series(series);
        let set = self.set(catalog, series, values);
        self.set_ids.push(set);
    }

    /// The builder's own rule of what fits, so that messages end where its messages do: all that
    /// could be new is taken as new.
    fn check_room(&self, catalog: &Catalog, series: u32) -> Result<(), Misfit> {
        let (series, values) = catalog.series(series);
        let tags = values.len();
        let strings = self.lengths.len() + 1 + 2 * tags;
        let sets = self.metrics.len() + 1;
        let points = self.times.len() + 1;
        let keys = self.keys.len() + self.new_keys(catalog, series.keys);
        let text = self.text.len() + series.text_bytes as usize;
        let per_column = 8 + 7 + 5;
        let fixed = HEADER_LEN + TAIL_LEN + per_column * (FIXED_COLUMNS + keys);
        let rows = 3 * strings + 4 * keys + 4 * sets + points * (4 + 5 + 8 + 5);
        let dense = keys * (4 * sets);
        let sparse = 7 * (self.pairs + tags) + 4 * keys;
        let full = strings > MAX_STRINGS as usize
            || keys > MAX_KEYS as usize
            || sets > MAX_SETS as usize
            || points > MAX_POINTS as usize
            || fixed + text + rows + dense.min(sparse) > MAX_LEN as usize;
        if full {
            return Err(Misfit::Full);
        }
        Ok(())
    }

    fn new_keys(&self, catalog: &Catalog, list: u32) -> usize {
        if self.local(&self.lists, list).is_some() {
            return 0;
        }
        let keys = catalog.key_lists()[list as usize].iter();
        keys.filter(|key| self.local(&self.columns_of, **key).is_none())
            .count()
    }

    #[inline]
    fn local(&self, marks: &[Mark], number: u32) -> Option<u32> {
        let mark = marks.get(number as usize)?;
        (mark.stamp == self.stamp).then_some(mark.local)
    }

    fn set(&mut self, catalog: &Catalog, series: &Series, values: &[u32]) -> u32 {
        if let Some(set) = self.local(&self.sets, series.set) {
            return set;
        }
        let set = self.metrics.len();
        mark(&mut self.sets, series.set, self.stamp, set);
        let metric = self.string(catalog, series.metric);
        self.metrics.push(metric);
        self.pairs += values.len();
        let list = self.local(&self.lists, series.keys);
        let from = list.map_or(self.list_columns.len(), |from| from as usize);
        for (place, value) in values.iter().enumerate() {
            if list.is_none() {
                let key = catalog.key_lists()[series.keys as usize][place];
                let column = self.column(catalog, key);
                self.list_columns.push(column);
            }
            let value = self.string(catalog, *value) + 1;
            let column = &mut self.columns[self.list_columns[from + place] as usize];
            if column.len() < set {
                column.resize(set, 0);
            }
            column.push(value);
        }
        if list.is_none() {
            mark(&mut self.lists, series.keys, self.stamp, from);
        }
        set as u32
    }

    #[inline]
    fn string(&mut self, catalog: &Catalog, text: u32) -> u32 {
        if let Some(string) = self.local(&self.strings, text) {
            return string;
        }
        let string = self.lengths.len();
        mark(&mut self.strings, text, self.stamp, string);
        let bytes = catalog.texts().get(text);
        self.lengths.push(bytes.len() as u32);
        self.text.extend_from_slice(bytes);
        string as u32
    }

    /// The column of a key; from now on it has one.
    fn column(&mut self, catalog: &Catalog, key: u32) -> u32 {
        self.string(catalog, key);
        if let Some(column) = self.local(&self.columns_of, key) {
            return column;
        }
        let column = self.keys.len();
        mark(&mut self.columns_of, key, self.stamp, column);
        self.keys.push(key);
        match self.columns.get_mut(column) {
            Some(values) => values.clear(),
            None => self.columns.push(Vec::new()),
        }
        column as u32
    }
}

fn mark(marks: &mut Vec<Mark>, number: u32, stamp: u32, local: usize) {
    let number = number as usize;
    if marks.len() <= number {
        marks.resize(number + 1, Mark::default());
    }
    let local = local as u32;
    marks[number] = Mark { stamp, local };
}
