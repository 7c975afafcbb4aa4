//! Components of other languages: the empty WASI world, and who may import it.

use crate::policy::{wrap, EXPORTS, PLAIN};
use crate::traffic::{blob, message, two_rules};
use ratchet_codec::payload::validate;
use ratchet_sandbox::evaluate::{Evaluator, Failure, Incumbent, Options, Question, Verdict};
use ratchet_sandbox::policy::{check_module, World};
use ratchet_sandbox::{Engine, Fault, Kind, Limits, Runner, WasiLimits};

fn empty() -> Limits {
    Limits {
        wasi: Some(WasiLimits::default()),
        ..Limits::default()
    }
}

/// A component that imports an interface, of which it uses nothing.
fn importing(interface: &str) -> Vec<u8> {
    let module = format!(r#"(import "{interface}" (instance)) {PLAIN}"#);
    wrap(&module, "", EXPORTS)
}

#[test]
fn imports_by_policy() {
    let empty_world = [
        "wasi:cli/environment@0.2.0",
        "wasi:cli/exit@0.2.6",
        "wasi:cli/stdin@0.2.6",
        "wasi:cli/stdout@0.2.6",
        "wasi:cli/stderr@0.2.6",
        "wasi:cli/terminal-input@0.2.6",
        "wasi:clocks/monotonic-clock@0.2.6",
        "wasi:clocks/wall-clock@0.2.12",
        "wasi:filesystem/preopens@0.2.6",
        "wasi:filesystem/types@0.2.6",
        "wasi:io/error@0.2.6",
        "wasi:io/poll@0.2.6",
        "wasi:io/streams@0.2.6",
        "wasi:random/insecure-seed@0.2.6",
        "wasi:random/random@0.2.6",
    ];
    let nobodys = [
        "wasi:sockets/tcp@0.2.6",
        "wasi:sockets/instance-network@0.2.6",
        "wasi:sockets/ip-name-lookup@0.2.6",
        "wasi:http/outgoing-handler@0.2.6",
        "wasi:http/types@0.2.6",
        "wasi:cli/run@0.2.6",
        "wasi:random/random@0.3.0",
        "wasi:random/random",
        "other:random/random@0.2.6",
    ];
    let policies = [(Limits::default(), false), (empty(), true)];
    for (limits, allows) in policies {
        let engine = Engine::new(Kind::Production, limits.clone()).expect("an engine");
        let everything = empty_world.iter().map(|name| (name, allows));
        for (name, admitted) in everything.chain(nobodys.iter().map(|name| (name, false))) {
            let component = importing(name);
            match check_module(&component, &limits) {
                Ok(World::Wasi) if admitted => (),
                Err(refusal) if !admitted && refusal.rule() == "import" => (),
                other => panic!("{name}, WASI {allows}: {other:?}"),
            }
            assert_eq!(engine.compile(&component).is_ok(), admitted, "{name}");
        }
    }
}

#[test]
fn an_ordinary_guest_is_none_of_wasi() {
    let component = wrap(PLAIN, "", EXPORTS);
    assert_eq!(check_module(&component, &empty()), Ok(World::Payload));
    let engine = Engine::new(Kind::Production, empty()).expect("an engine");
    let module = engine.compile(&component).expect("a module");
    assert_eq!(module.limits(), engine.limits());
}

#[test]
fn limits_by_policy() {
    let with = |memory: &str| wrap(&PLAIN.replace("(export \"memory\") 1", memory), "", EXPORTS);
    let pages = |pages: u32| with(&format!("(export \"memory\") {pages}"));
    let small = WasiLimits {
        component_bytes: 64,
        ..WasiLimits::default()
    };
    let small = Limits {
        wasi: Some(small),
        ..Limits::default()
    };
    let cases = [
        (pages(257), Limits::default(), Err("memory")),
        (pages(257), empty(), Ok(World::Wasi)),
        (pages(1025), empty(), Err("memory")),
        (pages(257), small, Err("size")),
        (
            with("(export \"memory\") 1 2 shared"),
            empty(),
            Err("feature"),
        ),
    ];
    for (component, limits, expected) in cases {
        let found = check_module(&component, &limits);
        let found = found.as_ref().map_err(|refusal| refusal.rule());
        assert_eq!(found, expected.as_ref().map_err(|rule| *rule));
    }
}

/// A guest that asks the empty world for things: PROCESS may use `$now`, `$wait`, `$random`,
/// `$bytes`, `$environment`, `$arguments` and `$directories`. It answers two records, one of rule 0
/// and one of rule 1, whose values are `$a` and `$b`.
const ASKING: &str = r#"(component
  (import "ratchet:guest/payload@1.0.0" (instance))
  (import "wasi:io/poll@0.2.6" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:random/random@0.2.6" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:cli/environment@0.2.6" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:filesystem/types@0.2.6" (instance $files
    (export "descriptor" (type (sub resource)))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.6" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (core module $libc
    (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 8192))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
      (global.set $heap (i32.add (global.get $heap) (local.get 3)))
      (i32.sub (global.get $heap) (local.get 3))))
  (core instance $libc (instantiate $libc))
  (core func $now (canon lower (func $clock "now")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core func $u64 (canon lower (func $random "get-random-u64")))
  (core func $bytes (canon lower (func $random "get-random-bytes")
    (memory $libc "memory") (realloc (func $libc "cabi_realloc"))))
  (core func $env (canon lower (func $environment "get-environment")
    (memory $libc "memory") (realloc (func $libc "cabi_realloc"))))
  (core func $args (canon lower (func $environment "get-arguments")
    (memory $libc "memory") (realloc (func $libc "cabi_realloc"))))
  (core func $dirs (canon lower (func $preopens "get-directories")
    (memory $libc "memory") (realloc (func $libc "cabi_realloc"))))
  (core module $guest
    (import "" "memory" (memory 1))
    (import "" "now" (func $now (result i64)))
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "block" (func $block (param i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "u64" (func $random (result i64)))
    (import "" "bytes" (func $random_bytes (param i64 i32)))
    (import "" "env" (func $get_environment (param i32)))
    (import "" "args" (func $get_arguments (param i32)))
    (import "" "dirs" (func $get_directories (param i32)))
    (func $wait (param i64) (local $handle i32)
      (local.set $handle (call $subscribe (local.get 0)))
      (call $block (local.get $handle)) (call $drop (local.get $handle)))
    (func $bytes (param i64) (result i32)
      (call $random_bytes (local.get 0) (i32.const 64)) (i32.load offset=4 (i32.const 64)))
    (func $environment (result i32)
      (call $get_environment (i32.const 64)) (i32.load offset=4 (i32.const 64)))
    (func $arguments (result i32)
      (call $get_arguments (i32.const 64)) (i32.load offset=4 (i32.const 64)))
    (func $directories (result i32)
      (call $get_directories (i32.const 64)) (i32.load offset=4 (i32.const 64)))
    (func (export "init") (param i32 i32))
    (func (export "process") (param i32 i32 i32 i32 i32 i32 i64 i64) (result i32)
      (local $a f64) (local $b f64)
      PROCESS
      (i32.store offset=12 (i32.const 1024) (i32.const 1))
      (f64.store offset=16 (i32.const 1024) (local.get $a))
      (i32.store offset=24 (i32.const 1024) (i32.const 1))
      (i32.store offset=36 (i32.const 1024) (i32.const 1))
      (f64.store offset=40 (i32.const 1024) (local.get $b))
      (i32.store (i32.const 16) (i32.const 1024))
      (i32.store (i32.const 20) (i32.const 48))
      (i32.const 16)))
  (core instance $i (instantiate $guest (with "" (instance
    (export "memory" (memory $libc "memory")) (export "now" (func $now))
    (export "subscribe" (func $subscribe)) (export "block" (func $block))
    (export "drop" (func $drop)) (export "u64" (func $u64)) (export "bytes" (func $bytes))
    (export "env" (func $env)) (export "args" (func $args)) (export "dirs" (func $dirs))))))
  (func (export "init") (param "rules" (list u8))
    (canon lift (core func $i "init")
      (memory $libc "memory") (realloc (func $libc "cabi_realloc"))))
  (func (export "process") (param "len" u32) (param "prefix" u32) (param "strings" u32)
    (param "keys" u32) (param "sets" u32) (param "points" u32) (param "min-ts" s64)
    (param "max-ts" s64) (result (list u8))
    (canon lift (core func $i "process") (memory $libc "memory"))))"#;

fn asking(process: &str) -> Vec<u8> {
    let text = ASKING.replace("PROCESS", process);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn runner(process: &str, kind: Kind) -> Runner {
    let engine = Engine::new(kind, empty()).expect("an engine");
    let module = engine.compile(&asking(process)).expect("a module");
    assert_eq!(module.world(), World::Wasi);
    Runner::new(&module, blob(&two_rules()))
}

fn ask(runner: &mut Runner) -> Result<[f64; 2], Fault> {
    let payload = message(&[1, 2]);
    let header = validate(&payload).expect("a valid message");
    runner.process(&payload, &header, |records| {
        [records[0].value, records[1].value]
    })
}

#[test]
fn there_is_nothing_in_the_empty_world() {
    let process = "(local.set $a (f64.convert_i32_u (i32.add (call $environment) (i32.add
          (call $arguments) (call $directories)))))
        (local.set $b (f64.convert_i64_u (call $now)))";
    for kind in [Kind::Production, Kind::Evaluation] {
        assert_eq!(ask(&mut runner(process, kind)), Ok([0.0, 0.0]));
    }
}

#[test]
fn random_numbers_are_the_same_for_every_message() {
    let process = "(local.set $a (f64.convert_i64_u (call $random)))
        (drop (call $bytes (i64.const 8)))
        (local.set $b (f64.convert_i64_u (call $random)))";
    let mut used = runner(process, Kind::Production);
    let first = ask(&mut used).expect("records");
    assert!(first[0] != first[1], "{first:?}");
    assert_eq!(ask(&mut used), Ok(first), "on the same instance");
    used.reset();
    assert_eq!(ask(&mut used), Ok(first), "on a fresh one");
    assert_eq!(ask(&mut runner(process, Kind::Evaluation)), Ok(first));
}

#[test]
fn a_wait_is_over_at_once_and_moves_no_clock() {
    let century = 3_000_000_000_000_000_000u64;
    let process = format!(
        "(call $wait (i64.const {century})) (local.set $b (f64.convert_i64_u (call $now)))"
    );
    assert_eq!(ask(&mut runner(&process, Kind::Production)), Ok([0.0, 0.0]));
}

#[test]
fn what_the_world_hands_out_is_bounded() {
    let endless = "(loop $again (drop (call $subscribe (i64.const 1))) (br $again))";
    let cases = [
        ("(drop (call $bytes (i64.const 65537)))", "65536 allowed"),
        (endless, "no free keys"),
    ];
    for (process, reason) in cases {
        let told = match ask(&mut runner(process, Kind::Production)) {
            Err(fault @ Fault::Trap(_)) => fault.to_string(),
            other => panic!("{process}: {other:?}"),
        };
        assert!(told.contains(reason), "{process}: {told}");
    }
}

/// A module that a tenant brought ends by limits of its own: fuel where verdicts are made, time
/// where messages are served.
#[test]
fn an_endless_loop_ends() {
    let wasi = WasiLimits {
        fuel_per_message: 1_000_000,
        deadline_ticks: 4,
        ..WasiLimits::default()
    };
    let limits = Limits {
        wasi: Some(wasi),
        ..Limits::default()
    };
    let told = |kind: Kind| {
        let engine = Engine::new(kind, limits.clone()).expect("an engine");
        let component = asking("(loop $again (br $again))");
        let module = engine.compile(&component).expect("a module");
        let mut runner = Runner::new(&module, blob(&two_rules()));
        ask(&mut runner).expect_err("a fault")
    };
    assert_eq!(told(Kind::Evaluation), Fault::OutOfFuel { fuel: 1_000_000 });
    assert!(matches!(told(Kind::Production), Fault::Deadline { .. }));
}

/// Where tenants may bring modules, those that are built here may import WASI no more than before.
#[test]
fn a_candidate_imports_no_more_than_its_kind() {
    let evaluator = Evaluator::new(empty()).expect("engines");
    let candidate = asking("");
    let failure = |world: World| {
        let question = Question {
            rules: blob(&two_rules()),
            messages: &[message(&[1, 2])],
            candidate: &candidate,
            world,
            incumbent: Incumbent::Baseline,
        };
        let options = Options {
            fuzz_messages: 1,
            ..Options::default()
        };
        match evaluator
            .evaluate(&question, &options)
            .expect("a verdict")
            .verdict
        {
            Verdict::Fail(failure) => failure,
            other => panic!("{other:?}"),
        }
    };
    let built = failure(World::Payload);
    assert!(
        matches!(&built, Failure::Refused(reason) if reason.contains("wasi:io/poll@0.2.6")),
        "{built}"
    );
    let brought = failure(World::Wasi);
    assert!(matches!(brought, Failure::Wrong(_)), "{brought}");
}
