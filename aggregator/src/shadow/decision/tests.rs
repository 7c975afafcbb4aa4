use super::*;
use crate::shadow::ledger::{Verdict, Word};
use ratchet_trust::{OrgName, Sha256Digest};
use serde_json::{json, Value};

const NOW_MS: i64 = 1_790_000_000_000;
const HOUR_MS: i64 = 60 * 60 * 1000;

fn module(byte: u8) -> ModuleDigest {
    ModuleDigest::of(&[byte])
}

fn configuration() -> ConfigurationDigest {
    ConfigurationDigest::of(b"rules")
}

fn codec() -> Sha256Digest {
    Sha256Digest::of(b"codec")
}

/// An attestation that holds, of some codec.
fn attestation() -> Value {
    let vectors = include_str!("../../../../test/vectors/attestations.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    vectors["file"].clone()
}

/// This machine's attestation of the codec.
fn attested() -> Attested {
    let mut file = attestation();
    file["codec"] = json!(codec());
    Attested::parse(file.to_string().as_bytes(), codec()).unwrap()
}

fn claim_of(attested: &Attested) -> Value {
    json!({
        "verdict": "attested", "codec": attested.attestation.codec,
        "attestation": attested.digest, "date": attested.attestation.date,
    })
}

fn verified() -> Value {
    json!({
        "verdict": "verified", "codec": codec(), "functions_verified": 128, "errors": 0,
        "tools": attestation()["tools"],
    })
}

/// Version 5 of `acme` promotes module 1; each change names a field of the predicate.
fn statement(changes: &[(&str, Value)]) -> Vec<u8> {
    let any = "a".repeat(64);
    let mut predicate = json!({
        "schema": 2, "org": "acme", "configuration": configuration(),
        "module": { "sha256": module(1), "size": 1000 }, "interface": INTERFACE, "version": 5,
        "previous": null, "issued_at_ms": NOW_MS, "expires_at_ms": NOW_MS + HOUR_MS,
        "kind": "promote", "source": { "commit": "c" },
        "toolchain": { "rustc": "r", "kit": "k", "codec": codec() },
        "mutation": { "mutator": "builtin", "operator": "o", "prompt": null },
        "proof": claim_of(&attested()),
        "benchmark": { "evidence": any, "ratio": 2.0, "ci95": [1.9, 2.1] },
        "shadow": { "verdict": "pass" }, "workflow": { "id": "w", "run_id": "r" },
    });
    for (field, value) in changes {
        predicate[*field] = value.clone();
    }
    let subject = match &predicate["module"] {
        Value::Null => json!("0".repeat(64)),
        module => module["sha256"].clone(),
    };
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": predicate["org"], "digest": { "sha256": subject } }],
        "predicateType": "urn:ratchet:manifest:v1",
        "predicate": predicate,
    });
    statement.to_string().into_bytes()
}

fn tombstone() -> Vec<(&'static str, Value)> {
    let mut changes = vec![("kind", json!("tombstone"))];
    let null = [
        "module",
        "source",
        "toolchain",
        "mutation",
        "proof",
        "benchmark",
        "shadow",
    ];
    changes.extend(null.map(|field| (field, Value::Null)));
    changes
}

/// Version 4 was accepted; module 9 serves, module 7 served before.
fn facts() -> Facts {
    let entry = |byte: u8, version: u64| AcceptedModule {
        configuration: configuration(),
        module: module(byte),
        version,
    };
    Facts {
        configuration_known: true,
        newest: Some(configuration()),
        serving: Some(module(9)),
        floor: Some(Floor {
            version: 4,
            statement: StatementDigest::of(b"four"),
        }),
        accepted: vec![entry(9, 4), entry(7, 3)],
        demoted: false,
        now_ms: NOW_MS,
        proof_policy: ProofPolicy::Attested,
        foreign_allowed: false,
        attested: Some(Ok(attested())),
    }
}

/// Modules 1, 7 and 9 passed: 1 against 9, the others against the baseline.
fn page() -> Page {
    let mut page = Page::new(OrgName::new("acme").unwrap());
    for (byte, incumbent) in [(9, None), (7, None), (1, Some(9))] {
        page.record(Verdict {
            configuration: configuration(),
            module: module(byte),
            size: 1000,
            incumbent: incumbent.map(module),
            foreign: false,
            word: Word::Pass,
            detail: String::new(),
            generation: "acme/gen/1".to_owned(),
            candidate: "c".to_owned(),
            seed: 1,
            messages: 64,
            ratio: Some(2.0),
            at_ms: NOW_MS,
        });
    }
    page
}

#[track_caller]
fn check(changes: &[(&str, Value)], facts: &Facts, page: &Page, expected: Result<(), &str>) {
    let bytes = statement(changes);
    let found = parse(&bytes).and_then(|statement| {
        decide(
            &statement.predicate,
            StatementDigest::of(&bytes),
            facts,
            page,
        )
    });
    let reason = found.as_ref().map_err(|refused| refused.error).copied();
    assert_eq!(reason, expected, "{changes:?}: {found:?}");
}

/// Changes of the statement, and the answer.
type Case = (Vec<(&'static str, Value)>, Result<(), &'static str>);

#[test]
fn statements() {
    let of = |byte: u8| json!({ "sha256": module(byte), "size": 1000 });
    let rollback = |byte: u8| vec![("kind", json!("rollback")), ("module", of(byte))];
    let cases: Vec<Case> = vec![
        (vec![], Ok(())),
        (vec![("schema", json!(1))], Err("malformed-statement")),
        (vec![("limits", json!(2))], Err("malformed-statement")),
        (vec![("interface", json!("other"))], Err("wrong-interface")),
        // Versions
        (vec![("version", json!(4))], Err("version-too-low")),
        (vec![("version", json!(1))], Err("version-too-low")),
        (vec![("version", json!(6))], Err("version-too-high")),
        // Time
        (vec![("expires_at_ms", json!(NOW_MS + LIFE_MS_MAX))], Ok(())),
        (
            vec![("expires_at_ms", json!(NOW_MS + LIFE_MS_MAX + 1))],
            Err("life-too-long"),
        ),
        (
            vec![
                ("issued_at_ms", json!(NOW_MS - 2)),
                ("expires_at_ms", json!(NOW_MS)),
            ],
            Err("expired"),
        ),
        (vec![("issued_at_ms", json!(NOW_MS + 300_000))], Ok(())),
        (
            vec![("issued_at_ms", json!(NOW_MS + 300_001))],
            Err("not-yet-valid"),
        ),
        // Promotions
        (vec![("module", of(9))], Ok(())),
        (vec![("module", of(7))], Err("stale-verdict")),
        (vec![("module", of(2))], Err("not-passed")),
        (
            vec![("module", json!({ "sha256": module(1), "size": 999 }))],
            Err("module-size"),
        ),
        // Rollbacks
        (rollback(7), Ok(())),
        (rollback(9), Ok(())),
        (rollback(1), Err("never-accepted")),
        (rollback(2), Err("not-passed")),
        // Tombstones
        (tombstone(), Ok(())),
        (
            [tombstone(), vec![("version", json!(6))]].concat(),
            Err("version-too-high"),
        ),
        (
            [tombstone(), vec![("version", json!(4))]].concat(),
            Err("version-too-low"),
        ),
    ];
    for (changes, expected) in cases {
        check(&changes, &facts(), &page(), expected);
    }
}

#[test]
fn facts_decide() {
    let check_facts = |change: &dyn Fn(&mut Facts), expected: Result<(), &str>| {
        let mut facts = facts();
        change(&mut facts);
        check(&[], &facts, &page(), expected);
    };
    check_facts(
        &|facts| facts.configuration_known = false,
        Err("unknown-configuration"),
    );
    let other = ConfigurationDigest::of(b"other rules");
    check_facts(
        &|facts| facts.newest = Some(other),
        Err("stale-configuration"),
    );
    check_facts(&|facts| facts.newest = None, Err("stale-configuration"));
    check_facts(&|facts| facts.demoted = true, Err("demoted"));
    check_facts(
        &|facts| facts.serving = Some(module(8)),
        Err("stale-verdict"),
    );
    check_facts(&|facts| facts.serving = None, Ok(()));
    check_facts(&|facts| facts.floor = None, Err("version-too-high"));
    check_facts(&|facts| facts.now_ms += 2 * HOUR_MS, Err("expired"));
}

#[test]
fn claims() {
    let any = "a".repeat(64);
    let proof = |field: &str, value: Value| {
        let mut proof = claim_of(&attested());
        proof[field] = value;
        proof
    };
    let cases: Vec<Case> = vec![
        (vec![("proof", verified())], Ok(())),
        (
            vec![("proof", proof("verdict", json!("unproven")))],
            Err("malformed-statement"),
        ),
        (
            vec![("proof", proof("codec", json!(any)))],
            Err("malformed-statement"),
        ),
        (
            vec![("proof", proof("attestation", json!(any)))],
            Err("attestation-mismatch"),
        ),
        (
            vec![("proof", proof("date", json!("2026-07-19T12:00:00.000Z")))],
            Err("attestation-mismatch"),
        ),
    ];
    for (changes, expected) in cases {
        check(&changes, &facts(), &page(), expected);
    }
}

/// What this machine holds decides, whatever the builder claims.
#[test]
fn proofs() {
    let codec = codec();
    let check_proof = |claim: Value, change: &dyn Fn(&mut Facts), expected: Result<(), &str>| {
        let mut facts = facts();
        change(&mut facts);
        check(&[("proof", claim)], &facts, &page(), expected);
    };
    let strict = |facts: &mut Facts| facts.proof_policy = ProofPolicy::Verified;
    check_proof(claim_of(&attested()), &strict, Err("proof-policy"));
    check_proof(verified(), &strict, Ok(()));
    let refusals = [
        AttestationRefusal::Missing { codec },
        AttestationRefusal::Malformed {
            detail: String::new(),
        },
        AttestationRefusal::Errors {
            errors: 1,
            functions: 128,
        },
    ];
    for refusal in refusals {
        for claim in [claim_of(&attested()), verified()] {
            let without = |facts: &mut Facts| facts.attested = Some(Err(refusal.clone()));
            check_proof(claim, &without, Err(refusal.reason()));
        }
    }
    let unread = |facts: &mut Facts| facts.attested = None;
    check_proof(verified(), &unread, Err("attestation-missing"));
    let other = |facts: &mut Facts| {
        let mut own = attested();
        own.attestation.functions_verified = 127;
        facts.attested = Some(Ok(own));
    };
    check_proof(verified(), &other, Err("attestation-mismatch"));
}

/// A module that a tenant brought: apart from the proofs, where this deployment allows it, and only
/// by a pass as what it is.
#[test]
fn foreign_modules() {
    let foreign: Vec<(&str, Value)> = vec![
        ("source", Value::Null),
        ("toolchain", Value::Null),
        (
            "mutation",
            json!({ "mutator": "submitted", "operator": "guest.wasm", "prompt": null }),
        ),
        ("proof", json!({ "verdict": "foreign" })),
    ];
    let passed_as = |foreign: bool| {
        let mut page = page();
        let mut verdict = page
            .pass(configuration(), module(1), false)
            .unwrap()
            .clone();
        verdict.foreign = foreign;
        verdict.module = module(5);
        page.record(verdict);
        page
    };
    let of = json!({ "sha256": module(5), "size": 1000 });
    let own = [foreign, vec![("module", of.clone())]].concat();
    let mut allowed = facts();
    allowed.foreign_allowed = true;
    allowed.attested = None;
    allowed.proof_policy = ProofPolicy::Verified;
    check(&own, &allowed, &passed_as(true), Ok(()));
    check(&own, &allowed, &passed_as(false), Err("not-passed"));
    check(&own, &facts(), &passed_as(true), Err("foreign-module"));
    // A pass that was not judged by speed signs nothing that was built here.
    check(
        &[("module", of)],
        &facts(),
        &passed_as(true),
        Err("not-passed"),
    );
    let fleet = [("org", json!("fleet"))];
    let own = [own, fleet.to_vec()].concat();
    check(&own, &allowed, &passed_as(true), Err("foreign-module"));
}

#[test]
fn a_tombstone_needs_no_current_configuration() {
    let mut facts = facts();
    facts.newest = Some(ConfigurationDigest::of(b"other rules"));
    facts.attested = None;
    check(&tombstone(), &facts, &page(), Ok(()));
    facts.configuration_known = false;
    check(&tombstone(), &facts, &page(), Err("unknown-configuration"));
}

#[test]
fn records_are_of_one_organization_and_configuration() {
    let other = ConfigurationDigest::of(b"other rules");
    let mut facts = facts();
    facts.newest = Some(other);
    check(
        &[("configuration", json!(other))],
        &facts,
        &page(),
        Err("not-passed"),
    );
    let globex = Page::new(OrgName::new("globex").unwrap());
    check(
        &[("org", json!("globex"))],
        &super::tests::facts(),
        &globex,
        Err("not-passed"),
    );
}

#[test]
fn versions_that_were_signed() {
    let mut page = page();
    page.sign(5);
    // Signed before, not accepted yet: the writer may have lost a race.
    check(&[], &facts(), &page, Ok(()));
    // Or it was published and refused: the next one goes on above it.
    check(&[("version", json!(6))], &facts(), &page, Ok(()));
    check(
        &[("version", json!(7))],
        &facts(),
        &page,
        Err("version-too-high"),
    );
    // The floor's own statement, asked for again.
    let mut facts = facts();
    let own = StatementDigest::of(&statement(&[]));
    facts.floor = Some(Floor {
        version: 5,
        statement: own,
    });
    facts.serving = Some(module(1));
    check(&[], &facts, &page, Ok(()));
    let later = json!(NOW_MS + 2 * HOUR_MS);
    check(
        &[("expires_at_ms", later)],
        &facts,
        &page,
        Err("version-too-low"),
    );
}

#[test]
fn a_statement_has_a_size() {
    let refused = parse(&vec![b' '; STATEMENT_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(refused.error, "too-large");
}
