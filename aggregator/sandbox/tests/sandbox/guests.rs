//! Guests for tests.

use ratchet_sandbox::componentize;

/// The kit's core modules.
pub const BASELINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/baseline.wasm"));
pub const PER_POINT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/per-point.wasm"));

/// A component from the text of a core module.
pub fn component(text: &str) -> Vec<u8> {
    let core = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    componentize(&core).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What hand-made guests have in common. Records lie from 1024 on; `$heap` begins at 8192 and is
/// handed out without end, unless a process body resets it.
const PRELUDE: &str = r#"
  (import "ratchet:guest/payload@1.0.0" "read" (func $read (param i32 i32 i32)))
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 8192))
  (global $calls (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $heap (i32.add (global.get $heap) (local.get 3)))
    (i32.sub (global.get $heap) (local.get 3)))
  (func $answer (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 16) (local.get $at))
    (i32.store (i32.const 20) (local.get $len))
    (i32.const 16))
  (func $record (param $index i32) (param $rule i32) (param $set i32) (param $window i32)
      (param $count i32) (param $value f64) (local $at i32)
    (local.set $at (i32.add (i32.const 1024) (i32.mul (local.get $index) (i32.const 24))))
    (i32.store (local.get $at) (local.get $rule))
    (i32.store offset=4 (local.get $at) (local.get $set))
    (i32.store offset=8 (local.get $at) (local.get $window))
    (i32.store offset=12 (local.get $at) (local.get $count))
    (f64.store offset=16 (local.get $at) (local.get $value)))
"#;

const PROCESS: &str = r#"(export "process") (param $len i32) (param $prefix i32)
    (param $strings i32) (param $keys i32) (param $sets i32) (param $points i32)
    (param $min i64) (param $max i64) (result i32)"#;

/// A hand-made guest. Both bodies may use `$read`, `$answer` and `$record`.
pub fn by_hand(init: &str, process: &str) -> Vec<u8> {
    component(&format!(
        r#"(module {PRELUDE}
          (func (export "init") (param $rules i32) (param $rules_len i32) {init})
          (func {PROCESS} (local $n i32) {process}))"#
    ))
}

/// A hand-made guest that answers records: each is "rule set window count value".
pub fn answering(records: &[&str]) -> Vec<u8> {
    answering_at(1024, records)
}

/// The same with the records at another address.
pub fn answering_at(address: u32, records: &[&str]) -> Vec<u8> {
    let mut body = String::new();
    for (at, record) in records.iter().enumerate() {
        let mut words = record.split(' ');
        let mut word = || words.next().expect("five words a record");
        let whole = [word(), word(), word(), word()].map(|word| format!("(i32.const {word})"));
        let whole = whole.join(" ");
        body += &format!(
            "(call $record (i32.const {at}) {whole} (f64.const {}))\n",
            word()
        );
    }
    let len = 24 * records.len();
    body += &format!(
        "(memory.copy (i32.const {address}) (i32.const 1024) (i32.const {len}))
         (call $answer (i32.const {address}) (i32.const {len}))"
    );
    by_hand("", &body)
}

/// The baseline with another `process` around its own. `before` runs before it, `after` behind it
/// with the address of the first record in `$at` and their length in bytes in `$bytes`; `$calls`
/// counts the calls. What remains in `$bytes` is the length of the answer.
pub fn tampered(before: &str, after: &str) -> Vec<u8> {
    let text = wasmprinter::print_bytes(BASELINE).expect("the kit's baseline is a module");
    let export = text
        .lines()
        .find(|line| line.contains("(export \"process\""))
        .expect("process");
    let index = export
        .trim_end()
        .trim_end_matches(')')
        .rsplit(' ')
        .next()
        .expect("an index");
    let text = text.replacen(export, "", 1);
    let end = text.trim_end().len() - 1;
    let arguments = "(local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
        (local.get 5) (local.get 6) (local.get 7)";
    component(&format!(
        r#"{}
        (global $calls (mut i32) (i32.const 0))
        (func {PROCESS} (local $out i32) (local $at i32) (local $bytes i32) (local $n i32)
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          {before}
          (local.set $out (call {index} {arguments}))
          (local.set $at (i32.load (local.get $out)))
          (local.set $bytes (i32.load offset=4 (local.get $out)))
          {after}
          (i32.store offset=4 (local.get $out) (local.get $bytes))
          (local.get $out)))"#,
        &text[..end]
    ))
}

/// Flips the lowest bit of the first record's value.
pub const FLIP: &str = "(if (local.get $bytes) (then
    (i32.store offset=16 (local.get $at)
      (i32.xor (i32.load offset=16 (local.get $at)) (i32.const 1)))))";
