//! What `aggregate.rs`, the one file that evolution edits, may contain.
//!
//! A gate before the compiler: it reads the file as Rust and refuses whatever could reach outside
//! the guest's job, read the build machine, or keep state where the language hides it. Lists say
//! what is allowed, never what is forbidden, so what nobody thought of is refused.
//!
//! | rule | refuses |
//! | --- | --- |
//! | `size`, `text`, `parse`, `depth`, `syntax` | a file that is no plain, small, sane Rust |
//! | `head` | a file that does not begin with `#![forbid(unsafe_code)]` |
//! | `unsafe`, `extern`, `pointer` | unsafe code, foreign items, raw pointers |
//! | `macro`, `attribute` | every macro and attribute outside a short list |
//! | `crate`, `path` | every crate, module and item outside a short list |
//! | `module` | a module in another file |
//! | `static` | a static that could change |
//! | `traffic-literal` | where words of traffic are given: a literal that occurs among them |

mod attributes;
mod literals;
mod macros;
mod names;
mod paths;
#[cfg(test)]
mod tests;
mod tokens;
mod visitor;

use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Span, TokenStream};
use serde_json::{json, Value};

use crate::files;
pub use literals::Words;

/// The largest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 16 * 1024;
/// The deepest nesting of brackets.
pub const DEPTH_MAX: usize = 128;
/// Operators nest without brackets, and the parser recurses over them. A source of
/// [`SOURCE_BYTES_MAX`] cannot use up this stack; only pages that are touched cost memory.
const STACK_BYTES: usize = 512 * 1024 * 1024;

/// Why a source is refused, and where (line and column count from 1; columns in characters).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {rule}: {reason}")]
pub struct SourceRefusal {
    /// One of the rules in the table of this module.
    pub rule: &'static str,
    pub reason: String,
    pub line: usize,
    pub column: usize,
}

impl SourceRefusal {
    fn at(span: Span, rule: &'static str, reason: impl Into<String>) -> Self {
        let start = span.start();
        Self {
            rule,
            reason: reason.into(),
            line: start.line.max(1),
            column: start.column + 1,
        }
    }

    fn whole(rule: &'static str, reason: impl Into<String>) -> Self {
        Self {
            rule,
            reason: reason.into(),
            line: 1,
            column: 1,
        }
    }
}

/// Checks a source. Of several offences the first in reading order is the answer.
pub fn check(source: &str) -> Result<(), SourceRefusal> {
    check_with(source, None)
}

/// The same, for a module of many organizations: words of their traffic are refused as literals.
pub fn check_with(source: &str, words: Option<&Words>) -> Result<(), SourceRefusal> {
    if source.len() >= SOURCE_BYTES_MAX {
        let reason = format!(
            "{} bytes; it must be under {SOURCE_BYTES_MAX}",
            source.len()
        );
        return Err(SourceRefusal::whole("size", reason));
    }
    check_text(source)?;
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES);
    let verdict =
        std::thread::scope(
            |scope| match worker.spawn_scoped(scope, || parse(source, words)) {
                Ok(parser) => parser.join().map_err(|_| "the parser gave up".to_owned()),
                Err(error) => Err(format!("the parser did not start: {error}")),
            },
        );
    verdict.unwrap_or_else(|reason| Err(SourceRefusal::whole("parse", reason)))
}

/// The JSON answer of `aggregator check source FILE`, with the words of `--words FILE`.
pub fn report(path: &Path, words: Option<&Words>) -> std::io::Result<Value> {
    // One byte more than allowed is enough to know; a longer file is never read to its end.
    let bytes = match files::read(path, SOURCE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let reason = format!("it must be under {SOURCE_BYTES_MAX} bytes");
            return Ok(verdict(Err(SourceRefusal::whole("size", reason))));
        }
        Err(error) => return Err(error),
    };
    Ok(verdict(match std::str::from_utf8(&bytes) {
        Ok(source) => check_with(source, words),
        Err(error) => Err(SourceRefusal::whole("text", format!("not UTF-8: {error}"))),
    }))
}

fn verdict(result: Result<(), SourceRefusal>) -> Value {
    match result {
        Ok(()) => json!({ "verdict": "pass" }),
        Err(SourceRefusal {
            rule,
            reason,
            line,
            column,
        }) => json!({
            "verdict": "refused", "rule": rule, "reason": reason, "line": line, "column": column,
        }),
    }
}

/// What a reader sees must be what the compiler reads: no invisible or reordering characters.
fn check_text(source: &str) -> Result<(), SourceRefusal> {
    for (line, text) in source.split('\n').enumerate() {
        for (column, character) in text.chars().enumerate() {
            let invisible = matches!(character,
                '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
            if invisible || (character.is_control() && character != '\t') {
                let reason = format!("character U+{:04X} is not allowed", character as u32);
                return Err(SourceRefusal {
                    rule: "text",
                    reason,
                    line: line + 1,
                    column: column + 1,
                });
            }
        }
    }
    Ok(())
}

fn parse(source: &str, words: Option<&Words>) -> Result<(), SourceRefusal> {
    let tokens = TokenStream::from_str(source)
        .map_err(|error| SourceRefusal::at(error.span(), "parse", error.to_string()))?;
    tokens::check_depth(&tokens)?;
    let file: syn::File = syn::parse2(tokens.clone())
        .map_err(|error| SourceRefusal::at(error.span(), "parse", error.to_string()))?;
    attributes::check_head(&file)?;
    let mut offences = visitor::offences(&file);
    tokens::check_words(&tokens, &mut offences);
    if let Some(words) = words {
        offences.extend(literals::offences(&tokens, words));
    }
    // Of several at one place, the gravest.
    offences.sort_by_key(|offence| (offence.line, offence.column, offence.rule != "unsafe"));
    offences.into_iter().next().map_or(Ok(()), Err)
}
