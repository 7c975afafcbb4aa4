//! What is counted in a component's code: each class by the first and the last of its instructions
//! in the binary format, and what lies beside them.

use crate::guests::{component, BASELINE};
use crate::policy::with;
use ratchet_sandbox::componentize;
use ratchet_sandbox::policy::{check_module, Instructions};
use ratchet_sandbox::Limits;

/// Beside what the frame of the component holds: one call, of the import.
fn check(items: &str, process: &str, expected: Instructions) {
    let component = with(items, process);
    check_module(&component, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let calls = expected.calls + 1;
    let found = Instructions::of(&component).expect("an admitted component");
    assert_eq!(found, Instructions { calls, ..expected }, "{process}");
}

const NONE: Instructions = Instructions {
    calls: 0,
    branches: 0,
    loops: 0,
    loads: 0,
    stores: 0,
    bulk: 0,
    integers: 0,
    floats: 0,
    conversions: 0,
    vectors: 0,
};

#[test]
fn calls_and_branches() {
    let items = "(func $f) (table 1 funcref) (type $t (func))";
    let calls = "(call $f) (call_indirect (type $t) (i32.const 0))";
    check(items, calls, Instructions { calls: 2, ..NONE });
    let branches = "(block $b (if (i32.const 0) (then nop) (else nop)) (br_if $b (i32.const 0))
        (br_table $b $b (i32.const 0)) (br $b)) (if (i32.const 0) (then (return (i32.const 8))))";
    let expected = Instructions {
        branches: 6,
        ..NONE
    };
    check("", branches, expected);
    let loops = "(loop $l (loop (br_if $l (i32.const 0)))) unreachable";
    let expected = Instructions {
        loops: 2,
        branches: 1,
        ..NONE
    };
    check("", loops, expected);
}

/// Operands are constants of one type, and the result is dropped.
fn check_operators(operators: &[&str], operands: &str, expected: Instructions) {
    for operator in operators {
        check("", &format!("(drop ({operator} {operands}))"), expected);
    }
}

#[test]
fn memory() {
    let loads = Instructions { loads: 1, ..NONE };
    let plain = ["i32.load", "i64.load32_u", "f64.load", "i64.load8_s"];
    check_operators(&plain, "(i32.const 0)", loads);
    let wide = [
        "v128.load",
        "v128.load64_splat",
        "v128.load32_zero",
        "v128.load64_zero",
    ];
    check_operators(&wide, "(i32.const 0)", loads);
    let lane = [
        "v128.load8_lane 0",
        "v128.load32_lane 0",
        "v128.load64_lane 0",
    ];
    let vector = "(i32.const 0) (v128.const i64x2 0 0)";
    check_operators(&lane, vector, constant(loads, vector));
    let stores = Instructions { stores: 1, ..NONE };
    for store in [
        "i32.store (i32.const 0) (i32.const 0)",
        "f64.store (i32.const 0) (f64.const 0)",
        "i64.store32 (i32.const 0) (i64.const 0)",
        "v128.store (i32.const 0) (v128.const i64x2 0 0)",
        "v128.store8_lane 0 (i32.const 0) (v128.const i64x2 0 0)",
        "v128.store64_lane 0 (i32.const 0) (v128.const i64x2 0 0)",
    ] {
        let process = format!("({store})");
        check("", &process, constant(stores, &process));
    }
    let items = r#"(table $t 1 funcref) (data $d "") (elem $e funcref)"#;
    for copy in [
        "memory.init $d",
        "memory.copy",
        "memory.fill",
        "table.init $t $e",
        "table.copy $t $t",
    ] {
        let process = format!("({copy} (i32.const 0) (i32.const 0) (i32.const 0))");
        check(items, &process, Instructions { bulk: 1, ..NONE });
    }
    check("", "(drop (memory.grow (memory.size)))", NONE);
    check(items, "(data.drop $d) (elem.drop $e)", NONE);
}

/// A constant vector is an instruction on vectors.
fn constant(expected: Instructions, process: &str) -> Instructions {
    let vectors = process.matches("v128.const").count() as u64;
    Instructions {
        vectors,
        ..expected
    }
}

#[test]
fn numbers() {
    let integers = Instructions {
        integers: 1,
        ..NONE
    };
    check_operators(&["i32.eqz", "i32.clz"], "(i32.const 0)", integers);
    let two = "(i32.const 0) (i32.const 0)";
    check_operators(&["i32.ge_u", "i32.add", "i32.rotr"], two, integers);
    let two = "(i64.const 0) (i64.const 0)";
    check_operators(&["i64.eq", "i64.ge_u", "i64.rotr"], two, integers);
    let floats = Instructions { floats: 1, ..NONE };
    let two = "(f32.const 0) (f32.const 0)";
    check_operators(&["f32.eq", "f32.ge", "f32.copysign"], two, floats);
    check_operators(&["f32.abs"], "(f32.const 0)", floats);
    let two = "(f64.const 0) (f64.const 0)";
    check_operators(
        &["f64.eq", "f64.ge", "f64.add", "f64.copysign"],
        two,
        floats,
    );
    let conversions = Instructions {
        conversions: 1,
        ..NONE
    };
    let of_long = ["i32.wrap_i64", "f64.reinterpret_i64", "i64.extend32_s"];
    check_operators(&of_long, "(i64.const 0)", conversions);
    check_operators(&["i32.extend8_s"], "(i32.const 0)", conversions);
    check_operators(&["i32.trunc_sat_f32_s"], "(f32.const 0)", conversions);
    check_operators(&["i64.trunc_sat_f64_u"], "(f64.const 0)", conversions);
    let vectors = Instructions { vectors: 3, ..NONE };
    let two = "(v128.const i64x2 0 0) (v128.const i64x2 0 0)";
    let wide = ["i8x16.swizzle", "v128.and", "i64x2.add", "f64x2.pmax"];
    check_operators(&wide, two, vectors);
    check(
        "(global (mut i32) (i32.const 0))",
        "(global.set 0 (select (local.get 0) (i32.const 1) (local.tee 0 (i32.const 2))))",
        NONE,
    );
}

#[test]
fn of_a_guest_and_of_rubbish() {
    let baseline = componentize(BASELINE).expect("a guest");
    let counts = Instructions::of(&baseline).expect("a component");
    let frame = component(
        r#"(module (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
          (func (export "init") (param i32 i32))
          (func (export "process") (param i32 i32 i32 i32 i32 i32 i64 i64) (result i32)
            (i32.const 8)))"#,
    );
    assert_eq!(Instructions::of(&frame).expect("a component"), NONE);
    for (class, count) in [
        ("calls", counts.calls),
        ("branches", counts.branches),
        ("loops", counts.loops),
        ("loads", counts.loads),
        ("stores", counts.stores),
        ("bulk", counts.bulk),
        ("integers", counts.integers),
        ("floats", counts.floats),
        ("conversions", counts.conversions),
    ] {
        assert!(count > 0, "no {class} in the baseline");
    }
    for bytes in [&b"rubbish"[..], &baseline[..baseline.len() / 2]] {
        assert!(Instructions::of(bytes).is_err());
    }
}
