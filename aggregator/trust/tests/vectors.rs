//! The vector file that Rust and TypeScript share, `test/vectors/dsse.json`: that it is what
//! `vectors/build.rs` makes, and that every case in it has its expected answer.
//!
//! After a change of the cases: `RATCHET_UPDATE=1 cargo test -p ratchet-trust the_file_is`.

#[path = "vectors/build.rs"]
mod build;
#[path = "vectors/envelopes.rs"]
mod envelopes;

use std::path::PathBuf;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ratchet_trust::dsse::{self, Envelope};
use ratchet_trust::{check_module_bytes, verify};
use ratchet_trust::{Accepted, Expectation, Floor, Refusal, Role, TrustRoot};
use serde_json::{json, Value};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/vectors/dsse.json")
}

fn vectors() -> Value {
    serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn cases<'a>(vectors: &'a Value, group: &str) -> &'a [Value] {
    let cases = vectors[group].as_array().unwrap();
    assert!(!cases.is_empty());
    cases
}

fn verify_case(case: &Value, trust: &TrustRoot) -> Result<Accepted, Refusal> {
    let expectation = &case["expectation"];
    let configurations: Vec<_> =
        serde_json::from_value(expectation["configurations"].clone()).unwrap();
    let floor: Option<Floor> = serde_json::from_value(expectation["floor"].clone()).unwrap();
    let expectation = Expectation {
        org: expectation["org"].as_str().unwrap(),
        configurations: &configurations,
        floor,
        now_ms: expectation["now_ms"].as_i64().unwrap(),
        proof_policy: serde_json::from_value(expectation["proof_policy"].clone()).unwrap(),
        foreign: expectation["foreign"].as_bool().unwrap(),
    };
    verify(
        case["envelope"].as_str().unwrap().as_bytes(),
        &expectation,
        trust,
    )
}

#[test]
fn the_file_is_what_the_cases_make() {
    let built = build::file();
    if std::env::var_os("RATCHET_UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&built).unwrap() + "\n";
        std::fs::write(path(), text).unwrap();
    }
    // Not compared as text: the repository's formatter lays it out.
    let current = vectors() == built;
    assert!(
        current,
        "test/vectors/dsse.json is not current: see the head of this file"
    );
}

#[test]
fn pae() {
    for case in cases(&vectors(), "pae") {
        let encoded = dsse::pae(case["type"].as_str().unwrap(), &bytes(&case["payload"]));
        assert_eq!(encoded, bytes(&case["pae"]), "{case}");
    }
}

#[test]
fn signatures_are_verified_strictly() {
    for case in cases(&vectors(), "signatures") {
        let public = bytes(&case["public"]);
        let id = ratchet_trust::KeyId::of(&public);
        let entry = |key: &str, role: Role| json!({ "keyid": id, "role": role, "public": key });
        let mut file = build::trust();
        file["keys"][0] = entry(case["public"].as_str().unwrap(), Role::Builder);
        file["keys"][1] = json!({
            "keyid": build::key(9).keyid(), "role": "validator",
            "public": STANDARD.encode(build::key(9).public()),
        });
        let message = dsse::pae(dsse::PAYLOAD_TYPE, &bytes(&case["payload"]));
        // A key that may not even be listed verifies nothing.
        let trust = TrustRoot::parse(file.to_string().as_bytes());
        let valid = trust.is_ok_and(|trust| {
            trust
                .find(&id)
                .is_some_and(|key| key.verifies(&message, &bytes(&case["sig"])))
        });
        assert_eq!(valid, case["valid"].as_bool().unwrap(), "{case}");
    }
}

#[test]
fn trust_files() {
    for case in cases(&vectors(), "trust_files") {
        let found = TrustRoot::parse(case["file"].to_string().as_bytes());
        assert_eq!(
            found.is_ok(),
            case["ok"].as_bool().unwrap(),
            "{case} {found:?}"
        );
    }
}

#[test]
fn envelopes() {
    let vectors = vectors();
    let trust = TrustRoot::parse(vectors["trust"].to_string().as_bytes()).unwrap();
    for case in cases(&vectors, "envelopes") {
        let found = verify_case(case, &trust);
        let reason = found.as_ref().map_or_else(Refusal::reason, |_| "accepted");
        assert_eq!(reason, case["expect"], "{}: {found:?}", case["name"]);
        if let Ok(accepted) = found {
            assert_eq!(accepted.builder, build::builder().keyid());
            assert_eq!(accepted.validator, build::validator().keyid());
            assert_eq!(
                accepted.repeated,
                case["name"] == "repeated",
                "{}",
                case["name"]
            );
        }
    }
}

#[test]
fn every_reason_of_verification_has_a_case() {
    // Besides `too-large`, which the envelope's own tests show.
    let vectors = vectors();
    let told: Vec<&str> = cases(&vectors, "envelopes")
        .iter()
        .filter_map(|case| case["expect"].as_str())
        .collect();
    for reason in [
        "accepted",
        "malformed-envelope",
        "wrong-payload-type",
        "unknown-key",
        "bad-signature",
        "missing-role",
        "malformed-statement",
        "wrong-organization",
        "wrong-interface",
        "unknown-configuration",
        "version-too-low",
        "expired",
        "not-yet-valid",
        "proof-policy",
        "foreign-module",
    ] {
        assert!(told.contains(&reason), "{reason}");
    }
}

/// The order of the checks is part of the contract: of two faults the earlier step is told.
#[test]
fn earlier_steps_are_told_first() {
    let trust = TrustRoot::parse(build::trust().to_string().as_bytes()).unwrap();
    let steps = [
        ("/predicate/schema", json!(1), "malformed-statement"),
        ("/predicate/org", json!("globex"), "wrong-organization"),
        ("/predicate/interface", json!("other"), "wrong-interface"),
        (
            "/predicate/configuration",
            json!("f".repeat(64)),
            "unknown-configuration",
        ),
        ("/predicate/version", json!(1), "version-too-low"),
        (
            "/predicate/expires_at_ms",
            json!(build::NOW_MS - 1),
            "expired",
        ),
    ];
    // The last step's fault: an attested module where the policy is `verified`.
    let mut statement = build::statement();
    for (pointer, value, reason) in steps.into_iter().rev() {
        statement = build::with(statement, &[(pointer, value.clone())]);
        if pointer == "/predicate/org" {
            statement = build::with(statement, &[("/subject/0/name", value)]);
        }
        let envelope = build::envelope(&statement, &[&build::builder(), &build::validator()]);
        let floor = json!({ "version": 6, "statement": "e".repeat(64) });
        let policy = ("/proof_policy", json!("verified"));
        let expectation = build::with(build::expectation(), &[("/floor", floor), policy]);
        let case = json!({ "envelope": envelope, "expectation": expectation });
        assert_eq!(verify_case(&case, &trust).unwrap_err().reason(), reason);
    }
}

#[test]
fn module_bytes() {
    let trust = TrustRoot::parse(build::trust().to_string().as_bytes()).unwrap();
    let vectors = vectors();
    let accept = |name: &str| {
        let case = cases(&vectors, "envelopes")
            .iter()
            .find(|case| case["name"] == name)
            .unwrap();
        verify_case(case, &trust).unwrap()
    };
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let found = check_module_bytes(&accept(name), bytes);
        assert_eq!(
            found.map_or_else(|refusal| refusal.reason(), |()| "ok"),
            expected
        );
    };
    let mut flipped = build::MODULE.to_vec();
    flipped[5] ^= 1;
    check("good", build::MODULE, "ok");
    check("good", &flipped, "module-digest");
    check("good", &build::MODULE[1..], "module-size");
    check("good", b"", "module-size");
    check("tombstone", b"", "module-missing");
}

/// Only a foreign component may be larger than those that are built here.
#[test]
fn module_sizes() {
    let check = |changes: &[(&str, Value)], size: usize, expected: &str| {
        let component = vec![7; size];
        let digest = json!(ratchet_trust::ModuleDigest::of(&component));
        let own = [
            ("/subject/0/digest/sha256", digest.clone()),
            ("/predicate/module/sha256", digest),
            ("/predicate/module/size", json!(size)),
        ];
        let statement = build::with(build::with(build::statement(), changes), &own);
        let envelope = build::envelope(&statement, &[&build::builder(), &build::validator()]);
        let expectation = build::with(build::expectation(), &[("/foreign", json!(true))]);
        let trust = TrustRoot::parse(build::trust().to_string().as_bytes()).unwrap();
        let case = json!({ "envelope": envelope, "expectation": expectation });
        let found = check_module_bytes(&verify_case(&case, &trust).unwrap(), &component);
        assert_eq!(
            found.map_or_else(|r| r.reason(), |()| "ok"),
            expected,
            "{size}"
        );
    };
    check(&[], ratchet_trust::MODULE_BYTES_MAX, "ok");
    check(&[], ratchet_trust::MODULE_BYTES_MAX + 1, "module-size");
    check(&build::foreign(), ratchet_trust::FOREIGN_BYTES_MAX, "ok");
    check(
        &build::foreign(),
        ratchet_trust::FOREIGN_BYTES_MAX + 1,
        "module-size",
    );
}

#[test]
fn an_envelope_is_read_as_it_was_written() {
    let text = build::envelope(&build::statement(), &[&build::builder()]);
    let envelope = Envelope::parse(text.as_bytes()).unwrap();
    assert_eq!(
        envelope.payload,
        serde_json::to_vec(&build::statement()).unwrap()
    );
}
