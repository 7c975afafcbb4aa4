//! The cases of whole envelopes.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ratchet_trust::dsse;
use ratchet_trust::sign::countersign;
use ratchet_trust::{KeyId, PrivateKey, StatementDigest};
use serde_json::{json, Value};

use crate::build::{builder, configuration, envelope, expectation, foreign, key, malleated};
use crate::build::{signature, small_order, statement, validator, verified, with, NOW_MS};

pub fn envelope_cases() -> Vec<Value> {
    let groups = [
        signer_cases(),
        tampering_cases(),
        payload_cases(),
        statement_cases(),
        kind_cases(),
        identity_cases(),
        floor_cases(),
        time_cases(),
        proof_cases(),
        foreign_cases(),
    ];
    groups.concat()
}

fn case(name: &str, envelope: String, expectation: Value, expect: &str) -> Value {
    json!({
        "name": name, "envelope": envelope, "expectation": expectation, "expect": expect,
    })
}

/// Who signs.
fn signer_cases() -> Vec<Value> {
    let (builder, validator, stranger) = (&builder(), &validator(), &key(3));
    let check = |name: &str, keys: &[&PrivateKey], expect: &str| {
        case(name, envelope(&statement(), keys), expectation(), expect)
    };
    let of_model = [("/predicate/mutation", by_model("claude-sonnet-5-5"))];
    let of_model = envelope(&with(statement(), &of_model), &[builder, validator]);
    vec![
        case("of-a-model", of_model, expectation(), "accepted"),
        check("good", &[builder, validator], "accepted"),
        check("validator-first", &[validator, builder], "accepted"),
        check("stranger-too", &[stranger, builder, validator], "accepted"),
        check("builder-only", &[builder], "missing-role"),
        check("validator-only", &[validator], "missing-role"),
        check("builder-twice", &[builder, builder], "missing-role"),
        check("unsigned", &[], "missing-role"),
        check("unknown-builder", &[stranger, validator], "unknown-key"),
        check("unknown-validator", &[builder, stranger], "unknown-key"),
    ]
}

/// An envelope that was changed after it was signed.
fn tampering_cases() -> Vec<Value> {
    let text = envelope(&statement(), &[&builder(), &validator()]);
    let good: Value = serde_json::from_str(&text).unwrap();
    let bytes = serde_json::to_vec(&statement()).unwrap();
    let raised = with(statement(), &[("/predicate/version", json!(8))]).to_string();
    let base64 = |bytes: &[u8]| json!(STANDARD.encode(bytes));
    let malleated = base64(&malleated(signature(&validator(), &bytes)));
    let keyid = |index: usize| good["signatures"][index]["keyid"].clone();
    let (first, second) = ("/signatures/0/keyid", "/signatures/1/keyid");
    let swapped = [(first, keyid(1)), (second, keyid(0))];
    let (neutral, neutral_sig) = small_order();
    let neutral = json!(KeyId::of(&neutral).to_string());
    let weak = [
        (first, neutral),
        ("/signatures/0/sig", base64(&neutral_sig)),
    ];
    let check = |name: &str, changes: &[(&str, Value)], expect: &str| {
        let changed = with(good.clone(), changes).to_string();
        case(name, changed, expectation(), expect)
    };
    let one = |name: &str, pointer: &str, value: Value, expect: &str| {
        check(name, &[(pointer, value)], expect)
    };
    let cut = text[1..].to_owned();
    vec![
        case("not-json", cut, expectation(), "malformed-envelope"),
        one("not-base64", "/payload", json!("?"), "malformed-envelope"),
        one(
            "another-type",
            "/payloadType",
            json!("text/plain"),
            "wrong-payload-type",
        ),
        one(
            "tampered",
            "/payload",
            base64(raised.as_bytes()),
            "bad-signature",
        ),
        one("malleated", "/signatures/1/sig", malleated, "bad-signature"),
        one(
            "short-signature",
            "/signatures/0/sig",
            json!("AAAA"),
            "bad-signature",
        ),
        check("signatures-swapped", &swapped, "bad-signature"),
        check("small-order-key", &weak, "unknown-key"),
    ]
}

fn by_model(model: &str) -> Value {
    json!({ "mutator": "llm", "operator": "rlm:full", "prompt": null, "model": model })
}

fn malformed(name: &str, text: &str) -> Value {
    let signatures = [&builder(), &validator()].map(|key| countersign(key, text.as_bytes()));
    let envelope = String::from_utf8(dsse::write(text.as_bytes(), &signatures)).unwrap();
    case(name, envelope, expectation(), "malformed-statement")
}

/// Payloads, well signed, that are no statement.
fn payload_cases() -> Vec<Value> {
    let good = statement().to_string();
    let mut partial = statement();
    let predicate = partial["predicate"].as_object_mut().unwrap();
    predicate.remove("previous");
    let twice = good.replacen("\"version\":7", "\"version\":7,\"version\":8", 1);
    vec![
        malformed("not-a-statement", "{}"),
        malformed("trailing-bytes", &format!("{good} {{}}")),
        malformed("field-missing", &partial.to_string()),
        malformed("field-twice", &twice),
    ]
}

/// Statements, well signed, that no expectation could accept.
fn statement_cases() -> Vec<Value> {
    let zeros = json!("0".repeat(64));
    let upper = json!(configuration().to_uppercase());
    let one = |name: &str, pointer: &str, value: Value| {
        malformed(name, &with(statement(), &[(pointer, value)]).to_string())
    };
    let of =
        |name: &str, field: &str, value: Value| one(name, &format!("/predicate/{field}"), value);
    let unnamed = [
        ("/predicate/module", json!(null)),
        ("/subject/0/digest/sha256", zeros.clone()),
    ];
    let unnamed = with(statement(), &unnamed).to_string();
    vec![
        one(
            "statement-v2",
            "/_type",
            json!("https://in-toto.io/Statement/v2"),
        ),
        one("another-predicate", "/predicateType", json!("urn:other")),
        one("subject-of-another-org", "/subject/0/name", json!("globex")),
        one(
            "subject-of-another-module",
            "/subject/0/digest/sha256",
            zeros,
        ),
        one("no-subject", "/subject", json!([])),
        of("unknown-field", "limits", json!({})),
        of("schema-3", "schema", json!(3)),
        of("org-not-a-name", "org", json!("Acme")),
        of("digest-in-upper-case", "configuration", upper),
        of("version-0", "version", json!(0)),
        of("version-not-whole", "version", json!(7.5)),
        of("version-beyond-53-bits", "version", json!(1_u64 << 53)),
        of("expires-before-issue", "expires_at_ms", json!(1)),
        of("unknown-kind", "kind", json!("replace")),
        malformed("promote-without-module", &unnamed),
        of("tombstone-with-module", "kind", json!("tombstone")),
        of("schema-1", "schema", json!(1)),
        of("model-without-name", "mutation", by_model("")),
        of("model-with-control", "mutation", by_model("a\nb")),
        of("without-proof", "proof", json!(null)),
        of("unproven", "proof/verdict", json!("unproven")),
        of(
            "proof-of-another-codec",
            "proof/codec",
            json!("f".repeat(64)),
        ),
        of("proof-with-unknown-field", "proof/by", json!("me")),
        of("proof-of-both-kinds", "proof/errors", json!(0)),
        of(
            "proof-without-attestation",
            "proof/attestation",
            json!(null),
        ),
        of("proof-without-a-date", "proof/date", json!("yesterday")),
        verified_with("verified-with-errors", "errors", json!(1)),
        verified_with("verified-without-functions", "functions_verified", json!(0)),
        verified_with("verified-by-nothing", "tools", json!({})),
        verified_with("verified-by-no-version", "tools/z3", json!("")),
        of("shadow-failed", "shadow/verdict", json!("fail")),
        of("interval-upside-down", "benchmark/ci95", json!([2.0, 1.0])),
    ]
}

fn verified_with(name: &str, field: &str, value: Value) -> Value {
    let proof = with(verified(), &[(&format!("/{field}"), value)]);
    malformed(
        name,
        &with(statement(), &[("/predicate/proof", proof)]).to_string(),
    )
}

/// Statements, well signed and well formed, against various expectations.
fn agree(name: &str, changes: &[(&str, Value)], expected: &[(&str, Value)], expect: &str) -> Value {
    let statement = with(statement(), changes);
    let signed = envelope(&statement, &[&builder(), &validator()]);
    case(name, signed, with(expectation(), expected), expect)
}

fn kind_cases() -> Vec<Value> {
    let mut tombstone = vec![
        ("/predicate/kind", json!("tombstone")),
        ("/subject/0/digest/sha256", json!("0".repeat(64))),
    ];
    let null = [
        "/predicate/module",
        "/predicate/source",
        "/predicate/toolchain",
        "/predicate/mutation",
        "/predicate/proof",
        "/predicate/benchmark",
        "/predicate/shadow",
    ];
    tombstone.extend(null.map(|pointer| (pointer, json!(null))));
    let rollback = [
        ("/predicate/kind", json!("rollback")),
        ("/predicate/previous", json!(null)),
    ];
    vec![
        agree("tombstone", &tombstone, &[], "accepted"),
        agree("rollback", &rollback, &[], "accepted"),
    ]
}

fn identity_cases() -> Vec<Value> {
    let fleet = |configuration: &str| {
        [
            ("/subject/0/name", json!("fleet")),
            ("/predicate/org", json!("fleet")),
            ("/predicate/configuration", json!(configuration)),
        ]
    };
    let own = fleet(&configuration());
    let free = fleet(&"0".repeat(64));
    let of_fleet = [("/org", json!("fleet"))];
    let globex = [("/org", json!("globex"))];
    let unknown = [("/configurations", json!([]))];
    let interface = [("/predicate/interface", json!("ratchet:guest@2.0.0"))];
    let other = [("/predicate/configuration", json!("f".repeat(64)))];
    vec![
        agree("fleet", &free, &of_fleet, "accepted"),
        agree("fleet-configured", &own, &of_fleet, "unknown-configuration"),
        agree("of-another-org", &[], &globex, "wrong-organization"),
        agree("another-interface", &interface, &[], "wrong-interface"),
        agree("no-configuration", &[], &unknown, "unknown-configuration"),
        agree("other-configuration", &other, &[], "unknown-configuration"),
    ]
}

fn floor_cases() -> Vec<Value> {
    let own = StatementDigest::of(&serde_json::to_vec(&statement()).unwrap()).to_string();
    let other = "f".repeat(64);
    let check = |name: &str, version: u64, statement: &str, expect: &str| {
        let floor = json!({ "version": version, "statement": statement });
        agree(name, &[], &[("/floor", floor)], expect)
    };
    vec![
        check("above-floor", 6, &other, "accepted"),
        check("skips-versions", 2, &other, "accepted"),
        check("repeated", 7, &own, "accepted"),
        check("another-of-its-version", 7, &other, "version-too-low"),
        check("below-floor", 8, &own, "version-too-low"),
    ]
}

fn time_cases() -> Vec<Value> {
    let check = |name: &str, field: &str, ms: i64, expect: &str| {
        agree(
            name,
            &[(&format!("/predicate/{field}"), json!(ms))],
            &[],
            expect,
        )
    };
    vec![
        check("last-moment", "expires_at_ms", NOW_MS + 1, "accepted"),
        check("expired", "expires_at_ms", NOW_MS, "expired"),
        check("clock-ahead", "issued_at_ms", NOW_MS + 300_000, "accepted"),
        check(
            "not-yet-valid",
            "issued_at_ms",
            NOW_MS + 300_001,
            "not-yet-valid",
        ),
    ]
}

fn proof_cases() -> Vec<Value> {
    let check = |name: &str, proof: Option<Value>, policy: &str, expect: &str| {
        let changes: Vec<_> = proof
            .map(|value| ("/predicate/proof", value))
            .into_iter()
            .collect();
        agree(name, &changes, &[("/proof_policy", json!(policy))], expect)
    };
    vec![
        check("attested-is-not-verified", None, "verified", "proof-policy"),
        check("verified", Some(verified()), "verified", "accepted"),
        check(
            "verified-is-attested-too",
            Some(verified()),
            "attested",
            "accepted",
        ),
    ]
}

/// Components that a tenant brought: apart from the proof policy, and told as what they are.
fn foreign_cases() -> Vec<Value> {
    let allowed = [("/foreign", json!(true))];
    let strict = [
        ("/foreign", json!(true)),
        ("/proof_policy", json!("verified")),
    ];
    let half = |name: &str, pointer: &str| {
        let built = statement().pointer(pointer).unwrap().clone();
        let changed = with(with(statement(), &foreign()), &[(pointer, built)]);
        malformed(name, &changed.to_string())
    };
    let fleet = [
        &foreign()[..],
        &[
            ("/subject/0/name", json!("fleet")),
            ("/predicate/org", json!("fleet")),
            ("/predicate/configuration", json!("0".repeat(64))),
        ],
    ];
    let of_fleet = [("/org", json!("fleet")), allowed[0].clone()];
    let by = with(
        with(statement(), &foreign()),
        &[("/predicate/proof/by", json!("me"))],
    );
    vec![
        agree("foreign", &foreign(), &allowed, "accepted"),
        agree("foreign-beside-verified", &foreign(), &strict, "accepted"),
        agree("foreign-not-allowed", &foreign(), &[], "foreign-module"),
        agree(
            "foreign-fleet",
            &fleet.concat(),
            &of_fleet,
            "foreign-module",
        ),
        half("foreign-with-source", "/predicate/source"),
        half("foreign-with-toolchain", "/predicate/toolchain"),
        half("foreign-not-submitted", "/predicate/mutation"),
        half("submitted-but-attested", "/predicate/proof"),
        malformed("foreign-with-unknown-field", &by.to_string()),
    ]
}
