//! Filters, evaluated for one tag-set.

use crate::{Front, Spec, Test, ABSENT, AND, ARGUMENT, NONE, NOT, STACK_MAX, TEST, TRUE, UNSEEN};
use ratchet_codec::payload::Strings;

/// Whether a filter takes a tag-set.
pub(crate) fn accepts(
    spec: &Spec,
    filter: u32,
    front: &mut Front,
    strings: &Strings<'_>,
    set: usize,
) -> bool {
    let mut stack = [false; STACK_MAX];
    let mut top = 0;
    for &word in spec.filters[filter as usize] {
        let argument = (word & ARGUMENT) as usize;
        let answer = match word & !ARGUMENT {
            TRUE => true,
            TEST => holds(spec, argument, front, strings, set),
            NOT => {
                top -= 1;
                !stack[top]
            }
            operation => {
                top -= argument;
                let mut operands = stack[top..top + argument].iter();
                match operation {
                    AND => operands.all(|&each| each),
                    _ => operands.any(|&each| each),
                }
            }
        };
        stack[top] = answer;
        top += 1;
    }
    stack[0]
}

fn holds(spec: &Spec, test: usize, front: &mut Front, strings: &Strings<'_>, set: usize) -> bool {
    let (key, test) = &spec.tests[test];
    let value = front.columns[*key as usize][set];
    if value == ABSENT {
        return false;
    }
    let text = strings.get(value - 1);
    let mut found = || {
        let memo = &mut front.literal[value as usize - 1];
        if *memo == UNSEEN {
            *memo = spec
                .values
                .binary_search(&text)
                .map_or(NONE, |at| at as u32);
        }
        *memo
    };
    match *test {
        Test::Present => true,
        Test::Value(literal) => found() == literal,
        Test::Values(list) => list.contains(&found()),
        Test::Prefix(prefix) => text.starts_with(prefix),
    }
}
