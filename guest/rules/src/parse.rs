//! Parsing a blob, with every limit of the format.

use crate::cursor::Cursor;
use crate::{
    Aggregate, Filter, Problem, Rule, RulesError, MAGIC, MAX_BLOB_LEN, MAX_FILTER_DEPTH,
    MAX_FILTER_LEAVES, MAX_GROUP_KEYS, MAX_ID_LEN, MAX_RULES, MAX_WINDOW_MS, VERSION,
    WINDOW_STEP_MS,
};
use alloc::{boxed::Box, vec::Vec};

/// The rules of a blob, sorted by id.
///
/// Errors name the byte at which what is wrong begins, and the bad value.
pub fn parse(blob: &[u8]) -> Result<Vec<Rule>, RulesError> {
    if blob.len() > MAX_BLOB_LEN {
        return Err(RulesError {
            at: 0,
            problem: Problem::TooLong(blob.len()),
        });
    }
    let mut cursor = Cursor::new(blob);
    let magic = cursor.array()?;
    if magic != MAGIC {
        return Err(RulesError {
            at: 0,
            problem: Problem::Magic(magic),
        });
    }
    let version = cursor.u8()?;
    if version != VERSION {
        return Err(RulesError {
            at: 4,
            problem: Problem::Version(version),
        });
    }
    let count = cursor.u32()?;
    if count > MAX_RULES {
        return Err(RulesError {
            at: 5,
            problem: Problem::RuleCount(count),
        });
    }
    let mut rules: Vec<Rule> = Vec::new();
    for _ in 0..count {
        let at = cursor.at();
        let rule = rule(&mut cursor)?;
        if rules.last().is_some_and(|last| last.id >= rule.id) {
            return Err(RulesError {
                at,
                problem: Problem::IdOrder(rule.id),
            });
        }
        rules.push(rule);
    }
    match cursor.left() {
        0 => Ok(rules),
        left => Err(RulesError {
            at: cursor.at(),
            problem: Problem::Trailing(left),
        }),
    }
}

fn rule(cursor: &mut Cursor<'_>) -> Result<Rule, RulesError> {
    Ok(Rule {
        id: id(cursor)?,
        metric: cursor.text()?,
        aggregate: aggregate(cursor)?,
        window_ms: window(cursor)?,
        group_by: group_by(cursor)?,
        filter: filter(cursor, 1, &mut 0)?,
    })
}

fn id(cursor: &mut Cursor<'_>) -> Result<Box<[u8]>, RulesError> {
    let at = cursor.at();
    let id = cursor.raw()?;
    let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mark = |b: &u8| matches!(b, b'.' | b'_' | b'-');
    let valid = id.len() <= MAX_ID_LEN
        && id.first().is_some_and(letter)
        && id.iter().all(|b| letter(b) || mark(b));
    if valid {
        Ok(id.into())
    } else {
        Err(RulesError {
            at,
            problem: Problem::Id(id.into()),
        })
    }
}

fn aggregate(cursor: &mut Cursor<'_>) -> Result<Aggregate, RulesError> {
    let at = cursor.at();
    let code = cursor.u8()?;
    let found = Aggregate::ALL.get(usize::from(code)).copied();
    found.ok_or(RulesError {
        at,
        problem: Problem::Aggregate(code),
    })
}

fn window(cursor: &mut Cursor<'_>) -> Result<u32, RulesError> {
    let at = cursor.at();
    let ms = cursor.u32()?;
    if ms == 0 || ms > MAX_WINDOW_MS || ms % WINDOW_STEP_MS != 0 {
        return Err(RulesError {
            at,
            problem: Problem::Window(ms),
        });
    }
    Ok(ms)
}

fn group_by(cursor: &mut Cursor<'_>) -> Result<Vec<Box<[u8]>>, RulesError> {
    let at = cursor.at();
    let count = cursor.u8()?;
    if usize::from(count) > MAX_GROUP_KEYS {
        return Err(RulesError {
            at,
            problem: Problem::GroupCount(count),
        });
    }
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    for _ in 0..count {
        let at = cursor.at();
        let key = cursor.text()?;
        if keys.contains(&key) {
            return Err(RulesError {
                at,
                problem: Problem::DuplicateKey(key),
            });
        }
        keys.push(key);
    }
    Ok(keys)
}

/// A filter whose root is `depth` levels down; `leaves` counts those of the rule so far.
fn filter(cursor: &mut Cursor<'_>, depth: usize, leaves: &mut usize) -> Result<Filter, RulesError> {
    let at = cursor.at();
    let op = cursor.u8()?;
    if depth > MAX_FILTER_DEPTH {
        return Err(RulesError {
            at,
            problem: Problem::Depth,
        });
    }
    if op <= 4 {
        *leaves += 1;
        if *leaves > MAX_FILTER_LEAVES {
            return Err(RulesError {
                at,
                problem: Problem::Leaves,
            });
        }
    }
    match op {
        0 => Ok(Filter::All),
        1 => Ok(Filter::Present(cursor.text()?)),
        2 => Ok(Filter::Eq(cursor.text()?, cursor.text()?)),
        3 => Ok(Filter::Prefix(cursor.text()?, cursor.text()?)),
        4 => Ok(Filter::In(cursor.text()?, values(cursor)?)),
        5 => Ok(Filter::Not(Box::new(filter(cursor, depth + 1, leaves)?))),
        6 | 7 => {
            let parts = operands(cursor, depth, leaves)?;
            let nested = |part: &Filter| match part {
                Filter::And(_) => op == 6,
                Filter::Or(_) => op == 7,
                _ => false,
            };
            if parts.iter().any(nested) {
                return Err(RulesError {
                    at,
                    problem: Problem::Nested,
                });
            }
            Ok(if op == 6 {
                Filter::And(parts)
            } else {
                Filter::Or(parts)
            })
        }
        _ => Err(RulesError {
            at,
            problem: Problem::Operator(op),
        }),
    }
}

fn operands(
    cursor: &mut Cursor<'_>,
    depth: usize,
    leaves: &mut usize,
) -> Result<Vec<Filter>, RulesError> {
    let at = cursor.at();
    let count = cursor.u16()?;
    if count < 2 {
        return Err(RulesError {
            at,
            problem: Problem::Operands(count),
        });
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push(filter(cursor, depth + 1, leaves)?);
    }
    Ok(parts)
}

fn values(cursor: &mut Cursor<'_>) -> Result<Vec<Box<[u8]>>, RulesError> {
    let at = cursor.at();
    let count = cursor.u16()?;
    if count == 0 {
        return Err(RulesError {
            at,
            problem: Problem::Operands(count),
        });
    }
    let mut starts: Vec<(Box<[u8]>, usize)> = Vec::new();
    let mut values = Vec::new();
    for _ in 0..count {
        let at = cursor.at();
        let value = cursor.text()?;
        starts.push((value.clone(), at));
        values.push(value);
    }
    // Sorted, so that a long list is not compared pair by pair.
    starts.sort_unstable();
    match starts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => {
            let (value, at) = pair[1].clone();
            Err(RulesError {
                at,
                problem: Problem::DuplicateValue(value),
            })
        }
        None => Ok(values),
    }
}
