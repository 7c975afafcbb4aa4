//! Checks over tokens, before and beside the syntax tree. They look into macro arguments too.

use proc_macro2::{TokenStream, TokenTree};

use super::{SourceRefusal, DEPTH_MAX};

/// Bounds the nesting of brackets. Keeps its own stack: this runs before depth is known.
pub(super) fn check_depth(tokens: &TokenStream) -> Result<(), SourceRefusal> {
    let mut open = vec![tokens.clone().into_iter()];
    while let Some(innermost) = open.last_mut() {
        match innermost.next() {
            None => {
                open.pop();
            }
            Some(TokenTree::Group(group)) => {
                if open.len() > DEPTH_MAX {
                    let reason = format!("brackets nest deeper than {DEPTH_MAX}");
                    return Err(SourceRefusal::at(group.span_open(), "depth", reason));
                }
                open.push(group.stream().into_iter());
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Words that no place of a source may hold, whatever the syntax around them is.
pub(super) fn check_words(tokens: &TokenStream, offences: &mut Vec<SourceRefusal>) {
    let mut pending = vec![tokens.clone().into_iter()];
    while let Some(innermost) = pending.last_mut() {
        match innermost.next() {
            None => {
                pending.pop();
            }
            Some(TokenTree::Group(group)) => pending.push(group.stream().into_iter()),
            Some(TokenTree::Ident(word)) => {
                let rule = match word.to_string().as_str() {
                    "unsafe" => "unsafe",
                    "extern" => "extern",
                    "async" | "await" => "syntax",
                    _ => continue,
                };
                offences.push(SourceRefusal::at(word.span(), rule, format!("`{word}`")));
            }
            Some(_) => {}
        }
    }
}
