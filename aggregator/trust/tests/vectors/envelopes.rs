//! The cases of whole envelopes.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ratchet_trust::dsse;
use ratchet_trust::sign::countersign;
use ratchet_trust::{KeyId, StatementDigest};
use serde_json::{json, Value};

use crate::build::{builder, configuration, envelope, expectation, key, malleated, signature};
use crate::build::{small_order, statement, validator, with, NOW_MS};

pub fn envelope_cases() -> Vec<Value> {
    let groups = [
        signing_cases(),
        statement_cases(),
        kind_cases(),
        identity_cases(),
        floor_cases(),
        time_cases(),
        proof_cases(),
    ];
    groups.concat()
}

fn case(name: &str, envelope: String, expectation: Value, expect: &str) -> Value {
    json!({
        "name": name, "envelope": envelope, "expectation": expectation, "expect": expect,
    })
}

/// Envelope and signatures.
fn signing_cases() -> Vec<Value> {
    let (builder, validator, stranger) = (builder(), validator(), key(3));
    let good = statement();
    let both = envelope(&good, &[&builder, &validator]);
    let parsed: Value = serde_json::from_str(&both).unwrap();
    let changed = |changes: &[(&str, Value)]| with(parsed.clone(), changes).to_string();
    let bytes = serde_json::to_vec(&good).unwrap();
    let tampered = with(good.clone(), &[("/predicate/version", json!(8))]).to_string();
    let malleated = STANDARD.encode(malleated(signature(&validator, &bytes)));
    let twice = envelope(&good, &[&builder, &builder]);
    let swapped = changed(&[
        (
            "/signatures/0/keyid",
            parsed["signatures"][1]["keyid"].clone(),
        ),
        (
            "/signatures/1/keyid",
            parsed["signatures"][0]["keyid"].clone(),
        ),
    ]);
    let (neutral, neutral_sig) = small_order();
    let weak = changed(&[
        (
            "/signatures/0/keyid",
            json!(KeyId::of(&neutral).to_string()),
        ),
        ("/signatures/0/sig", json!(STANDARD.encode(neutral_sig))),
    ]);
    let check =
        |name: &str, envelope: String, expect: &str| case(name, envelope, expectation(), expect);
    vec![
        check("good", both.clone(), "accepted"),
        check(
            "validator-first",
            envelope(&good, &[&validator, &builder]),
            "accepted",
        ),
        check(
            "stranger-besides",
            envelope(&good, &[&stranger, &builder, &validator]),
            "accepted",
        ),
        check("not-json", both[1..].to_owned(), "malformed-envelope"),
        check(
            "payload-not-base64",
            changed(&[("/payload", json!("?"))]),
            "malformed-envelope",
        ),
        check(
            "another-type",
            changed(&[("/payloadType", json!("text/plain"))]),
            "wrong-payload-type",
        ),
        check(
            "tampered",
            changed(&[("/payload", json!(STANDARD.encode(tampered)))]),
            "bad-signature",
        ),
        check(
            "malleated",
            changed(&[("/signatures/1/sig", json!(malleated))]),
            "bad-signature",
        ),
        check("signatures-swapped", swapped, "bad-signature"),
        check(
            "short-signature",
            changed(&[("/signatures/0/sig", json!("AAAA"))]),
            "bad-signature",
        ),
        check("builder-only", envelope(&good, &[&builder]), "missing-role"),
        check(
            "validator-only",
            envelope(&good, &[&validator]),
            "missing-role",
        ),
        check("builder-twice", twice, "missing-role"),
        check("unsigned", envelope(&good, &[]), "missing-role"),
        check(
            "unknown-builder",
            envelope(&good, &[&stranger, &validator]),
            "unknown-key",
        ),
        check(
            "unknown-validator",
            envelope(&good, &[&builder, &stranger]),
            "unknown-key",
        ),
        check("small-order-key", weak, "unknown-key"),
    ]
}

/// Statements, well signed, that no expectation could accept.
fn statement_cases() -> Vec<Value> {
    let good = statement();
    let raw = |name: &str, text: String| {
        let signatures = [&builder(), &validator()].map(|key| countersign(key, text.as_bytes()));
        let envelope = dsse::write(text.as_bytes(), &signatures);
        let envelope = String::from_utf8(envelope).unwrap();
        case(name, envelope, expectation(), "malformed-statement")
    };
    let changed =
        |name: &str, changes: &[(&str, Value)]| raw(name, with(good.clone(), changes).to_string());
    let mut partial = good.clone();
    partial["predicate"]
        .as_object_mut()
        .unwrap()
        .remove("previous");
    let zeros = "0".repeat(64);
    let text = good.to_string();
    vec![
        raw("not-a-statement", "{}".to_owned()),
        raw("trailing-bytes", format!("{good} {{}}")),
        raw("field-missing", partial.to_string()),
        raw(
            "field-twice",
            text.replacen("\"version\":7", "\"version\":7,\"version\":8", 1),
        ),
        changed("unknown-field", &[("/predicate/limits", json!({}))]),
        changed(
            "another-statement-type",
            &[("/_type", json!("https://in-toto.io/Statement/v2"))],
        ),
        changed(
            "another-predicate-type",
            &[("/predicateType", json!("urn:other"))],
        ),
        changed("schema-2", &[("/predicate/schema", json!(2))]),
        changed(
            "subject-of-another-org",
            &[("/subject/0/name", json!("globex"))],
        ),
        changed(
            "subject-of-another-module",
            &[("/subject/0/digest/sha256", json!(zeros))],
        ),
        changed("no-subject", &[("/subject", json!([]))]),
        changed("org-not-a-name", &[("/predicate/org", json!("Acme"))]),
        changed(
            "digest-in-upper-case",
            &[(
                "/predicate/configuration",
                json!(configuration().to_uppercase()),
            )],
        ),
        changed("version-0", &[("/predicate/version", json!(0))]),
        changed("version-not-whole", &[("/predicate/version", json!(7.5))]),
        changed(
            "version-beyond-53-bits",
            &[("/predicate/version", json!(1_u64 << 53))],
        ),
        changed(
            "expires-before-issue",
            &[("/predicate/expires_at_ms", json!(1))],
        ),
        changed("unknown-kind", &[("/predicate/kind", json!("replace"))]),
        changed(
            "promote-without-module",
            &[
                ("/predicate/module", json!(null)),
                ("/subject/0/digest/sha256", json!(zeros)),
            ],
        ),
        changed(
            "tombstone-with-module",
            &[("/predicate/kind", json!("tombstone"))],
        ),
        changed("without-proof", &[("/predicate/proof", json!(null))]),
        changed(
            "shadow-failed",
            &[("/predicate/shadow/verdict", json!("fail"))],
        ),
        changed(
            "interval-upside-down",
            &[("/predicate/benchmark/ci95", json!([2.0, 1.0]))],
        ),
    ]
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
    let check = |name: &str, verdict: &str, policy: &str, expect: &str| {
        let changes = [("/predicate/proof/verdict", json!(verdict))];
        agree(name, &changes, &[("/proof_policy", json!(policy))], expect)
    };
    vec![
        check("unproven", "unproven", "attested", "unproven"),
        check("unproven-but-allowed", "unproven", "unproven", "accepted"),
        check(
            "attested-is-not-verified",
            "attested",
            "verified",
            "unproven",
        ),
        check("verified", "verified", "verified", "accepted"),
    ]
}
