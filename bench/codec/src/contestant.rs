//! Who decodes what.

use crate::block::Item;
use crate::columns::{self, fold, Columns, Part};
use crate::{every, runs, unverified};
use ratchet_codec::payload::{validate, Header};
use std::hint::black_box;

/// What is decoded, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Runs of numbers, by the codec.
    CodecRuns,
    /// By the crate `stream-vbyte`.
    StreamVbyteRuns,
    /// By the crate `streamvbyte64`.
    Streamvbyte64Runs,
    /// By the unverified reader.
    UnverifiedRuns,
    /// Columns of messages, by the codec.
    CodecColumns(Part),
    /// By the unverified reader.
    UnverifiedColumns(Part),
    /// Each control byte by the codec, in more ways than one; nobody else takes part.
    EveryControlByte,
}

const RUNS: [(&str, Task); 4] = [
    ("codec", Task::CodecRuns),
    ("stream-vbyte", Task::StreamVbyteRuns),
    ("streamvbyte64", Task::Streamvbyte64Runs),
    ("unverified", Task::UnverifiedRuns),
];

impl Task {
    /// Those who decode runs, by name.
    pub fn runs() -> impl Iterator<Item = (&'static str, Task)> {
        RUNS.into_iter()
    }

    /// Those who decode a part of the columns, by name.
    pub fn columns(part: Part) -> [(&'static str, Task); 2] {
        [
            ("codec", Task::CodecColumns(part)),
            ("unverified", Task::UnverifiedColumns(part)),
        ]
    }

    /// A number for the way into a guest.
    pub fn number(self) -> u32 {
        let part = |part: Part| part as u32;
        match self {
            Task::CodecRuns => 0,
            Task::StreamVbyteRuns => 1,
            Task::Streamvbyte64Runs => 2,
            Task::UnverifiedRuns => 3,
            Task::CodecColumns(of) => 4 + part(of),
            Task::UnverifiedColumns(of) => 4 + Part::EVERY.len() as u32 + part(of),
            Task::EveryControlByte => 4 + 2 * Part::EVERY.len() as u32,
        }
    }

    pub fn from_number(number: u32) -> Option<Task> {
        let columns = |part| Task::columns(part).map(|(_, task)| task);
        let mut all = Part::EVERY.into_iter().flat_map(columns);
        let runs = RUNS.into_iter().map(|(_, task)| task);
        runs.chain(all.by_ref())
            .chain([Task::EveryControlByte])
            .find(|task| task.number() == number)
    }
}

/// One decoder with items to decode, and with memory of its own.
pub struct Contestant {
    task: Task,
    items: Vec<Item>,
    /// Of each item; those of runs say nothing.
    headers: Vec<Header>,
    columns: Columns,
    numbers: Vec<u32>,
}

impl Contestant {
    /// `None` when an item is not what the task decodes: the unverified reader would not notice.
    pub fn new(task: Task, items: Vec<Item>) -> Option<Self> {
        let header = |item: &Item| match task {
            Task::EveryControlByte => every::is_item(item).then_some(NO_HEADER),
            task if is_run(task) => check_run(item).then_some(NO_HEADER),
            _ => validate(&item.bytes[..item.bytes.len().checked_sub(crate::SLACK)?]).ok(),
        };
        let headers = items.iter().map(header).collect::<Option<Vec<Header>>>()?;
        let longest = items.iter().map(|item| item.count).max().unwrap_or(0);
        Some(Contestant {
            task,
            items,
            headers,
            columns: Columns::default(),
            numbers: vec![0; longest.next_multiple_of(4) as usize],
        })
    }

    /// Decodes every item once. `None` when one is malformed.
    pub fn pass(&mut self) -> Option<()> {
        for at in 0..self.items.len() {
            self.decode(at)?;
            black_box((self.columns.values.as_ptr(), self.numbers.as_ptr()));
        }
        Some(())
    }

    /// What all items decode to, as one number.
    pub fn digest(&mut self) -> Option<u64> {
        let mut digest = 0u64;
        for at in 0..self.items.len() {
            self.decode(at)?;
            let item = &self.items[at];
            digest = match self.task {
                Task::EveryControlByte => digest.rotate_left(7) ^ every::compare(item)?,
                _ => fold(
                    digest ^ self.columns.digest(),
                    &self.numbers[..item.count as usize],
                ),
            };
        }
        Some(digest)
    }

    #[inline(always)]
    fn decode(&mut self, at: usize) -> Option<()> {
        let (item, header) = (&mut self.items[at], self.headers[at]);
        let (columns, numbers) = (&mut self.columns, &mut self.numbers[..]);
        match self.task {
            Task::CodecRuns => runs::codec(item, numbers),
            Task::StreamVbyteRuns => runs::stream_vbyte(item, numbers),
            Task::Streamvbyte64Runs => runs::streamvbyte64(item, numbers),
            Task::UnverifiedRuns => runs::unverified(item, numbers),
            Task::EveryControlByte => every::compare(item).map(drop),
            Task::CodecColumns(part) => {
                columns::decode(part, header, &mut item.bytes, columns).ok()
            }
            Task::UnverifiedColumns(part) => {
                // SAFETY: the item was validated, and has that header.
                unsafe { unverified::decode(part, &header, item.bytes.as_ptr(), columns) };
                Some(())
            }
        }
    }
}

const NO_HEADER: Header = Header {
    len: 0,
    prefix: 0,
    strings: 0,
    keys: 0,
    sets: 0,
    points: 0,
    min_ts: 0,
    max_ts: 0,
};

fn is_run(task: Task) -> bool {
    RUNS.iter().any(|(_, run)| *run == task)
}

/// Whether the run is whole before its slack begins.
fn check_run(item: &Item) -> bool {
    let count = item.count as usize;
    let Some(len) = item.bytes.len().checked_sub(crate::SLACK) else {
        return false;
    };
    let Some((control, data)) = item.bytes[..len].split_at_checked(count.div_ceil(4)) else {
        return false;
    };
    ratchet_codec::streamvbyte::data_len(control, count) == Ok(data.len())
}
