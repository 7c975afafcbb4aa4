//! Attributes: a short list, each in its plain form.

use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{AttrStyle, Attribute, Expr, File, Lit, Meta, Path, Token};

use super::SourceRefusal;

const DERIVES: [&str; 9] = [
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Eq",
    "Hash",
    "Ord",
    "PartialEq",
    "PartialOrd",
];
/// Attributes without arguments.
const BARE: [&str; 4] = ["cold", "default", "inline", "must_use"];
/// Lints that hide nothing which a later gate relies on.
const LINTS: [&str; 6] = [
    "dead_code",
    "non_camel_case_types",
    "non_snake_case",
    "non_upper_case_globals",
    "unused",
    "warnings",
];

/// The file begins with `#![forbid(unsafe_code)]`; only its documentation may come before.
pub(super) fn check_head(file: &File) -> Result<(), SourceRefusal> {
    let first = file
        .attrs
        .iter()
        .find(|attribute| !attribute.path().is_ident("doc"));
    if first.is_some_and(is_forbid_unsafe) {
        return Ok(());
    }
    let span = file.span();
    Err(SourceRefusal::at(
        span,
        "head",
        "the file must begin with `#![forbid(unsafe_code)]`",
    ))
}

pub(super) fn check(attribute: &Attribute) -> Result<(), SourceRefusal> {
    let path = attribute.path();
    let allowed = match &attribute.meta {
        Meta::Path(path) => is_rustfmt_skip(path) || BARE.iter().any(|name| path.is_ident(name)),
        Meta::NameValue(pair) => {
            (path.is_ident("doc") || path.is_ident("must_use")) && is_literal(&pair.value)
        }
        Meta::List(list) => {
            let Ok(names) = list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
            else {
                return Err(refused(attribute));
            };
            check_list(attribute, &names)
        }
    };
    if allowed {
        Ok(())
    } else {
        Err(refused(attribute))
    }
}

fn check_list(attribute: &Attribute, names: &Punctuated<Path, Token![,]>) -> bool {
    let path = attribute.path();
    if path.is_ident("derive") {
        names
            .iter()
            .all(|name| DERIVES.iter().any(|derive| name.is_ident(derive)))
    } else if path.is_ident("inline") {
        names.len() == 1
            && names
                .iter()
                .all(|name| name.is_ident("always") || name.is_ident("never"))
    } else if path.is_ident("allow") {
        names.iter().all(is_allowed_lint)
    } else {
        is_forbid_unsafe(attribute)
    }
}

fn is_allowed_lint(name: &Path) -> bool {
    match name.get_ident() {
        Some(lint) => {
            let lint = lint.to_string();
            LINTS.contains(&lint.as_str()) || lint.starts_with("unused_")
        }
        None => {
            name.leading_colon.is_none()
                && name.segments.len() == 2
                && name
                    .segments
                    .first()
                    .is_some_and(|tool| tool.ident == "clippy")
        }
    }
}

fn is_forbid_unsafe(attribute: &Attribute) -> bool {
    let inner = matches!(attribute.style, AttrStyle::Inner(_));
    let lint = |path: &Path| path.is_ident("unsafe_code");
    inner
        && attribute.path().is_ident("forbid")
        && attribute.parse_args::<Path>().is_ok_and(|path| lint(&path))
}

fn is_rustfmt_skip(path: &Path) -> bool {
    let names: Vec<String> = path
        .segments
        .iter()
        .map(|name| name.ident.to_string())
        .collect();
    path.leading_colon.is_none() && names == ["rustfmt", "skip"]
}

fn is_literal(value: &Expr) -> bool {
    matches!(value, Expr::Lit(literal) if matches!(literal.lit, Lit::Str(_)))
}

fn refused(attribute: &Attribute) -> SourceRefusal {
    let names: Vec<String> = attribute
        .path()
        .segments
        .iter()
        .map(|name| name.ident.to_string())
        .collect();
    let reason = format!(
        "attribute `{}` in this form is not allowed",
        names.join("::")
    );
    SourceRefusal::at(attribute.span(), "attribute", reason)
}
