//! Builds the shared vector file from fixed seeds, so that it can be read in review.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ratchet_trust::dsse::{self, WireSignature};
use ratchet_trust::sign::countersign;
use ratchet_trust::{KeyId, ModuleDigest, PrivateKey, StatementDigest, INTERFACE};

use serde_json::{json, Value};

use crate::envelopes::envelope_cases;

pub const NOW_MS: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
pub const MODULE: &[u8] = b"\0asm module";
const RULES: &[u8] = b"RTRB rules";
/// The order of the curve's group, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub fn seed(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

pub fn key(byte: u8) -> PrivateKey {
    PrivateKey::parse(seed(byte).as_bytes()).unwrap()
}

pub fn builder() -> PrivateKey {
    key(1)
}

pub fn validator() -> PrivateKey {
    key(2)
}

fn trust_entry(key: &PrivateKey, role: &str) -> Value {
    let public = STANDARD.encode(key.public());
    json!({ "keyid": key.keyid().to_string(), "role": role, "public": public })
}

pub fn trust() -> Value {
    let keys = [
        trust_entry(&builder(), "builder"),
        trust_entry(&validator(), "validator"),
    ];
    json!({ "schema": 1, "keys": keys })
}

pub fn configuration() -> String {
    ModuleDigest::of(RULES).to_string()
}

/// A statement that is accepted as it stands.
pub fn statement() -> Value {
    let module = ModuleDigest::of(MODULE).to_string();
    let evidence = ModuleDigest::of(b"evidence").to_string();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "acme", "digest": { "sha256": module } }],
        "predicateType": "urn:ratchet:manifest:v1",
        "predicate": {
            "schema": 2, "org": "acme", "configuration": configuration(),
            "module": { "sha256": module, "size": MODULE.len() }, "interface": INTERFACE,
            "version": 7, "previous": StatementDigest::of(b"six").to_string(),
            "issued_at_ms": NOW_MS - DAY_MS, "expires_at_ms": NOW_MS + DAY_MS,
            "kind": "promote",
            "source": { "commit": "89abcdef0123456789abcdef0123456789abcdef" },
            "toolchain": { "rustc": "1.95.0", "kit": "0123456789abcdef", "codec": codec() },
            "mutation": { "mutator": "builtin", "operator": "dense-cells", "prompt": null },
            "proof": attested(),
            "benchmark": { "evidence": evidence, "ratio": 1.75, "ci95": [1.7, 1.8] },
            "shadow": { "verdict": "pass" },
            "workflow": { "id": "acme/gen/7", "run_id": "0b0e5c0e-0000-4000-8000-000000000007" },
        },
    })
}

fn codec() -> String {
    ModuleDigest::of(b"codec").to_string()
}

fn attested() -> Value {
    json!({
        "verdict": "attested", "codec": codec(),
        "attestation": ModuleDigest::of(b"attestation").to_string(),
        "date": "2026-07-18T12:00:00.000Z",
    })
}

pub fn verified() -> Value {
    json!({
        "verdict": "verified", "codec": codec(), "functions_verified": 128, "errors": 0,
        "tools": {
            "verus": "0.2026.07.18.3a4d30b", "rust": "1.96.0", "z3": "4.12.5",
            "vstd": "0.0.0-2026-07-12-0122",
        },
    })
}

/// What makes a statement that of a component which a tenant brought.
pub fn foreign() -> [(&'static str, Value); 4] {
    let mutation = json!({ "mutator": "submitted", "operator": "guest.wasm", "prompt": null });
    [
        ("/predicate/source", json!(null)),
        ("/predicate/toolchain", json!(null)),
        ("/predicate/mutation", mutation),
        ("/predicate/proof", json!({ "verdict": "foreign" })),
    ]
}

/// Changes one value by its JSON pointer; `null` as the change of an absent one adds it.
pub fn with(mut statement: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        match statement.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                statement.pointer_mut(parent).unwrap()[name] = value.clone();
            }
        }
    }
    statement
}

pub fn envelope(statement: &Value, keys: &[&PrivateKey]) -> String {
    let bytes = serde_json::to_vec(statement).unwrap();
    let signatures: Vec<WireSignature> = keys.iter().map(|key| countersign(key, &bytes)).collect();
    String::from_utf8(dsse::write(&bytes, &signatures)).unwrap()
}

pub fn expectation() -> Value {
    json!({
        "org": "acme", "configurations": [configuration()], "floor": null, "now_ms": NOW_MS,
        "proof_policy": "attested", "foreign": false,
    })
}

pub fn file() -> Value {
    json!({
        "schema": 1,
        "about": "Shared by the aggregator and the control plane; bytes are base64. \
                  A test of the crate ratchet-trust writes this file: see its tests/vectors.rs.",
        "seeds": { "builder": seed(1), "validator": seed(2), "stranger": seed(3) },
        "trust": trust(),
        "pae": pae_cases(),
        "signatures": signature_cases(),
        "trust_files": trust_file_cases(),
        "envelopes": envelope_cases(),
    })
}

fn pae_cases() -> Value {
    let check = |payload_type: &str, payload: &[u8]| {
        json!({
            "type": payload_type, "payload": STANDARD.encode(payload),
            "pae": STANDARD.encode(dsse::pae(payload_type, payload)),
        })
    };
    json!([
        check("http://example.com/HelloWorld", b"hello world"),
        check("", b""),
        check(dsse::PAYLOAD_TYPE, "{\"é\":1}".as_bytes()),
        check(dsse::PAYLOAD_TYPE, &[0, 255, 10, 13]),
    ])
}

pub fn signature(key: &PrivateKey, statement: &[u8]) -> [u8; 64] {
    let sig = STANDARD.decode(countersign(key, statement).sig).unwrap();
    sig.try_into().unwrap()
}

/// The same signature with the group's order added to its scalar: lax verifiers accept it.
pub fn malleated(mut sig: [u8; 64]) -> [u8; 64] {
    let mut carry = 0;
    for (byte, order) in sig[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    sig
}

/// The neutral element, and the signature that it "makes" of every message.
pub fn small_order() -> ([u8; 32], [u8; 64]) {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut sig = [0; 64];
    sig[0] = 1;
    (neutral, sig)
}

fn signature_cases() -> Value {
    let message = b"statement";
    let good = signature(&builder(), message);
    let (neutral, neutral_sig) = small_order();
    let check = |name: &str, public: [u8; 32], message: &[u8], sig: &[u8], valid: bool| {
        json!({
            "name": name, "public": STANDARD.encode(public), "payload": STANDARD.encode(message),
            "sig": STANDARD.encode(sig), "valid": valid,
        })
    };
    let public = builder().public();
    let mut flipped = good;
    flipped[0] ^= 1;
    json!([
        check("good", public, message, &good, true),
        check("another-message", public, b"statement ", &good, false),
        check("another-key", validator().public(), message, &good, false),
        check("flipped-bit", public, message, &flipped, false),
        check("malleated", public, message, &malleated(good), false),
        check("short", public, message, &good[..63], false),
        check("long", public, message, &[&good[..], &[0]].concat(), false),
        check("empty", public, message, &[], false),
        check("small-order-key", neutral, message, &neutral_sig, false),
        check("small-order-r", public, message, &neutral_sig, false),
    ])
}

fn trust_file_cases() -> Value {
    let (neutral, _) = small_order();
    let weak = json!({
        "keyid": KeyId::of(&neutral).to_string(), "role": "builder",
        "public": STANDARD.encode(neutral),
    });
    let check = |name: &str, file: Value, ok: bool| json!({ "name": name, "file": file, "ok": ok });
    let builder = trust_entry(&builder(), "builder");
    let validator = trust_entry(&validator(), "validator");
    let keys = |keys: &[&Value]| json!({ "schema": 1, "keys": keys });
    let renamed = with(builder.clone(), &[("/keyid", validator["keyid"].clone())]);
    let short = with(
        builder.clone(),
        &[("/public", json!(STANDARD.encode([1; 31])))],
    );
    json!([
        check("good", trust(), true),
        check("small-order-key", keys(&[&weak, &validator]), false),
        check("no-validator", keys(&[&builder]), false),
        check("no-keys", keys(&[]), false),
        check(
            "listed-twice",
            keys(&[&builder, &builder, &validator]),
            false
        ),
        check(
            "keyid-of-another",
            keys(&[&renamed, &builder, &validator]),
            false
        ),
        check("short-key", keys(&[&short, &validator]), false),
        check(
            "unknown-role",
            with(trust(), &[("/keys/0/role", json!("root"))]),
            false
        ),
        check(
            "unknown-field",
            with(trust(), &[("/threshold", json!(1))]),
            false
        ),
        check("schema-2", with(trust(), &[("/schema", json!(2))]), false),
    ])
}
