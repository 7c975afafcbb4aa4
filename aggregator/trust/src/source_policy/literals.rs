//! What serves every organization may know none of them: no literal of a fleet candidate occurs in
//! traffic. A text may also be spelt as bytes, as a list of numbers, or as one number of four bytes
//! and more.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::Lit;

use super::SourceRefusal;

/// Shorter texts occur in traffic by chance: they are refused only as a whole word.
const PART_MIN: usize = 4;
const WORD_MIN: usize = 2;
/// In no UTF-8, so that no literal matches across two words.
const BETWEEN: u8 = 0xff;

/// The texts of traffic: names of metrics, keys, values, and what rules say of them.
pub struct Words {
    whole: HashSet<Vec<u8>>,
    lengths: Vec<usize>,
    joined: Vec<u8>,
}

impl Words {
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let whole: HashSet<Vec<u8>> = words
            .into_iter()
            .map(String::into_bytes)
            .filter(|word| word.len() >= WORD_MIN)
            .collect();
        let long = whole.iter().map(Vec::len).filter(|len| *len >= PART_MIN);
        let mut lengths: Vec<usize> = long.collect::<HashSet<_>>().into_iter().collect();
        lengths.sort_unstable();
        let mut joined = Vec::new();
        for word in &whole {
            joined.extend_from_slice(word);
            joined.push(BETWEEN);
        }
        Self {
            whole,
            lengths,
            joined,
        }
    }

    /// Whether it is a word, or a longer one is part of the other.
    fn occurs(&self, text: &[u8]) -> bool {
        self.whole.contains(text) || self.holds(text) || self.is_held_by(text)
    }

    fn holds(&self, part: &[u8]) -> bool {
        part.len() >= PART_MIN && self.joined.windows(part.len()).any(|found| found == part)
    }

    fn is_held_by(&self, text: &[u8]) -> bool {
        let parts = |len: &usize| text.windows(*len).any(|part| self.whole.contains(part));
        self.lengths.iter().any(parts)
    }
}

/// The literals of a source that occur in traffic.
pub(super) fn offences(tokens: &TokenStream, words: &Words) -> Vec<SourceRefusal> {
    let refusal = |span| {
        let reason = "a literal that occurs in traffic";
        SourceRefusal::at(span, "traffic-literal", reason)
    };
    let found = spelt(tokens);
    let occurring = found.into_iter().filter(|(_, text)| words.occurs(text));
    occurring.map(|(span, _)| refusal(span)).collect()
}

/// Every text that the source spells, and where.
fn spelt(tokens: &TokenStream) -> Vec<(Span, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![tokens.clone()];
    while let Some(tokens) = pending.pop() {
        let mut list: Option<(Span, Vec<u8>)> = None;
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    pending.push(group.stream());
                    found.extend(list.take());
                }
                TokenTree::Literal(literal) => {
                    let span = literal.span();
                    match value(Lit::new(literal)) {
                        Value::Byte(byte) => {
                            list.get_or_insert((span, Vec::new())).1.push(byte);
                        }
                        Value::Texts(texts) => {
                            found.extend(list.take());
                            found.extend(texts.into_iter().map(|text| (span, text)));
                        }
                    }
                }
                // A list goes on behind its commas.
                TokenTree::Punct(punct) if punct.as_char() == ',' => {}
                TokenTree::Punct(_) | TokenTree::Ident(_) => found.extend(list.take()),
            }
        }
        found.extend(list);
    }
    found
}

enum Value {
    /// An element of a list, perhaps.
    Byte(u8),
    Texts(Vec<Vec<u8>>),
}

fn value(literal: Lit) -> Value {
    match literal {
        Lit::Str(text) => Value::Texts(vec![text.value().into_bytes()]),
        Lit::ByteStr(text) => Value::Texts(vec![text.value()]),
        Lit::CStr(text) => Value::Texts(vec![text.value().into_bytes()]),
        Lit::Byte(byte) => Value::Byte(byte.value()),
        Lit::Char(character) => match u8::try_from(character.value()) {
            Ok(byte) if byte.is_ascii() => Value::Byte(byte),
            _ => Value::Texts(vec![character.value().to_string().into_bytes()]),
        },
        Lit::Int(number) => match number.base10_parse::<u128>() {
            Ok(number) => {
                u8::try_from(number).map_or_else(|_| Value::Texts(packed(number)), Value::Byte)
            }
            Err(_) => Value::Texts(vec![]),
        },
        _ => Value::Texts(vec![]),
    }
}

/// A number as the bytes that it would compare as, from either end.
fn packed(number: u128) -> Vec<Vec<u8>> {
    let from_low = number.to_le_bytes();
    let len = from_low.len() - number.leading_zeros() as usize / 8;
    let low = from_low[..len].to_vec();
    let high = low.iter().rev().copied().collect();
    let both = [low, high].into_iter();
    both.filter(|bytes: &Vec<u8>| bytes.len() >= PART_MIN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let words = ["checkout", "eu", "cpu.usage", "7", "königsweg", "frontend"];
        Words::new(words.map(str::to_owned))
    }

    #[track_caller]
    fn check(source: &str, expected: usize) {
        let tokens: TokenStream = source.parse().unwrap();
        let found = offences(&tokens, &words());
        assert_eq!(found.len(), expected, "{source}: {found:?}");
        assert!(found.iter().all(|o| o.rule == "traffic-literal"));
    }

    #[test]
    fn literals_that_occur_in_traffic() {
        check("const A: &str = \"checkout\";", 1);
        check("const A: &[u8] = b\"checkout\";", 1);
        check("const A: &str = r#\"checkout\"#;", 1);
        check("const A: &str = \"\\x63heckout\";", 1);
        // Parts of a word, and words within a text.
        check("fn f(s: &[u8]) -> bool { s.starts_with(b\"check\") }", 1);
        check("const A: &str = \"the checkout service\";", 1);
        check("const A: &str = \"nigs\";", 1);
        check("const A: &str = \"eu\";", 1);
        // Spelt as bytes and as numbers.
        check("const A: [u8; 4] = [b'c', b'p', b'u', b'.'];", 1);
        check("const A: [u8; 4] = [0x63, 112, 0b111_0101, b'.',];", 1);
        check("const A: [char; 4] = ['c', 'p', 'u', '.'];", 1);
        check("const A: (u8, u8) = (b'e', b'u');", 1);
        check(
            &format!("const A: u64 = {};", u64::from_le_bytes(*b"checkout")),
            1,
        );
        check(
            &format!("const A: u64 = {:#x}u64;", u64::from_be_bytes(*b"checkout")),
            1,
        );
        check(
            &format!("const A: u32 = {};", u32::from_le_bytes(*b"heck")),
            1,
        );
        check("fn f() { let a = vec![Some(\"frontend\")]; g(\"eu\"); }", 2);
        check("fn f(a: u8) { assert!(a > 1, \"checkout\"); }", 1);
    }

    #[test]
    fn literals_that_are_nobodys() {
        for source in [
            "",
            "const A: &str = \"a rule has no key\";",
            // Short texts occur by chance.
            "const A: &str = \"che\";",
            "const A: u8 = b'7'; const B: char = '7'; const C: u32 = 7;",
            "const A: [u8; 2] = [b'c', b'h'];",
            "const A: u64 = 0x9e37_79b9_7f4a_7c15;",
            "const A: u32 = u32::MAX; const B: f64 = 1.5;",
            "fn f(x: u64) -> u64 { x * 31 + 0xffff_ffff }",
            // No list: something else stands between.
            "fn f(a: u8) -> bool { a == b'e' || a == b'u' }",
        ] {
            check(source, 0);
        }
        let tokens: TokenStream = "const A: &str = \"checkout\";".parse().unwrap();
        assert!(offences(&tokens, &Words::new(Vec::new())).is_empty());
    }
}
