use super::*;

const HEAD: &str = "#![forbid(unsafe_code)]\n";

/// `body` follows the head, so its first line is line 2.
#[track_caller]
fn check_body(body: &str, expected: Result<(), (&str, usize)>) {
    let source = format!("{HEAD}{body}\n");
    let found = check(&source);
    let short = found
        .clone()
        .map_err(|refusal| (refusal.rule, refusal.line));
    assert_eq!(short, expected, "{body}\n{found:?}");
}

#[test]
fn a_realistic_aggregate_passes() {
    check(include_str!("accepted.rs.txt")).unwrap();
    check(include_str!("../../../../guest/candidate/src/aggregate.rs")).unwrap();
}

/// What no source may hold, and the rule that says so.
const SNIPPETS: &[(&str, &str)] = &[
    // unsafe, in every place that the grammar has for it
    ("fn f() { unsafe { g() } }", "unsafe"),
    ("unsafe fn f() {}", "unsafe"),
    ("unsafe trait T {}", "unsafe"),
    ("struct S; unsafe impl Send for S {}", "unsafe"),
    ("impl S { unsafe fn f() {} }", "unsafe"),
    ("trait T { unsafe fn f(); }", "unsafe"),
    ("type F = unsafe fn();", "unsafe"),
    ("fn f() { assert!(unsafe { g() }); }", "unsafe"),
    ("unsafe extern \"C\" { fn f(); }", "unsafe"),
    ("union U { a: u32, b: f32 }", "unsafe"),
    // foreign items and raw pointers
    ("extern \"C\" { fn f(); }", "extern"),
    ("extern \"C\" fn f() {}", "extern"),
    ("type F = extern \"C\" fn();", "extern"),
    ("fn f(p: *const u8) {}", "pointer"),
    ("fn f(p: Option<&[*mut u8]>) {}", "pointer"),
    ("fn f(x: u8) { let p = &raw const x; }", "pointer"),
    ("fn f(x: &u8) { let p = x as *const u8; }", "pointer"),
    // macros
    ("const S: &str = include_str!(\"/etc/passwd\");", "macro"),
    ("const S: &[u8] = include_bytes!(\"x\");", "macro"),
    ("include!(\"other.rs\");", "macro"),
    ("const S: &str = env!(\"HOME\");", "macro"),
    ("const S: Option<&str> = option_env!(\"HOME\");", "macro"),
    ("fn f() { core::arch::asm!(\"nop\"); }", "macro"),
    ("fn f() { asm!(\"nop\"); }", "macro"),
    ("core::arch::global_asm!(\"nop\");", "macro"),
    ("const B: &[u8] = concat_bytes!(1, 2);", "macro"),
    ("fn f() { panic!(\"x\"); }", "macro"),
    ("fn f() { println!(); }", "macro"),
    ("macro_rules! m { () => { } }", "macro"),
    ("thread_local!(static X: u8 = 0);", "macro"),
    ("ratchet_api::guest!(Aggregator);", "macro"),
    ("fn f() { foo::vec![1]; }", "macro"),
    ("fn f() { ::vec![1]; }", "macro"),
    ("fn f() { vec![include_str!(\"x\")]; }", "macro"),
    (
        "fn f() { assert!(matches!(1, x if x == env!(\"N\"))); }",
        "macro",
    ),
    ("fn f() { vec![1; 2; 3]; }", "macro"),
    ("type T = m!();", "macro"),
    ("fn f(m!(): u8) {}", "macro"),
    ("trait T { m!(); }", "macro"),
    // attributes
    ("#[path = \"x.rs\"] mod m {}", "attribute"),
    ("#[no_mangle] fn f() {}", "attribute"),
    ("#[export_name = \"init\"] fn f() {}", "attribute"),
    ("#[link_section = \".init\"] fn f() {}", "attribute"),
    ("#[global_allocator] const A: u8 = 0;", "attribute"),
    ("#[cfg(test)] fn f() {}", "attribute"),
    ("#[cfg_attr(all(), path = \"x.rs\")] fn f() {}", "attribute"),
    ("#![feature(asm)]", "attribute"),
    ("#![no_std]", "attribute"),
    ("#[repr(C)] struct S;", "attribute"),
    ("#[derive(Serialize)] struct S;", "attribute"),
    ("#[derive(core::clone::Clone)] struct S;", "attribute"),
    ("#[allow(unsafe_code)] fn f() {}", "attribute"),
    ("#[forbid(unsafe_code)] fn f() {}", "attribute"),
    (
        "#[doc = include_str!(\"/etc/passwd\")] fn f() {}",
        "attribute",
    ),
    ("#[inline(sometimes)] fn f() {}", "attribute"),
    (
        "#[target_feature(enable = \"simd128\")] fn f() {}",
        "attribute",
    ),
    ("#[test] fn f() {}", "attribute"),
    ("#[panic_handler] fn f() {}", "attribute"),
    ("#[macro_use] mod m {}", "attribute"),
    ("#[rustfmt::other] fn f() {}", "attribute"),
    ("fn f() { #[cfg(all())] g(); }", "attribute"),
    ("fn f(#[cfg(all())] x: u8) {}", "attribute"),
    // modules elsewhere, statics that change
    ("mod other;", "module"),
    ("pub(crate) mod m { mod other; }", "module"),
    ("static mut N: u32 = 0;", "static"),
    ("static N: AtomicU32 = f();", "static"),
    ("static N: core::num::NonZeroU32 = f();", "static"),
    ("static V: Vec<u8> = Vec::new();", "static"),
    ("static F: fn() = f;", "static"),
    ("fn f() { static mut N: u32 = 0; }", "static"),
    ("static D: &'static dyn T = &S;", "static"),
    // syntax that needs no reading
    ("trait T = Copy;", "syntax"),
    ("async fn f() {}", "syntax"),
    ("fn f() { }}", "parse"),
    ("fn f() { let = ; }", "parse"),
    ("fn f() { \"", "parse"),
    ("fn \u{e9}t\u{e9}() {}", "text"),
];

#[test]
fn refused_snippets() {
    for &(body, rule) in SNIPPETS {
        check_body(body, Err((rule, 2)));
    }
}

/// What no source may name, and the rule that says so.
const PATHS: &[(&str, &str)] = &[
    ("use std::fs;", "crate"),
    ("use ::std::fs::read;", "crate"),
    ("fn f() { std::process::exit(1); }", "crate"),
    ("fn f() { ::std::process::exit(1); }", "crate"),
    ("fn f() -> vstd::seq::Seq<u8> { g() }", "crate"),
    ("use ratchet_rules::parse;", "crate"),
    ("extern crate std;", "crate"),
    ("extern crate alloc as a;", "crate"),
    ("use std;", "path"),
    ("use core;", "path"),
    ("use core as c;", "path"),
    ("use core::{self as c};", "path"),
    ("use ::ratchet_api;", "path"),
    ("use crate as root;", "path"),
    ("use core::*;", "path"),
    ("use alloc::*;", "path"),
    ("use hashbrown::*;", "path"),
    ("use core::cmp::*;", "path"),
    ("use core::arch::wasm32;", "path"),
    ("use core::cell::Cell;", "path"),
    ("use core::{cmp::min, cell::{self, RefCell}};", "path"),
    ("use core::sync::atomic::AtomicU32;", "path"),
    ("use core::ptr;", "path"),
    ("use core::intrinsics::abort;", "path"),
    ("use core::include_str as vec;", "path"),
    ("use core::mem::transmute;", "path"),
    ("use core::hint::unreachable_unchecked;", "path"),
    ("use core::mem; fn f() { mem::transmute(1) }", "path"),
    ("use core::mem as m; use m as n;", "path"),
    ("use core::mem as m; use m::transmute as t;", "path"),
    (
        "mod a { pub use core::mem; } fn f() { a::mem::zeroed() }",
        "path",
    ),
    (
        "mod a { pub use core::mem as b; } use a::b as c; fn f() { c::forget(1) }",
        "path",
    ),
    ("use core::mem as b; fn f() { self::b::forget(1) }", "path"),
    (
        "mod a { fn f() { super::b::forget(1) } } use core::mem as b;",
        "path",
    ),
    ("use alloc::alloc::alloc;", "path"),
    ("use alloc::rc::Rc;", "path"),
    ("use alloc::format;", "path"),
    ("use ratchet_api::run_native;", "path"),
    ("use ratchet_api::wasm::Guest;", "path"),
    ("use ratchet_api::{Aggregate, host};", "path"),
    ("use crate::aggregate::X;", "path"),
    ("use crate::lib;", "path"),
    ("use super::spec;", "path"),
    ("fn f() { super::init(); }", "path"),
    ("mod m { use super::super::x; }", "path"),
    ("mod core { pub fn f() {} }", "path"),
    ("use spec as alloc;", "path"),
    ("impl core::cell::Foo for S {}", "path"),
    ("fn f<T: core::sync::Foo>() {}", "path"),
    ("fn f() { <S as core::cell::Foo>::f(); }", "path"),
    ("fn f(x: Vec<core::cell::Cell<u8>>) {}", "path"),
    ("fn f() { let x: [u8; core::arch::N] = y; }", "path"),
    ("fn f() { if let core::cell::X { .. } = y {} }", "path"),
    ("fn f() { matches!(x, core::cell::X | 2); }", "path"),
    ("fn f() { vec![core::arch::x(); 2]; }", "path"),
    ("fn f() { unknown::g(); }", "crate"),
    ("fn f() { r#core::cell::g(); }", "crate"),
    ("use a::b; use b::a; fn f() { a::c(); }", "path"),
];

#[test]
fn refused_paths() {
    for &(body, rule) in PATHS {
        let found = check(&format!("{HEAD}{body}\n"));
        let refusal = found.expect_err(body);
        assert_eq!((refusal.rule, refusal.line), (rule, 2), "{body}: {refusal}");
    }
}

#[test]
fn accepted_snippets() {
    let cases = [
        "",
        "use alloc::vec; use alloc::vec::Vec; fn f() -> Vec<u8> { vec![0; 4] }",
        "fn f() { alloc::vec![1, 2, 3,]; alloc::vec![]; core::assert!(true, \"{}\", 1); }",
        "fn f(x: u8) -> bool { matches!(x, 1 | 2 if x > 0,) }",
        "use core::mem; fn f(a: &mut u8) -> u8 { mem::take(a) }",
        "use core::{cmp::{self, Ordering}, hint::black_box};",
        "use hashbrown::{hash_map::Entry, HashMap, HashTable};",
        "use ratchet_codec::payload::{Column, Message}; use ratchet_codec::DecodeError;",
        "use ratchet_api::{Aggregate, Record, Records, Refusal};",
        "use crate::spec; use crate::spec::*; const N: usize = spec::RULES_BLOB.len();",
        "mod m { pub struct Foo; impl Foo { pub fn new() -> Self { Foo } } } use m::Foo; \
         fn f() { Foo::new(); m::Foo::new(); self::m::Foo::new(); }",
        "mod a { use super::*; pub mod b { pub fn f() { super::super::g() } } } fn g() {}",
        "enum E { A, B } use E::*; fn f() -> E { A }",
        "#[derive(Clone, Copy, Debug, Default, PartialEq)] enum E { #[default] A }",
        "#[inline] fn a() {} #[inline(always)] fn b() {} #[cold] #[inline(never)] fn c() {}",
        "#![allow(dead_code, unused_mut, clippy::needless_range_loop)]",
        "#[allow(clippy::all)] #[must_use] #[rustfmt::skip] /** doc */ fn f() {}",
        "/// Doc.\nconst TABLE: [u32; 4] = [1, 2, 3, 4];",
        "struct P(u8); static T: [(&str, u8); 1] = [(\"a\", 1)]; static Q: &[P] = &[P(1)];",
        "fn f() -> f64 { f64::from_bits(0x7ff8_0000_0000_0000) + f64::NAN + <f64>::MAX }",
        "fn f<T: core::ops::Add>(a: T, b: T) -> <T as core::ops::Add>::Output { a + b }",
        "struct D; impl Drop for D { fn drop(&mut self) {} }",
        "fn f() { let r#unsafe = \"unsafe extern { }\"; /* unsafe */ }",
        "pub(crate) struct S { pub(super) x: u8 }",
        "fn f(x: &dyn Fn(u32) -> u32, y: impl Iterator<Item = u8>) {}",
        "fn f() { loop { break; } debug_assert_eq!(1, 1, \"same\"); unreachable!(\"no {}\", 2) }",
    ];
    for body in cases {
        check_body(body, Ok(()));
    }
}

#[test]
fn head_size_and_text() {
    let check_whole = |source: &str, expected: Result<(), (&str, usize, usize)>| {
        let found = check(source);
        let short = found.map_err(|refusal| (refusal.rule, refusal.line, refusal.column));
        assert_eq!(short, expected, "{source:.60}");
    };
    check_whole("//! Doc.\n#![forbid(unsafe_code)]\n", Ok(()));
    check_whole(
        "// note\n#![allow(dead_code)]\n#![forbid(unsafe_code)]\n",
        Err(("head", 2, 1)),
    );
    check_whole("", Err(("head", 1, 1)));
    check_whole("fn f() {}", Err(("head", 1, 1)));
    check_whole("#![forbid(missing_docs)]", Err(("head", 1, 1)));
    check_whole("#![deny(unsafe_code)]", Err(("head", 1, 1)));
    check_whole(
        "#![cfg_attr(all(), forbid(unsafe_code))]",
        Err(("head", 1, 1)),
    );
    check_whole(
        "#!/usr/bin/env rustc\n#![forbid(unsafe_code)]",
        Err(("parse", 1, 3)),
    );
    check_whole("\u{feff}#![forbid(unsafe_code)]", Err(("text", 1, 1)));
    check_whole(
        "#![forbid(unsafe_code)]\n// a\u{202e}b",
        Err(("text", 2, 5)),
    );
    check_whole("#![forbid(unsafe_code)]\n\n//\u{2066}", Err(("text", 3, 3)));
    check_whole("#![forbid(unsafe_code)]\r\n", Err(("text", 1, 24)));
    check_whole("#![forbid(unsafe_code)]\n\0", Err(("text", 2, 1)));
    check_whole(
        "#![forbid(unsafe_code)]\n// \u{e9}t\u{e9} \u{2192}\n",
        Ok(()),
    );
    let filled = format!("{HEAD}//{}", "x".repeat(SOURCE_BYTES_MAX - HEAD.len() - 3));
    check_whole(&filled, Ok(()));
    check_whole(&format!("{filled}x"), Err(("size", 1, 1)));
}

#[test]
fn the_first_offence_is_told() {
    let body = "fn a() {}\nmod x;\nfn b() { unsafe {} }\nstatic mut N: u8 = 0;\n";
    check_body(body, Err(("module", 3)));
    let refusal = check(&format!("{HEAD}fn f() {{ 1; panic!() }}")).unwrap_err();
    assert_eq!((refusal.line, refusal.column), (2, 13));
    assert_eq!(
        refusal.to_string(),
        "2:13: macro: macro `panic!` is not allowed"
    );
}

/// Nesting without brackets recurses in the parser, the walk and the destructors.
#[test]
fn deep_nesting_is_an_answer() {
    let fill = |unit: &str, room: usize| unit.repeat((SOURCE_BYTES_MAX - 100 - room) / unit.len());
    check_body(
        &format!("fn f() {{ {}1{} }}", "(".repeat(127), ")".repeat(127)),
        Ok(()),
    );
    let deep = format!("fn f() {{ {}1{} }}", "(".repeat(128), ")".repeat(128));
    check_body(&deep, Err(("depth", 2)));
    let deepest = format!("fn f() {{ {}1{} }}", "(".repeat(8000), ")".repeat(8000));
    check_body(&deepest, Err(("depth", 2)));
    let answered = [
        format!("fn f() {{ {}1; }}", fill("!", 0)),
        format!("fn f() {{ {}1; }}", fill("&", 0)),
        format!("fn f() {{ {}1; }}", fill("-", 0)),
        format!("fn f() {{ {}1; }}", fill("||", 0)),
        format!("fn f() {{ 1{}; }}", fill("+1", 0)),
        format!("fn f() {{ 1{}; }}", fill("..1", 0)),
        format!("fn f() {{ x{}; }}", fill(".a", 0)),
        format!("fn f() {{ x{}; }}", fill("?", 0)),
        format!("fn f() {{ x{}; }}", fill("()", 0)),
        format!("fn f() {{ x{}1; }}", fill("=x", 0)),
        format!("fn f() {{ {}1; }}", fill("return ", 0)),
        format!("fn f() {{ {}{{}} }}", fill("if a {} else ", 0)),
        format!("fn f() {{ 1{}; }}", fill(" as u8", 0)),
        format!("type T = {}u8;", fill("&", 0)),
        format!("type T = {}u8;", fill("fn()->", 0)),
        format!("type T = {}u8{};", "A<".repeat(5000), ">".repeat(5000)),
        format!("fn f({}x: u8) {{}}", fill("&", 0)),
        format!("use {}a;", fill("a::", 0)),
        format!("fn f() {{ {}a; }}", fill("a::", 0)),
        fill("use a as a;", 0),
    ];
    for body in answered {
        // Accepted or refused, it is answered, in bounded time.
        let _ = check(&format!("{HEAD}{body}"));
    }
}

#[test]
fn report_is_the_json_of_the_command() {
    let directory = crate::files::scratch("source-report");
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        report(&path, None)
    };
    let pass = write("pass.rs", HEAD.as_bytes()).unwrap();
    assert_eq!(pass, json!({ "verdict": "pass" }));
    let refused = write("unsafe.rs", b"#![forbid(unsafe_code)]\nunsafe fn f() {}").unwrap();
    assert_eq!(
        refused,
        json!({ "verdict": "refused", "rule": "unsafe", "reason": "`unsafe`", "line": 2,
            "column": 1 })
    );
    assert_eq!(write("bytes.rs", b"\xff").unwrap()["rule"], "text");
    assert_eq!(write("long.rs", &[b' '; 20_000]).unwrap()["rule"], "size");
    assert!(report(&directory.join("absent.rs"), None).is_err());
    std::fs::remove_dir_all(directory).unwrap();
}
