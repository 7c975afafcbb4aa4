//! Paths: what may be named.

use std::collections::BTreeSet;

use super::names::{Import, Names};

const CRATES: [&str; 5] = ["alloc", "core", "hashbrown", "ratchet_api", "ratchet_codec"];
/// Modules of `core` that hold values, types and traits of pure computation.
const CORE: [&str; 35] = [
    "array", "ascii", "borrow", "bool", "char", "clone", "cmp", "convert", "default", "f32", "f64",
    "fmt", "hash", "hint", "i128", "i16", "i32", "i64", "i8", "isize", "iter", "marker", "mem",
    "num", "ops", "option", "result", "slice", "str", "u128", "u16", "u32", "u64", "u8", "usize",
];
const CORE_HINT: [&str; 1] = ["black_box"];
const CORE_MEM: [&str; 6] = ["drop", "replace", "size_of", "size_of_val", "swap", "take"];
const ALLOC: [&str; 8] = [
    "borrow",
    "boxed",
    "collections",
    "fmt",
    "slice",
    "str",
    "string",
    "vec",
];
/// What an aggregation implements and calls; not the module with the guest's unsafe code.
const API: [&str; 8] = [
    "Aggregate",
    "DecodeError",
    "Message",
    "Record",
    "Records",
    "Refusal",
    "meaning",
    "payload",
];
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16",
    "u32", "u64", "u8", "usize",
];
/// More steps than an honest file's imports take to follow.
const STEPS_MAX: usize = 1_000;
/// More names than a path of honest code has.
const SEGMENTS_MAX: usize = 32;

/// A rule and its reason.
pub(super) type Offence = (&'static str, String);

/// Checks one name that a `use` item brings in; `depth` counts the inline modules around it.
pub(super) fn check_import(import: &Import, names: &Names, depth: usize) -> Result<(), Offence> {
    let path: Vec<&str> = import.path.iter().map(String::as_str).collect();
    if CRATES.contains(&import.alias.as_str()) {
        let reason = format!("`{}` hides the crate of that name", import.alias);
        return Err(("path", reason));
    }
    if import.glob {
        let local = matches!(
            path.as_slice(),
            ["crate", "spec", ..] | ["self" | "super", ..]
        ) || path
            .first()
            .is_some_and(|first| names.modules.contains(*first))
            || path
                .first()
                .is_some_and(|first| names.types.contains(*first));
        if !local || import.leading_colon {
            return Err(("path", format!("`{}::*`: name the items", path.join("::"))));
        }
        return check(&path, false, names, depth);
    }
    // `use core;`, `use crate as x;`, `use x as y;` rename a whole crate, or say nothing.
    if path.len() < 2 {
        return Err((
            "path",
            format!("`{}`: import its items, not the whole", path.join("::")),
        ));
    }
    check(&path, import.leading_colon, names, depth)
}

/// Checks a path of two or more names (one name alone is local, or was imported).
pub(super) fn check(
    path: &[&str],
    leading_colon: bool,
    names: &Names,
    depth: usize,
) -> Result<(), Offence> {
    if leading_colon {
        return check_crate(path);
    }
    // `super` may lead to a module of this file, never out of it.
    if path.iter().filter(|name| **name == "super").count() > depth {
        return Err((
            "path",
            format!("`{}` leads out of this file", path.join("::")),
        ));
    }
    Resolution {
        names,
        pending: vec![owned(path)],
        seen: BTreeSet::new(),
    }
    .run()
}

pub(super) fn is_crate(name: &str) -> bool {
    CRATES.contains(&name)
}

pub(super) fn is_primitive(name: &str) -> bool {
    PRIMITIVES.contains(&name)
}

/// Follows a path through the file's imports and modules, to every place it could lead to.
struct Resolution<'a> {
    names: &'a Names,
    pending: Vec<Vec<String>>,
    seen: BTreeSet<Vec<String>>,
}

impl Resolution<'_> {
    fn run(mut self) -> Result<(), Offence> {
        while let Some(path) = self.pending.pop() {
            if path.len() > SEGMENTS_MAX {
                return Err(("path", format!("a path of more than {SEGMENTS_MAX} names")));
            }
            if self.seen.len() >= STEPS_MAX || self.pending.len() >= STEPS_MAX {
                let reason = format!("`{}` leads through too many imports", path.join("::"));
                return Err(("path", reason));
            }
            if self.seen.insert(path.clone()) {
                self.step(&path)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, path: &[String]) -> Result<(), Offence> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let (first, rest) = match names.as_slice() {
            ["crate", ..] => return check_spec(&names),
            ["self" | "super" | "Self", rest @ ..] => {
                self.follow_inside(rest);
                return Ok(());
            }
            [first, rest @ ..] => (*first, rest),
            [] => return Ok(()),
        };
        let targets = self.names.imports.get(first);
        for target in targets.into_iter().flatten() {
            let whole = target.iter().cloned().chain(owned(rest));
            self.pending.push(whole.collect());
        }
        let local = self.names.modules.contains(first);
        if local {
            self.follow_inside(rest);
        }
        if local || targets.is_some() || is_type(first) || is_primitive(first) {
            return Ok(());
        }
        check_crate(&names)
    }

    /// The rest of a path that began inside this file: it matters where imports or modules go on.
    fn follow_inside(&mut self, rest: &[&str]) {
        let goes_on = rest.first().is_some_and(|next| {
            matches!(*next, "self" | "super")
                || self.names.imports.contains_key(*next)
                || self.names.modules.contains(*next)
        });
        if goes_on {
            self.pending.push(owned(rest));
        }
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

fn check_spec(path: &[&str]) -> Result<(), Offence> {
    match path {
        ["crate", "spec", ..] => Ok(()),
        _ => Err((
            "path",
            format!("`{}`: only `crate::spec` is allowed", path.join("::")),
        )),
    }
}

fn check_crate(path: &[&str]) -> Result<(), Offence> {
    let (home, rest) = match path {
        [home, rest @ ..] => (*home, rest),
        [] => return Err(("path", "an empty path".to_owned())),
    };
    let allowed = match (home, rest) {
        ("hashbrown" | "ratchet_codec", [_, ..]) => true,
        ("ratchet_api", [item, ..]) => API.contains(item),
        ("core", ["hint", rest @ ..]) => rest.first().is_none_or(|name| CORE_HINT.contains(name)),
        ("core", ["mem", rest @ ..]) => rest.first().is_none_or(|name| CORE_MEM.contains(name)),
        ("core", [module, ..]) => CORE.contains(module),
        ("alloc", [module, ..]) => ALLOC.contains(module),
        _ => {
            let reason = format!("`{home}` is not a crate or name that this file may use");
            return Err(("crate", reason));
        }
    };
    if allowed {
        return Ok(());
    }
    Err(("path", format!("`{}` is not allowed", path.join("::"))))
}

/// Types, traits and generic parameters begin with a capital; crates and modules do not.
fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
}
