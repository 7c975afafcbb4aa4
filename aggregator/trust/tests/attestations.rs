//! The cases that validator and control plane share: `test/vectors/attestations.json`.

use std::path::{Path, PathBuf};

use ratchet_trust::{AttestationRefusal, Attested, Proof, Sha256Digest};
use serde_json::{json, Value};

fn vectors() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/vectors/attestations.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn codec(vectors: &Value) -> Sha256Digest {
    vectors["codec"].as_str().unwrap().parse().unwrap()
}

fn file(vectors: &Value, case: &Value) -> String {
    if let Some(text) = case["text"].as_str() {
        return text.to_owned();
    }
    let mut file = vectors["file"].as_object().unwrap().clone();
    if let Some(changes) = case["changes"].as_object() {
        file.extend(changes.clone());
    }
    if let Some(field) = case["without"].as_str() {
        file.remove(field).unwrap();
    }
    Value::Object(file).to_string()
}

fn reason(found: &Result<Attested, AttestationRefusal>) -> &'static str {
    found
        .as_ref()
        .map_or_else(AttestationRefusal::reason, |_| "attested")
}

#[test]
fn shared_cases() {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 30);
    for case in cases {
        let found = Attested::parse(file(&vectors, case).as_bytes(), codec(&vectors));
        assert_eq!(
            reason(&found),
            case["expect"],
            "{}: {found:?}",
            case["name"]
        );
    }
}

/// A directory of the test's own.
fn scratch() -> PathBuf {
    let path = std::env::temp_dir().join(format!("ratchet-attestations-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn files() {
    let (vectors, directory) = (vectors(), scratch());
    let codec = codec(&vectors);
    let check = |bytes: Option<&[u8]>, expected: &str| {
        let path = directory.join(format!("{codec}.json"));
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        assert_eq!(reason(&Attested::read(&directory, codec)), expected);
    };
    check(None, "attestation-missing");
    let good = vectors["file"].to_string();
    check(Some(good.as_bytes()), "attested");
    let large = format!("{good}{}", " ".repeat(64 * 1024));
    check(Some(large.as_bytes()), "attestation-malformed");
    check(Some(b"\xff"), "attestation-malformed");
    let other = Sha256Digest::of(b"other");
    assert_eq!(
        reason(&Attested::read(&directory, other)),
        "attestation-missing"
    );
    // In the place of the file there is a directory.
    std::fs::create_dir(directory.join(format!("{other}.json"))).unwrap();
    assert_eq!(
        reason(&Attested::read(&directory, other)),
        "attestation-unreadable"
    );
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn claims_against_an_attestation() {
    let vectors = vectors();
    let codec = codec(&vectors);
    let text = vectors["file"].to_string();
    let attested = Attested::parse(text.as_bytes(), codec).unwrap();
    let claimed = json!({
        "verdict": "attested", "codec": codec, "attestation": attested.digest,
        "date": attested.attestation.date,
    });
    let verified = json!({
        "verdict": "verified", "codec": codec, "functions_verified": 128, "errors": 0,
        "tools": vectors["file"]["tools"],
    });
    let check = |claim: &Value, field: &str, value: Value, expected: &str| {
        let mut claim = claim.clone();
        claim[field] = value;
        let proof: Proof = serde_json::from_value(claim).unwrap();
        let found = attested.supports(&proof);
        let reason = found
            .as_ref()
            .map_or_else(AttestationRefusal::reason, |()| "ok");
        assert_eq!(reason, expected, "{field}: {found:?}");
    };
    let other = Sha256Digest::of(b"other");
    let mismatch = "attestation-mismatch";
    check(&claimed, "codec", json!(codec), "ok");
    check(&claimed, "codec", json!(other), mismatch);
    check(&claimed, "attestation", json!(other), mismatch);
    check(
        &claimed,
        "date",
        json!("2026-07-19T12:00:00.000Z"),
        mismatch,
    );
    check(&verified, "codec", json!(codec), "ok");
    check(&verified, "codec", json!(other), mismatch);
    check(&verified, "functions_verified", json!(127), mismatch);
    let mut tools = vectors["file"]["tools"].clone();
    tools["verus"] = json!("0.2026.01.01");
    check(&verified, "tools", tools, "attestation-tools");
}
