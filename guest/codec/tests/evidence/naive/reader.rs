//! The naive reader: it says of any bytes whether they are a message, and what it holds.

use super::{align, FIXED_COLUMNS, HEADER, MAGIC, SPARSE};
use std::collections::HashSet;

/// All that a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub min_ts: i64,
    pub max_ts: i64,
    pub strings: Vec<Vec<u8>>,
    pub key_ids: Vec<u32>,
    pub metric_ids: Vec<u32>,
    pub set_ids: Vec<u32>,
    pub timestamps: Vec<i64>,
    /// The bits of each value.
    pub values: Vec<u64>,
    pub counts: Option<Vec<u32>>,
    /// Of each key, the string id + 1 of each tag-set, 0 where it is absent.
    pub keys: Vec<Vec<u32>>,
}

/// Why the bytes are no message, for people.
pub type No = String;

/// Reads a message, and checks all that the format demands.
pub fn read(bytes: &[u8]) -> Result<Content, No> {
    let head = head(bytes)?;
    let columns = columns(bytes, &head)?;
    let strings = strings(&columns, head.strings)?;
    let key_ids = numbers(&columns[2].bytes, head.keys)?;
    let metric_ids = numbers(&columns[3].bytes, head.sets)?;
    let set_ids = numbers(&columns[4].bytes, head.points)?;
    let timestamps = timestamps(&columns[5].bytes, &head)?;
    let values = values(&columns[6].bytes, head.points)?;
    let counts = match columns[7].bytes.is_empty() {
        true => None,
        false => Some(numbers(&columns[7].bytes, head.points)?),
    };
    check_keys(&key_ids, &strings)?;
    ensure(
        metric_ids.iter().all(|&id| (id as usize) < strings.len()),
        "a metric id",
    )?;
    ensure(
        set_ids.iter().all(|&id| (id as usize) < head.sets),
        "a set id",
    )?;
    let mut keys = Vec::new();
    for column in &columns[FIXED_COLUMNS..] {
        keys.push(key_column(column, head.sets, strings.len())?);
    }
    Ok(Content {
        min_ts: head.min_ts as i64,
        max_ts: head.max_ts as i64,
        strings,
        key_ids,
        metric_ids,
        set_ids,
        timestamps,
        values,
        counts,
        keys,
    })
}

fn ensure(holds: bool, what: &str) -> Result<(), No> {
    match holds {
        true => Ok(()),
        false => Err(what.to_owned()),
    }
}

/// The `len` bytes at `at`.
fn part(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], No> {
    let end = at.checked_add(len).ok_or("beyond all bytes")?;
    bytes
        .get(at..end)
        .ok_or(format!("no bytes from {at} to {end}"))
}

/// A little-endian number of `len` bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> Result<u64, No> {
    let digits = part(bytes, at, len)?.iter().rev();
    Ok(digits.fold(0, |number, &digit| 256 * number + u64::from(digit)))
}

struct Head {
    prefix: usize,
    strings: usize,
    keys: usize,
    sets: usize,
    points: usize,
    /// Wide enough for whatever a header can say.
    min_ts: i128,
    max_ts: i128,
}

fn head(bytes: &[u8]) -> Result<Head, No> {
    let word = |at| number(bytes, at, 4);
    let time = |at| Ok::<_, No>(i128::from(number(bytes, at, 8)? as i64));
    ensure(bytes.len() <= 1 << 20, "longer than 1 MiB")?;
    ensure(word(0)? == MAGIC, "the magic number")?;
    ensure(word(4)? == bytes.len() as u64, "the length")?;
    ensure(word(28)? == 0, "the reserved field")?;
    let head = Head {
        prefix: word(8)? as usize,
        strings: word(12)? as usize,
        keys: word(16)? as usize,
        sets: word(20)? as usize,
        points: word(24)? as usize,
        min_ts: time(32)?,
        max_ts: time(40)?,
    };
    ensure(head.strings <= 65_535, "the number of strings")?;
    ensure(head.keys <= 256, "the number of keys")?;
    ensure((1..=65_535).contains(&head.sets), "the number of tag-sets")?;
    ensure((1..=65_536).contains(&head.points), "the number of points")?;
    ensure(head.max_ts - head.min_ts <= 3_600_000, "the span of time")?;
    Ok(head)
}

struct Column {
    bytes: Vec<u8>,
    sparse: bool,
}

/// The columns, each where it must be, with zeros between them and after the last.
fn columns(bytes: &[u8], head: &Head) -> Result<Vec<Column>, No> {
    let mut columns = Vec::new();
    let mut at = HEADER + 8 * (FIXED_COLUMNS + head.keys);
    for index in 0..FIXED_COLUMNS + head.keys {
        let start = number(bytes, HEADER + 8 * index, 4)? as usize;
        let mut length = number(bytes, HEADER + 8 * index + 4, 4)?;
        let sparse = index >= FIXED_COLUMNS && length >= SPARSE;
        if sparse {
            length -= SPARSE;
        }
        ensure(start == at, "where a column starts")?;
        let column = part(bytes, start, length as usize)?;
        let end = start + column.len();
        ensure(index != 2 || head.prefix == end, "the prefix")?;
        at = align(end);
        ensure(
            part(bytes, end, at - end)?.iter().all(|&byte| byte == 0),
            "padding",
        )?;
        columns.push(Column {
            bytes: column.to_vec(),
            sparse,
        });
    }
    ensure(bytes.len() - at == 16, "the length of the tail")?;
    ensure(bytes[at..].iter().all(|&byte| byte == 0), "the tail")?;
    Ok(columns)
}

/// A run of `count` numbers that takes all of `bytes`.
fn numbers(bytes: &[u8], count: usize) -> Result<Vec<u32>, No> {
    let mut at = count.div_ceil(4);
    let mut numbers = Vec::new();
    for n in 0..count {
        let codes = number(bytes, n / 4, 1)?;
        let length = 1 + (codes >> (2 * (n % 4))) % 4;
        numbers.push(number(bytes, at, length as usize)? as u32);
        at += length as usize;
    }
    ensure(at == bytes.len(), "the length of a run")?;
    Ok(numbers)
}

fn strings(columns: &[Column], count: usize) -> Result<Vec<Vec<u8>>, No> {
    let mut strings = Vec::new();
    let mut at = 0;
    for length in numbers(&columns[0].bytes, count)? {
        ensure((1..=1_024).contains(&length), "the length of a string")?;
        let text = part(&columns[1].bytes, at, length as usize)?;
        ensure(std::str::from_utf8(text).is_ok(), "UTF-8")?;
        strings.push(text.to_vec());
        at += length as usize;
    }
    ensure(at == columns[1].bytes.len(), "the length of all strings")?;
    let different: HashSet<&Vec<u8>> = strings.iter().collect();
    ensure(different.len() == strings.len(), "a string twice")?;
    Ok(strings)
}

fn check_keys(key_ids: &[u32], strings: &[Vec<u8>]) -> Result<(), No> {
    let text = |id: &u32| strings.get(*id as usize).ok_or("a key id".to_owned());
    let texts = key_ids.iter().map(text).collect::<Result<Vec<_>, No>>()?;
    ensure(
        texts.windows(2).all(|pair| pair[0] < pair[1]),
        "the order of keys",
    )
}

fn timestamps(bytes: &[u8], head: &Head) -> Result<Vec<i64>, No> {
    let mut ts = head.min_ts;
    let mut all = Vec::new();
    for code in numbers(bytes, head.points)? {
        let half = i128::from(code / 2);
        ts += if code % 2 == 0 { half } else { -half - 1 };
        ensure((0..=253_402_300_799_999).contains(&ts), "a timestamp")?;
        all.push(ts as i64);
    }
    let extremes = (all.iter().min(), all.iter().max());
    let claimed = (head.min_ts as i64, head.max_ts as i64);
    ensure(
        extremes == (Some(&claimed.0), Some(&claimed.1)),
        "min_ts or max_ts",
    )?;
    Ok(all)
}

fn values(bytes: &[u8], count: usize) -> Result<Vec<u64>, No> {
    ensure(bytes.len() == 8 * count, "the length of the values")?;
    (0..count).map(|n| number(bytes, 8 * n, 8)).collect()
}

fn key_column(column: &Column, sets: usize, strings: usize) -> Result<Vec<u32>, No> {
    let known = |code: &u32| *code as usize <= strings;
    if !column.sparse {
        let codes = numbers(&column.bytes, sets)?;
        ensure(codes.iter().all(known), "a value id")?;
        return Ok(codes);
    }
    let pairs = number(&column.bytes, 0, 4)? as usize;
    ensure(pairs <= sets, "the number of a sparse key's tag-sets")?;
    let mut codes = vec![0; sets];
    let mut set = 0;
    for (n, pair) in numbers(&column.bytes[4..], 2 * pairs)?
        .chunks(2)
        .enumerate()
    {
        ensure(n == 0 || pair[0] >= 1, "a gap of zero")?;
        set += pair[0] as usize;
        ensure(pair[1] != 0 && known(&pair[1]), "a sparse value id")?;
        *codes.get_mut(set).ok_or("a sparse tag-set")? = pair[1];
    }
    Ok(codes)
}
