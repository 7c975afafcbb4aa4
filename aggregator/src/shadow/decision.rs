//! Whether the validator signs: what a statement says against what this process knows itself.

use ratchet_trust::floor::AcceptedModule;
use ratchet_trust::manifest::Predicate;
use ratchet_trust::{
    AttestationRefusal, Attested, ConfigurationDigest, Floor, Kind, ModuleDigest, ProofPolicy,
    Statement, StatementDigest, CLOCK_SKEW_MS_MAX, FLEET, INTERFACE,
};

use super::ledger::Page;
use super::wire::Refused;
use super::{Knowledge, ProofRequirement};

/// A manifest is renewed at half its life, so it never needs a longer one.
pub const LIFE_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;
/// The largest statement that fits an envelope in base64.
const STATEMENT_BYTES_MAX: usize = 45 * 1024;

/// What this process knows of the organization and module that a statement names.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The organization has, or lately had, the configuration.
    pub configuration_known: bool,
    pub newest: Option<ConfigurationDigest>,
    /// What serves the configuration now; `None` is the baseline.
    pub serving: Option<ModuleDigest>,
    pub floor: Option<Floor>,
    pub accepted: Vec<AcceptedModule>,
    pub demoted: bool,
    pub now_ms: i64,
    pub proof_policy: ProofPolicy,
    /// Whether tenants may bring modules.
    pub foreign_allowed: bool,
    /// This machine's attestation of the codec that the statement names; `None` if it names none.
    pub attested: Option<Result<Attested, AttestationRefusal>>,
}

impl Facts {
    pub fn gather(
        predicate: &Predicate,
        knowledge: &dyn Knowledge,
        now_ms: i64,
        proof: &ProofRequirement,
    ) -> Self {
        let (org, configuration) = (predicate.org.as_str(), predicate.configuration);
        let module = predicate.module.map(|module| module.sha256);
        Self {
            configuration_known: knowledge.knows(org, configuration),
            newest: match org {
                FLEET => Some(ConfigurationDigest::NONE),
                org => knowledge.newest(org),
            },
            serving: knowledge.serving(org, configuration),
            floor: knowledge.floor(org),
            accepted: knowledge.accepted(org),
            demoted: module.is_some_and(|module| knowledge.demoted(org, configuration, module)),
            now_ms,
            proof_policy: proof.policy,
            foreign_allowed: proof.wasi.is_some(),
            attested: predicate
                .proof
                .as_ref()
                .and_then(|claim| claim.codec())
                .map(|codec| Attested::read(&proof.attestations, codec)),
        }
    }
}

/// Reads a statement that somebody wants signed.
pub fn parse(statement: &[u8]) -> Result<Statement, Refused> {
    if statement.len() > STATEMENT_BYTES_MAX {
        let detail = format!(
            "{} bytes; the limit is {STATEMENT_BYTES_MAX}",
            statement.len()
        );
        return Err(Refused::new("too-large", detail));
    }
    Statement::parse(statement)
        .map_err(|error| Refused::new("malformed-statement", error.to_string()))
}

/// Decides in numbered steps; `digest` is that of the statement's exact bytes.
pub fn decide(
    predicate: &Predicate,
    digest: StatementDigest,
    facts: &Facts,
    page: &Page,
) -> Result<(), Refused> {
    // 1. The interface that this aggregator speaks.
    if predicate.interface != INTERFACE {
        let detail = format!("`{}`, not `{INTERFACE}`", predicate.interface);
        return Err(Refused::new("wrong-interface", detail));
    }
    // 2. A configuration that the organization has; the fleet's is none.
    if !facts.configuration_known {
        let detail = format!("`{}` has no {}", predicate.org, predicate.configuration);
        return Err(Refused::new("unknown-configuration", detail));
    }
    // 3. The next version, and no other.
    check_version(predicate.version, digest, facts, page.signed_version())?;
    // 4. In time, and not for longer than it takes to renew.
    check_time(predicate, facts.now_ms)?;
    // 5. What the kind asks for. A tombstone ships nothing: it is always allowed.
    let Some(module) = predicate.module else {
        return Ok(());
    };
    // 6. Code only for the configuration that is (or is about to be) in effect.
    if facts.newest != Some(predicate.configuration) {
        let newest = facts.newest.unwrap_or(ConfigurationDigest::NONE);
        let detail = format!("{} was replaced by {newest}", predicate.configuration);
        return Err(Refused::new("stale-configuration", detail));
    }
    // 7. Proven as far as the policy asks, by what this machine holds itself.
    check_proof(predicate, facts)?;
    // 8. Not what failed in production.
    if facts.demoted {
        return Err(Refused::new(
            "demoted",
            format!("{} was demoted", module.sha256),
        ));
    }
    // 9. Passed here: these very bytes, for exactly this organization and configuration.
    let Some(pass) = page.pass(
        predicate.configuration,
        module.sha256,
        predicate.is_foreign(),
    ) else {
        let detail = format!(
            "{} never passed for `{}` and {}",
            module.sha256, predicate.org, predicate.configuration
        );
        return Err(Refused::new("not-passed", detail));
    };
    if pass.size != module.size {
        let detail = format!("{} bytes, but {} passed", module.size, pass.size);
        return Err(Refused::new("module-size", detail));
    }
    // 10. Against what serves today, or accepted before.
    match predicate.kind {
        Kind::Rollback => check_rollback(predicate.configuration, module.sha256, facts),
        _ => check_promotion(module.sha256, pass.incumbent, facts),
    }
}

/// One above the highest version accepted or signed. A version that was signed but never accepted
/// may be signed again (its writer may have lost a race), and so may the floor's own statement.
fn check_version(
    version: u64,
    digest: StatementDigest,
    facts: &Facts,
    signed: u64,
) -> Result<(), Refused> {
    let floor = facts.floor.map_or(0, |floor| floor.version);
    let repeated = facts.floor.is_some_and(|floor| {
        floor
            == Floor {
                version,
                statement: digest,
            }
    });
    if version <= floor && !repeated {
        let detail = format!("version {version}, but {floor} was accepted");
        return Err(Refused::new("version-too-low", detail));
    }
    let next = floor.max(signed).saturating_add(1);
    if version > next {
        let detail = format!("version {version}, but the next one is {next}");
        return Err(Refused::new("version-too-high", detail));
    }
    Ok(())
}

fn check_time(predicate: &Predicate, now_ms: i64) -> Result<(), Refused> {
    let (issued, expires) = (predicate.issued_at_ms, predicate.expires_at_ms);
    if expires <= now_ms {
        let detail = format!("expires at {expires} ms; now is {now_ms} ms");
        return Err(Refused::new("expired", detail));
    }
    if issued.saturating_sub(CLOCK_SKEW_MS_MAX) > now_ms {
        let detail = format!("issued at {issued} ms; now is {now_ms} ms");
        return Err(Refused::new("not-yet-valid", detail));
    }
    let life = expires.saturating_sub(issued);
    if life > LIFE_MS_MAX {
        let detail = format!("a life of {life} ms; the limit is {LIFE_MS_MAX} ms");
        return Err(Refused::new("life-too-long", detail));
    }
    Ok(())
}

/// The builder's word is not enough, not even `verified`: the validator does not run the verifier,
/// so it asks for an attestation of its own that says at least as much.
fn check_proof(predicate: &Predicate, facts: &Facts) -> Result<(), Refused> {
    let Some(proof) = &predicate.proof else {
        let detail = format!("a {} without `proof`", predicate.kind);
        return Err(Refused::new("malformed-statement", detail));
    };
    let Some(codec) = proof.codec() else {
        if facts.foreign_allowed && predicate.org.as_str() != FLEET {
            return Ok(());
        }
        let detail = format!(
            "a foreign module for `{}`, which is not allowed",
            predicate.org
        );
        return Err(Refused::new("foreign-module", detail));
    };
    let (found, required) = (proof.verdict(), facts.proof_policy);
    if found < required {
        let detail = format!("`{found}`; the policy asks for `{required}`");
        return Err(Refused::new("proof-policy", detail));
    }
    let missing = Err(AttestationRefusal::Missing { codec });
    facts
        .attested
        .clone()
        .unwrap_or(missing)
        .and_then(|attested| attested.supports(proof))
        .map_err(|refusal| Refused::new(refusal.reason(), refusal.to_string()))
}

fn check_rollback(
    configuration: ConfigurationDigest,
    module: ModuleDigest,
    facts: &Facts,
) -> Result<(), Refused> {
    let served =
        |entry: &AcceptedModule| entry.configuration == configuration && entry.module == module;
    if facts.accepted.iter().any(served) {
        return Ok(());
    }
    let detail = format!("{module} was never accepted for {configuration}");
    Err(Refused::new("never-accepted", detail))
}

/// A renewal of what serves; or a pass against what serves now. A pass against anything is good
/// enough once only the baseline serves.
fn check_promotion(
    module: ModuleDigest,
    incumbent: Option<ModuleDigest>,
    facts: &Facts,
) -> Result<(), Refused> {
    if facts.serving == Some(module) || facts.serving.is_none() || facts.serving == incumbent {
        return Ok(());
    }
    let name = |module: Option<ModuleDigest>| {
        module.map_or_else(|| "the baseline".to_owned(), |module| module.to_string())
    };
    let detail = format!(
        "passed against {}, but {} serves now",
        name(incumbent),
        name(facts.serving)
    );
    Err(Refused::new("stale-verdict", detail))
}

#[cfg(test)]
mod tests;
