//! What is not admitted, each with its own rule.

use crate::guests::{by_hand, component, BASELINE, PER_POINT};
use ratchet_sandbox::{componentize, policy, Engine, Kind, Limits};

const EMPTY: &str = "(call $answer (i32.const 1024) (i32.const 0))";

fn check(component: &[u8], rule: &str, detail: &str) {
    let refusal = policy::check_module(component, &Limits::default()).expect_err(rule);
    assert_eq!(refusal.rule(), rule, "{refusal}");
    assert!(refusal.to_string().contains(detail), "{refusal}");
    let engine = Engine::new(Kind::Production, Limits::default()).expect("an engine");
    assert!(
        engine.compile(component).is_err(),
        "{rule}: compiled all the same"
    );
}

#[test]
fn admitted() {
    let baseline = componentize(BASELINE).expect("a guest");
    let per_point = componentize(PER_POINT).expect("a guest");
    // A guest that never reads its message has no import at all.
    let deaf = component(
        r#"(module (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
          (func (export "init") (param i32 i32))
          (func (export "process") (param i32 i32 i32 i32 i32 i32 i64 i64) (result i32)
            (i32.const 8)))"#,
    );
    for component in [baseline, per_point, by_hand("", EMPTY), deaf] {
        let checked = policy::check_module(&component, &Limits::default());
        assert_eq!(checked, Ok(policy::World::Payload));
    }
}

/// A component around a core module with these items beside its exports, and this in `process`. The
/// component is made by hand, because the encoder would refuse many of them itself.
pub(crate) fn with(items: &str, process: &str) -> Vec<u8> {
    let module = format!(
        r#"(core module $m
          (import "ratchet:guest/payload@1.0.0" "read" (func $read (param i32 i32 i32)))
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
          (func (export "init") (param i32 i32))
          (func $process (export "process") (param i32 i32 i32 i32 i32 i32 i64 i64) (result i32)
            {process} (i32.const 8))
          {items})"#
    );
    wrap(&module, "", EXPORTS)
}

pub(crate) const EXPORTS: &str =
    r#"(export "init" (func $init)) (export "process" (func $process))"#;

pub(crate) fn wrap(module: &str, more: &str, exports: &str) -> Vec<u8> {
    let params = r#"(param "len" u32) (param "prefix" u32) (param "strings" u32) (param "keys" u32)
        (param "sets" u32) (param "points" u32) (param "min-ts" s64) (param "max-ts" s64)"#;
    wrap_with(
        module,
        more,
        exports,
        params,
        r#"(param "offset" u32) (param "len" u32)"#,
    )
}

fn wrap_with(module: &str, more: &str, exports: &str, process: &str, read: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
          (import "ratchet:guest/payload@1.0.0" (instance $p
            (export "read" (func {read} (result (list u8))))))
          {module}
          (core module $stub
            (table (export "t") 1 1 funcref)
            (func (export "read") (param i32 i32 i32)
              (call_indirect (param i32 i32 i32) (local.get 0) (local.get 1) (local.get 2)
                (i32.const 0))))
          (core module $fix
            (import "" "t" (table 1 1 funcref))
            (import "" "read" (func $f (param i32 i32 i32)))
            (elem (i32.const 0) func $f))
          (core instance $s (instantiate $stub))
          (core instance $i (instantiate $m (with "ratchet:guest/payload@1.0.0" (instance
            (export "read" (func $s "read"))))))
          (core func $lowered (canon lower (func $p "read")
            (memory $i "memory") (realloc (func $i "cabi_realloc"))))
          (core instance (instantiate $fix (with "" (instance
            (export "t" (table $s "t")) (export "read" (func $lowered))))))
          (func $init (param "rules" (list u8))
            (canon lift (core func $i "init")
              (memory $i "memory") (realloc (func $i "cabi_realloc"))))
          (func $process {process} (result (list u8))
            (canon lift (core func $i "process") (memory $i "memory")))
          {more} {exports})"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Any core module that fits.
pub(crate) const PLAIN: &str = r#"(core module $m
  (import "ratchet:guest/payload@1.0.0" "read" (func (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "init") (param i32 i32))
  (func (export "process") (param i32 i32 i32 i32 i32 i32 i64 i64) (result i32) (i32.const 8)))"#;

#[test]
fn the_frame_of_these_tests_is_admitted() {
    assert_eq!(
        policy::check_module(&with("", ""), &Limits::default()),
        Ok(policy::World::Payload)
    );
    assert_eq!(
        policy::check_module(&wrap(PLAIN, "", EXPORTS), &Limits::default()),
        Ok(policy::World::Payload)
    );
}

#[test]
fn refused_bytes() {
    let whole = by_hand("", EMPTY);
    let cut = &whole[..whole.len() - 3];
    let mut changed = whole.clone();
    changed[8] = 0x7f;
    let limits = Limits {
        component_bytes: 100,
        ..Limits::default()
    };
    let refusal = policy::check_module(&whole, &limits).expect_err("size");
    assert_eq!(refusal.rule(), "size");
    let cases: [(&[u8], &str); 5] = [
        (b"", "not-component"),
        (b"\0asm\x01\0\0\0", "not-component"),
        (BASELINE, "not-component"),
        (cut, "invalid"),
        (&changed, "invalid"),
    ];
    for (bytes, rule) in cases {
        check(bytes, rule, "");
    }
    check(b"\0asm\x0d\0\x01\0", "memory", "0 memories");
}

#[test]
fn refused_features() {
    let cases: [(&str, &str, &str); 9] = [
        ("", "(drop (i32.atomic.load (i32.const 0)))", "threads"),
        (
            "",
            "(drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))",
            "relaxed-simd",
        ),
        (
            "(func (result i32) (return_call $x)) (func $x (result i32) (i32.const 1))",
            "",
            "tail-call",
        ),
        ("(tag)", "", "exceptions"),
        ("(type (struct))", "", "gc"),
        ("(func (param externref))", "", "gc"),
        (
            "(func (drop (ref.null func)) (ref.func $process) (drop (ref.as_non_null)))
            (elem declare func $process)",
            "",
            "function-references",
        ),
        (
            "",
            "(i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)) drop drop",
            "wide-arithmetic",
        ),
        ("(memory i64 1)", "", "memory"),
    ];
    for (items, process, feature) in cases {
        let component = with(items, process);
        let refusal = policy::check_module(&component, &Limits::default()).expect_err(feature);
        let told = refusal.to_string();
        let rule = if feature == "memory" {
            "memory"
        } else {
            "feature"
        };
        assert_eq!(refusal.rule(), rule, "{feature}: {told}");
        assert!(told.contains(feature), "{feature}: {told}");
    }
}

#[test]
fn refused_memories_and_tables() {
    let memory = |memory: &str| PLAIN.replace("(export \"memory\") 1", memory);
    let cases: [(Vec<u8>, &str, &str); 6] = [
        (with("(memory 1)", ""), "memory", "2 memories"),
        (
            wrap(&memory("(export \"memory\") 257"), "", EXPORTS),
            "memory",
            "16777216 allowed",
        ),
        (
            wrap(&memory("(export \"memory\") 1 2 shared"), "", EXPORTS),
            "feature",
            "threads",
        ),
        (
            wrap(&memory("(export \"memory\") i64 1"), "", EXPORTS),
            "feature",
            "memory64",
        ),
        (with("(table 20001 funcref)", ""), "table", "20001 elements"),
        (
            with(&"(table 1 funcref)".repeat(4), ""),
            "too-many",
            "5 tables",
        ),
    ];
    for (component, rule, detail) in cases {
        check(&component, rule, detail);
    }
}

#[test]
fn refused_shapes() {
    let body = "(drop (i32.const 100000))".repeat(1 << 18);
    let functions = "(func)".repeat(20_000);
    let cases: [(Vec<u8>, &str, &str); 7] = [
        (with("(func $s) (start $s)", ""), "start", "instantiated"),
        (wrap(PLAIN, "(component)", EXPORTS), "nested", "component"),
        (
            wrap(PLAIN, "(core module) (core module)", EXPORTS),
            "too-many",
            "5 core modules",
        ),
        (
            wrap(
                PLAIN,
                &"(core instance (instantiate $stub))".repeat(2),
                EXPORTS,
            ),
            "too-many",
            "5 core instances",
        ),
        (with("", &body), "too-many", "bytes of a body"),
        (with(&functions, ""), "too-many", "functions"),
        (
            wrap(
                PLAIN,
                "(type $r (resource (rep i32))) (core func (canon resource.new $r))",
                EXPORTS,
            ),
            "canonical",
            "ResourceNew",
        ),
    ];
    for (component, rule, detail) in cases {
        check(&component, rule, detail);
    }
}

#[test]
fn refused_worlds() {
    let wasi = r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance
        (export "now" (func (result u64)))))"#;
    let init = r#"(export "init" (func $init))"#;
    let good = r#"(param "len" u32) (param "prefix" u32) (param "strings" u32)
        (param "keys" u32) (param "sets" u32) (param "points" u32) (param "min-ts" s64)
        (param "max-ts" s64)"#;
    let (renamed, unsigned) = (good.replace("max-ts", "newest"), good.replace("s64", "u64"));
    let read = r#"(param "offset" u32) (param "len" u32)"#;
    let cases: [(Vec<u8>, &str, &str); 8] = [
        (wrap(PLAIN, wasi, EXPORTS), "import", "wasi:clocks"),
        (
            wrap(PLAIN, r#"(import "f" (func))"#, EXPORTS),
            "import",
            "\"f\"",
        ),
        (wrap(PLAIN, "", init), "export", "\"process\" is missing"),
        (
            wrap(
                PLAIN,
                "",
                &format!("{EXPORTS} (export \"more\" (func $init))"),
            ),
            "export",
            "\"more\"",
        ),
        (
            wrap(
                PLAIN,
                "",
                r#"(export "init" (func $process)) (export "process" (func $init))"#,
            ),
            "export",
            "\"init\" has another type",
        ),
        (
            wrap_with(PLAIN, "", EXPORTS, &renamed, read),
            "export",
            "\"process\" has another type",
        ),
        (
            wrap_with(PLAIN, "", EXPORTS, &unsigned, read),
            "export",
            "\"process\" has another type",
        ),
        (
            wrap_with(
                PLAIN,
                "",
                EXPORTS,
                good,
                r#"(param "offset" u32) (param "len" s32)"#,
            ),
            "import",
            "\"read\" has another type",
        ),
    ];
    for (component, rule, detail) in cases {
        check(&component, rule, detail);
    }
}

#[test]
fn cores_that_are_no_guests() {
    let cases = [
        ("(module)", "init"),
        (
            r#"(module (func (export "init") (param i32 i32)))"#,
            "process",
        ),
        (r#"(module (import "env" "now" (func)))"#, "env"),
    ];
    for (text, detail) in cases {
        let core = wat::parse_str(text).expect("a module");
        let error = componentize(&core).expect_err(text).to_string();
        assert!(error.contains(detail), "{text}: {error}");
    }
    assert!(componentize(b"rubbish").is_err());
}
