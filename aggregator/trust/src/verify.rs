use crate::digest::{ConfigurationDigest, KeyId, ModuleDigest, StatementDigest};
use crate::dsse::{self, Envelope};
use crate::floor::Floor;
use crate::keys::{Role, TrustRoot};
use crate::manifest::{Kind, Statement};
use crate::proof::{Proof, ProofVerdict};
use crate::MODULE_BYTES_MAX;
use crate::{Refusal, CLOCK_SKEW_MS_MAX, FLEET, FOREIGN_BYTES_MAX, INTERFACE};

/// The least proof verdict that a deployment accepts.
pub type ProofPolicy = ProofVerdict;

/// What a manifest must agree with, from this aggregator's own knowledge.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// The organization whose manifest was asked for, or [`FLEET`].
    pub org: &'a str,
    /// The configurations that this aggregator knows of the organization (not used for the fleet).
    pub configurations: &'a [ConfigurationDigest],
    /// The highest version accepted so far, from the [`crate::FloorStore`].
    pub floor: Option<Floor>,
    pub now_ms: i64,
    pub proof_policy: ProofPolicy,
    /// Whether an organization may have a foreign module, whose codec is not proven.
    pub foreign: bool,
}

/// A manifest that may be acted on, once [`check_module_bytes`] has passed its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub statement: Statement,
    pub digest: StatementDigest,
    pub builder: KeyId,
    pub validator: KeyId,
    /// The floor is this very statement: nothing has to change.
    pub repeated: bool,
}

impl Accepted {
    pub fn version(&self) -> u64 {
        self.statement.predicate.version
    }

    pub fn kind(&self) -> Kind {
        self.statement.predicate.kind
    }

    pub fn configuration(&self) -> ConfigurationDigest {
        self.statement.predicate.configuration
    }

    /// `None` for a tombstone.
    pub fn module(&self) -> Option<ModuleDigest> {
        self.statement.predicate.module.map(|module| module.sha256)
    }

    /// Whether a tenant brought the component. Never of the fleet's.
    pub fn is_foreign(&self) -> bool {
        self.statement.predicate.is_foreign()
    }

    pub fn expires_at_ms(&self) -> i64 {
        self.statement.predicate.expires_at_ms
    }

    /// The floor to persist before the module serves.
    pub fn floor(&self) -> Floor {
        Floor {
            version: self.version(),
            statement: self.digest,
        }
    }
}

/// Verifies a manifest. The order is part of the contract: what is cheap and unsigned comes first,
/// nothing unsigned is interpreted, and each step may rely on those before it.
pub fn verify(
    envelope: &[u8],
    expectation: &Expectation<'_>,
    keys: &TrustRoot,
) -> Result<Accepted, Refusal> {
    // 1. Size, then 2. form of the envelope.
    let envelope = Envelope::parse(envelope)?;
    // 3. The type of the payload, which the signatures cover.
    check_payload_type(&envelope)?;
    // 4. Signatures: one builder and one validator, distinct keys.
    let (builder, validator) = check_signatures(&envelope, keys)?;
    // 5. Parse the same bytes that were verified.
    let statement =
        Statement::parse(&envelope.payload).map_err(|error| Refusal::MalformedStatement {
            detail: error.to_string(),
        })?;
    let digest = StatementDigest::of(&envelope.payload);
    // 6. The organization that was asked for, 7. the interface, 8. a known configuration.
    check_identity(&statement, expectation)?;
    // 9. Never below what was accepted before.
    let repeated = check_floor(&statement, digest, expectation.floor)?;
    // 10. In time.
    check_time(&statement, expectation.now_ms)?;
    // 11. Proven as far as the policy asks.
    check_proof(&statement, expectation)?;
    Ok(Accepted {
        statement,
        digest,
        builder,
        validator,
        repeated,
    })
}

/// 12. The fetched bytes are those that the manifest names: size first, then digest.
pub fn check_module_bytes(accepted: &Accepted, bytes: &[u8]) -> Result<(), Refusal> {
    let Some(module) = accepted.statement.predicate.module else {
        return Err(Refusal::ModuleMissing {
            module: ModuleDigest::NONE,
        });
    };
    let max = module_bytes_max(accepted.is_foreign()) as u64;
    let found = bytes.len() as u64;
    if found != module.size || found > max {
        return Err(Refusal::ModuleSize {
            found,
            expected: module.size,
            max,
        });
    }
    let found = ModuleDigest::of(bytes);
    if found != module.sha256 {
        return Err(Refusal::ModuleDigest {
            found,
            expected: module.sha256,
        });
    }
    Ok(())
}

/// The size that a component may have.
pub fn module_bytes_max(foreign: bool) -> usize {
    if foreign {
        FOREIGN_BYTES_MAX
    } else {
        MODULE_BYTES_MAX
    }
}

fn check_payload_type(envelope: &Envelope) -> Result<(), Refusal> {
    if envelope.payload_type == dsse::PAYLOAD_TYPE {
        return Ok(());
    }
    let found = envelope.payload_type.chars().take(200).collect();
    Err(Refusal::WrongPayloadType {
        found,
        expected: dsse::PAYLOAD_TYPE,
    })
}

/// One signature a role. A signature by a key that nobody trusts counts for nothing, as DSSE asks;
/// one by a trusted key that does not verify refuses the whole, as something is being tried.
fn check_signatures(envelope: &Envelope, keys: &TrustRoot) -> Result<(KeyId, KeyId), Refusal> {
    let message = dsse::pae(&envelope.payload_type, &envelope.payload);
    let mut builder = None;
    let mut validator = None;
    let mut unknown = None;
    for signature in &envelope.signatures {
        let key = signature
            .keyid
            .parse()
            .ok()
            .and_then(|keyid| keys.find(&keyid));
        let Some(key) = key else {
            unknown.get_or_insert(&signature.keyid);
            continue;
        };
        if !key.verifies(&message, &signature.sig) {
            return Err(Refusal::BadSignature {
                keyid: key.keyid,
                role: key.role,
            });
        }
        match key.role {
            Role::Builder => builder = Some(key.keyid),
            Role::Validator => validator = Some(key.keyid),
        }
    }
    let role = match (builder, validator) {
        (Some(builder), Some(validator)) => return Ok((builder, validator)),
        (None, _) => Role::Builder,
        (Some(_), None) => Role::Validator,
    };
    Err(match unknown {
        Some(keyid) => Refusal::UnknownKey {
            keyid: keyid.chars().take(80).collect(),
            role,
        },
        None => Refusal::MissingRole { role },
    })
}

fn check_identity(statement: &Statement, expectation: &Expectation<'_>) -> Result<(), Refusal> {
    let predicate = &statement.predicate;
    if predicate.org.as_str() != expectation.org {
        return Err(Refusal::WrongOrganization {
            found: predicate.org.to_string(),
            expected: expectation.org.to_owned(),
        });
    }
    if predicate.interface != INTERFACE {
        let found = predicate.interface.chars().take(200).collect();
        return Err(Refusal::WrongInterface {
            found,
            expected: INTERFACE,
        });
    }
    let configuration = predicate.configuration;
    // The fleet module takes rules as data: it is of no configuration.
    let known = if expectation.org == FLEET {
        configuration == ConfigurationDigest::NONE
    } else {
        expectation.configurations.contains(&configuration)
    };
    if !known {
        return Err(Refusal::UnknownConfiguration {
            org: expectation.org.to_owned(),
            configuration,
        });
    }
    Ok(())
}

/// Whether the statement is the floor itself. `previous` is for audit only: an aggregator that was
/// away may skip versions.
fn check_floor(
    statement: &Statement,
    digest: StatementDigest,
    floor: Option<Floor>,
) -> Result<bool, Refusal> {
    let Some(floor) = floor else {
        return Ok(false);
    };
    let found = statement.predicate.version;
    if found > floor.version {
        return Ok(false);
    }
    if found == floor.version && digest == floor.statement {
        return Ok(true);
    }
    Err(Refusal::VersionTooLow {
        found,
        statement: digest,
        accepted: floor.version,
        floor: floor.statement,
    })
}

fn check_time(statement: &Statement, now_ms: i64) -> Result<(), Refusal> {
    let (issued_at_ms, expires_at_ms) = (
        statement.predicate.issued_at_ms,
        statement.predicate.expires_at_ms,
    );
    if now_ms >= expires_at_ms {
        return Err(Refusal::Expired {
            expires_at_ms,
            now_ms,
        });
    }
    if issued_at_ms.saturating_sub(CLOCK_SKEW_MS_MAX) > now_ms {
        return Err(Refusal::NotYetValid {
            issued_at_ms,
            now_ms,
        });
    }
    Ok(())
}

fn check_proof(statement: &Statement, expectation: &Expectation<'_>) -> Result<(), Refusal> {
    let (predicate, required) = (&statement.predicate, expectation.proof_policy);
    // A tombstone ships no code, so there is nothing to prove.
    if predicate.kind == Kind::Tombstone {
        return Ok(());
    }
    let Some(found) = predicate.proof.as_ref().map(Proof::verdict) else {
        let detail = format!("a {} without `proof`", predicate.kind);
        return Err(Refusal::MalformedStatement { detail });
    };
    if found == ProofVerdict::Foreign {
        // What serves everybody is nobody's own.
        if expectation.foreign && expectation.org != FLEET {
            return Ok(());
        }
        let org = expectation.org.to_owned();
        return Err(Refusal::ForeignModule { org });
    }
    if found < required {
        return Err(Refusal::ProofPolicy { found, required });
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::digest::Sha256Digest;
    use serde_json::json;

    /// A statement as [`verify`] would have accepted it; `module` stands for the bytes.
    pub(crate) fn accepted(org: &str, version: u64, module: &[u8]) -> Accepted {
        let digest = ModuleDigest::of(module);
        let any = Sha256Digest::of(b"any");
        let statement = json!({
            "_type": crate::manifest::STATEMENT_TYPE,
            "subject": [{ "name": org, "digest": { "sha256": digest } }],
            "predicateType": crate::manifest::PREDICATE_TYPE,
            "predicate": {
                "schema": 2, "org": org, "configuration": any, "version": version,
                "module": { "sha256": digest, "size": module.len() }, "interface": INTERFACE,
                "previous": null, "issued_at_ms": 0, "expires_at_ms": 1000, "kind": "promote",
                "source": { "commit": "c" },
                "toolchain": { "rustc": "r", "kit": "k", "codec": any },
                "mutation": { "mutator": "specialise", "operator": "o", "prompt": null },
                "proof": {
                    "verdict": "attested", "codec": any, "attestation": any,
                    "date": "2026-07-18T12:00:00.000Z",
                },
                "benchmark": { "evidence": any, "ratio": 2, "ci95": [1, 3] },
                "shadow": { "verdict": "pass" }, "workflow": { "id": "w", "run_id": "r" },
            },
        });
        let bytes = serde_json::to_vec(&statement).expect("invariant: it is JSON");
        Accepted {
            statement: Statement::parse(&bytes).expect("invariant: it is a statement"),
            digest: StatementDigest::of(&bytes),
            builder: KeyId::NONE,
            validator: KeyId::NONE,
            repeated: false,
        }
    }

    #[test]
    fn a_refusal_names_its_values() {
        let refusal = Refusal::Expired {
            expires_at_ms: 5,
            now_ms: 9,
        };
        assert_eq!(
            refusal.to_string(),
            "the manifest expired at 5 ms; now is 9 ms"
        );
        let floor = Floor {
            version: 9,
            statement: StatementDigest::NONE,
        };
        let manifest = accepted("acme", 3, b"m");
        let refusal = check_floor(&manifest.statement, manifest.digest, Some(floor)).unwrap_err();
        let text = refusal.to_string();
        assert!(
            text.contains("version 3 is ") && text.contains("version 9 was"),
            "{text}"
        );
    }
}
