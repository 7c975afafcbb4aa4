//! Which names a file brings in: by `use`, and by its own inline modules and types.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Span};
use syn::visit::{self, Visit};
use syn::{File, ItemEnum, ItemMod, ItemStruct, ItemUse, UseTree};

/// One name that a `use` item brings in, and the path that it stands for.
pub(super) struct Import {
    pub span: Span,
    pub path: Vec<String>,
    pub leading_colon: bool,
    pub alias: String,
    pub glob: bool,
}

#[derive(Default)]
pub(super) struct Names {
    /// Every path that a name stands for, wherever in the file it was brought in.
    pub imports: BTreeMap<String, BTreeSet<Vec<String>>>,
    pub modules: BTreeSet<String>,
    pub types: BTreeSet<String>,
}

/// Collected over the whole file first: scopes are not told apart, so a name that stands for
/// several paths must be harmless as each of them.
pub(super) fn collect(file: &File) -> Names {
    let mut names = Names::default();
    names.visit_file(file);
    names
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item) {
            if !import.glob {
                self.imports
                    .entry(import.alias)
                    .or_default()
                    .insert(import.path);
            }
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.modules.insert(item.ident.to_string());
        visit::visit_item_mod(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.types.insert(item.ident.to_string());
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.types.insert(item.ident.to_string());
        visit::visit_item_enum(self, item);
    }
}

/// The names that one `use` item brings in.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    let mut pending = vec![(Vec::new(), &item.tree)];
    while let Some((prefix, tree)) = pending.pop() {
        let mut add = |ident: &Ident, alias: &Ident| {
            let mut path: Vec<String> = prefix.clone();
            // `use a::b::{self}` brings in `b`.
            let named = if ident == "self" && !prefix.is_empty() {
                prefix.last().cloned()
            } else {
                path.push(ident.to_string());
                Some(ident.to_string())
            };
            let alias = if alias == ident {
                named
            } else {
                Some(alias.to_string())
            };
            found.push(Import {
                span: ident.span(),
                path,
                leading_colon: item.leading_colon.is_some(),
                alias: alias.unwrap_or_default(),
                glob: false,
            });
        };
        match tree {
            UseTree::Name(name) => add(&name.ident, &name.ident),
            UseTree::Rename(rename) => add(&rename.ident, &rename.rename),
            UseTree::Path(path) => {
                let mut prefix = prefix;
                prefix.push(path.ident.to_string());
                pending.push((prefix, &path.tree));
            }
            UseTree::Group(group) => {
                pending.extend(group.items.iter().map(|tree| (prefix.clone(), tree)));
            }
            UseTree::Glob(glob) => found.push(Import {
                span: glob.star_token.spans[0],
                path: prefix,
                leading_colon: item.leading_colon.is_some(),
                alias: String::new(),
                glob: true,
            }),
        }
    }
    found
}
