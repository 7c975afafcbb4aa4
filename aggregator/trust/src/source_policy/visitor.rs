//! The walk over the syntax tree: every node that could matter is looked at once.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Abi, Attribute, ExprRawAddr, File, Ident, ItemExternCrate, ItemForeignMod, ItemMod, ItemStatic,
    ItemTraitAlias, ItemUnion, ItemUse, Macro, Path, QSelf, StaticMutability, Type, TypePtr,
    VisRestricted,
};

use super::names::{self, Names};
use super::paths::{self, Offence};
use super::{attributes, macros, SourceRefusal};

/// More than anybody reads; the walk itself is bounded by the size of the source.
const OFFENCES_MAX: usize = 1024;

pub(super) fn offences(file: &File) -> Vec<SourceRefusal> {
    let mut walk = Walk {
        names: names::collect(file),
        depth: 0,
        found: Vec::new(),
    };
    walk.visit_file(file);
    walk.found
}

struct Walk {
    names: Names,
    /// Inline modules around this place.
    depth: usize,
    found: Vec<SourceRefusal>,
}

impl Walk {
    fn refuse(&mut self, refusal: SourceRefusal) {
        if self.found.len() < OFFENCES_MAX {
            self.found.push(refusal);
        }
    }

    fn refuse_at(&mut self, span: Span, rule: &'static str, reason: impl Into<String>) {
        self.refuse(SourceRefusal::at(span, rule, reason));
    }

    fn note(&mut self, span: Span, result: Result<(), Offence>) {
        if let Err((rule, reason)) = result {
            self.refuse_at(span, rule, reason);
        }
    }

    fn path(&mut self, path: &Path, qself: Option<&QSelf>) {
        // In `<T as a::B>::c` only `a::B` is looked up; in `<T>::c` nothing is.
        let count = qself.map_or(path.segments.len(), |qself| qself.position);
        let looked_up = path.segments.iter().take(count);
        let written: Vec<String> = looked_up.map(|segment| segment.ident.to_string()).collect();
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        if written.len() >= 2 || (path.leading_colon.is_some() && qself.is_none()) {
            let colon = path.leading_colon.is_some();
            let result = paths::check(&written, colon, &self.names, self.depth);
            self.note(path.span(), result);
        }
    }

    /// Plain data: nothing of it can change behind a shared reference.
    fn is_plain(&self, ty: &Type) -> bool {
        match ty {
            Type::Array(array) => self.is_plain(&array.elem),
            Type::Slice(slice) => self.is_plain(&slice.elem),
            Type::Reference(reference) => self.is_plain(&reference.elem),
            Type::Paren(paren) => self.is_plain(&paren.elem),
            Type::Tuple(tuple) => tuple.elems.iter().all(|elem| self.is_plain(elem)),
            Type::Path(path) if path.qself.is_none() => path.path.get_ident().is_some_and(|name| {
                let name = name.to_string();
                paths::is_primitive(&name) || self.names.types.contains(&name)
            }),
            _ => false,
        }
    }
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Err(refusal) = attributes::check(attribute) {
            self.refuse(refusal);
        }
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        match macros::arguments(mac) {
            Err(refusal) => self.refuse(refusal),
            Ok(arguments) => {
                // The arguments are a tree of their own, which lives only here.
                let mut walk = Walk {
                    names: std::mem::take(&mut self.names),
                    depth: self.depth,
                    found: Vec::new(),
                };
                arguments
                    .expressions
                    .iter()
                    .for_each(|argument| walk.visit_expr(argument));
                arguments
                    .pattern
                    .iter()
                    .for_each(|pattern| walk.visit_pat(pattern));
                self.names = walk.names;
                walk.found
                    .into_iter()
                    .for_each(|refusal| self.refuse(refusal));
            }
        }
    }

    fn visit_expr_path(&mut self, node: &'ast syn::ExprPath) {
        node.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
        if let Some(qself) = &node.qself {
            self.visit_qself(qself);
        }
        self.path(&node.path, node.qself.as_ref());
        visit::visit_path(self, &node.path);
    }

    fn visit_type_path(&mut self, node: &'ast syn::TypePath) {
        node.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
        if let Some(qself) = &node.qself {
            self.visit_qself(qself);
        }
        self.path(&node.path, node.qself.as_ref());
        visit::visit_path(self, &node.path);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.path(path, None);
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, visibility: &'ast VisRestricted) {
        // `pub(crate)`, `pub(super)` and `pub(in …)` narrow; they reach nothing.
        let _ = visibility;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        item.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
        for import in names::imports(item) {
            let result = paths::check_import(&import, &self.names, self.depth);
            self.note(import.span, result);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_none() {
            let reason = format!("module `{}` lies in another file", item.ident);
            self.refuse_at(item.span(), "module", reason);
        }
        if paths::is_crate(&item.ident.to_string()) {
            let reason = format!("module `{}` hides the crate of that name", item.ident);
            self.refuse_at(item.ident.span(), "path", reason);
        }
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        if !matches!(item.mutability, StaticMutability::None) {
            self.refuse_at(
                item.span(),
                "static",
                format!("`static mut {}`", item.ident),
            );
        } else if !self.is_plain(&item.ty) {
            let reason = format!("static `{}` is not of a plain data type", item.ident);
            self.refuse_at(item.span(), "static", reason);
        }
        visit::visit_item_static(self, item);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast ItemExternCrate) {
        self.refuse_at(
            item.span(),
            "crate",
            format!("`extern crate {}`", item.ident),
        );
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast ItemForeignMod) {
        self.refuse_at(item.span(), "extern", "a block of foreign items");
    }

    fn visit_abi(&mut self, abi: &'ast Abi) {
        self.refuse_at(abi.span(), "extern", "a foreign calling convention");
    }

    fn visit_item_union(&mut self, item: &'ast ItemUnion) {
        self.refuse_at(item.span(), "unsafe", format!("union `{}`", item.ident));
    }

    fn visit_item_trait_alias(&mut self, item: &'ast ItemTraitAlias) {
        self.refuse_at(
            item.span(),
            "syntax",
            format!("trait alias `{}`", item.ident),
        );
    }

    fn visit_type_ptr(&mut self, ty: &'ast TypePtr) {
        self.refuse_at(ty.span(), "pointer", "a raw pointer type");
    }

    fn visit_expr_raw_addr(&mut self, expression: &'ast ExprRawAddr) {
        self.refuse_at(expression.span(), "pointer", "a raw pointer");
    }

    fn visit_ident(&mut self, ident: &'ast Ident) {
        if !ident.to_string().is_ascii() {
            self.refuse_at(ident.span(), "text", format!("name `{ident}` is not ASCII"));
        }
    }

    /// Whatever the parser kept as bare tokens it did not understand, nor do we.
    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        self.refuse_at(tokens.span(), "syntax", "syntax that is not understood");
    }
}
