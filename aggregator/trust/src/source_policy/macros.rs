//! Macros: a short list, with arguments that are read as code and checked like the rest.

use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Macro, Pat, Path, Token};

use super::SourceRefusal;

const CORE: [&str; 6] = [
    "assert",
    "assert_eq",
    "debug_assert",
    "debug_assert_eq",
    "matches",
    "unreachable",
];

/// The arguments of an allowed macro, to be visited in turn.
pub(super) struct Arguments {
    pub expressions: Vec<Expr>,
    pub pattern: Option<Pat>,
}

pub(super) fn arguments(mac: &Macro) -> Result<Arguments, SourceRefusal> {
    let Some(name) = allowed_name(&mac.path) else {
        let names: Vec<String> = mac
            .path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let reason = format!("macro `{}!` is not allowed", names.join("::"));
        return Err(SourceRefusal::at(mac.path.span(), "macro", reason));
    };
    let parsed = match name.as_str() {
        "matches" => matches_arguments.parse2(mac.tokens.clone()),
        "vec" => vec_arguments.parse2(mac.tokens.clone()),
        _ => list_arguments.parse2(mac.tokens.clone()),
    };
    parsed.map_err(|error| {
        let reason = format!("the arguments of `{name}!` cannot be read: {error}");
        SourceRefusal::at(error.span(), "macro", reason)
    })
}

/// `vec!` or `alloc::vec!`, `assert!` or `core::assert!`.
fn allowed_name(path: &Path) -> Option<String> {
    let names: Vec<String> = path
        .segments
        .iter()
        .map(|name| name.ident.to_string())
        .collect();
    let (home, name) = match names.as_slice() {
        [name] if path.leading_colon.is_none() => (None, name),
        [home, name] => (Some(home.as_str()), name),
        _ => return None,
    };
    let expected = if CORE.contains(&name.as_str()) {
        "core"
    } else if name == "vec" {
        "alloc"
    } else {
        return None;
    };
    home.is_none_or(|home| home == expected)
        .then(|| name.clone())
}

fn list_arguments(input: ParseStream<'_>) -> syn::Result<Arguments> {
    let list = Punctuated::<Expr, Token![,]>::parse_terminated(input)?;
    Ok(Arguments {
        expressions: list.into_iter().collect(),
        pattern: None,
    })
}

fn vec_arguments(input: ParseStream<'_>) -> syn::Result<Arguments> {
    if input.is_empty() {
        return list_arguments(input);
    }
    let first: Expr = input.parse()?;
    let mut expressions = vec![first];
    if input.peek(Token![;]) {
        input.parse::<Token![;]>()?;
        expressions.push(input.parse()?);
    } else if !input.is_empty() {
        input.parse::<Token![,]>()?;
        expressions.extend(list_arguments(input)?.expressions);
    }
    Ok(Arguments {
        expressions,
        pattern: None,
    })
}

fn matches_arguments(input: ParseStream<'_>) -> syn::Result<Arguments> {
    let mut expressions = vec![input.parse::<Expr>()?];
    input.parse::<Token![,]>()?;
    let pattern = Pat::parse_multi_with_leading_vert(input)?;
    if input.peek(Token![if]) {
        input.parse::<Token![if]>()?;
        expressions.push(input.parse()?);
    }
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    }
    Ok(Arguments {
        expressions,
        pattern: Some(pattern),
    })
}
