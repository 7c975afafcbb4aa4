use crate::digest::{ConfigurationDigest, KeyId, ModuleDigest, StatementDigest};
use crate::keys::Role;
use crate::proof::ProofVerdict;

/// Why a manifest or its module is not accepted. One variant a reason: each has its own label in
/// metrics, events and tests, and names the values that did not fit.
///
/// [`crate::verify`] and [`crate::check_module_bytes`] give all but the last three of the module
/// reasons (`module-missing`, `module-policy`, `compile`), which whoever fetches and compiles the
/// component reports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the envelope has {size} bytes; the limit is {max}")]
    TooLarge { size: usize, max: usize },
    #[error("the envelope cannot be read: {detail}")]
    MalformedEnvelope { detail: String },
    #[error("the payload type is `{found}`, not `{expected}`")]
    WrongPayloadType {
        found: String,
        expected: &'static str,
    },
    #[error("no trusted key has the id `{keyid}`, and no trusted {role} key signed")]
    UnknownKey { keyid: String, role: Role },
    #[error("the signature by the {role} key {keyid} does not verify")]
    BadSignature { keyid: KeyId, role: Role },
    #[error("no trusted {role} key signed")]
    MissingRole { role: Role },
    #[error("the statement cannot be accepted: {detail}")]
    MalformedStatement { detail: String },
    #[error("the manifest is for organization `{found}`, not `{expected}`")]
    WrongOrganization { found: String, expected: String },
    #[error("the manifest is for interface `{found}`, not `{expected}`")]
    WrongInterface {
        found: String,
        expected: &'static str,
    },
    #[error("organization `{org}` has no configuration {configuration}")]
    UnknownConfiguration {
        org: String,
        configuration: ConfigurationDigest,
    },
    #[error("version {found} is {statement}, but version {accepted} was accepted as {floor}")]
    VersionTooLow {
        found: u64,
        statement: StatementDigest,
        accepted: u64,
        floor: StatementDigest,
    },
    #[error("the manifest expired at {expires_at_ms} ms; now is {now_ms} ms")]
    Expired { expires_at_ms: i64, now_ms: i64 },
    #[error("the manifest is issued at {issued_at_ms} ms; now is {now_ms} ms")]
    NotYetValid { issued_at_ms: i64, now_ms: i64 },
    #[error("the proof verdict is `{found}`; the policy asks for `{required}`")]
    ProofPolicy {
        found: ProofVerdict,
        required: ProofVerdict,
    },
    #[error(
        "the module of `{org}` is foreign: its codec is not proven, and it is not allowed here"
    )]
    ForeignModule { org: String },
    #[error("module {module} is not in the store")]
    ModuleMissing { module: ModuleDigest },
    #[error("the module's bytes have the digest {found}, not {expected}")]
    ModuleDigest {
        found: ModuleDigest,
        expected: ModuleDigest,
    },
    #[error("the module has {found} bytes, not {expected} (limit {max})")]
    ModuleSize { found: u64, expected: u64, max: u64 },
    #[error("module {module} breaks the module policy: {detail}")]
    ModulePolicy {
        module: ModuleDigest,
        detail: String,
    },
    #[error("module {module} does not compile: {detail}")]
    Compile {
        module: ModuleDigest,
        detail: String,
    },
}

impl Refusal {
    /// The stable label of the reason, for metrics, events and tests.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::MalformedEnvelope { .. } => "malformed-envelope",
            Self::WrongPayloadType { .. } => "wrong-payload-type",
            Self::UnknownKey { .. } => "unknown-key",
            Self::BadSignature { .. } => "bad-signature",
            Self::MissingRole { .. } => "missing-role",
            Self::MalformedStatement { .. } => "malformed-statement",
            Self::WrongOrganization { .. } => "wrong-organization",
            Self::WrongInterface { .. } => "wrong-interface",
            Self::UnknownConfiguration { .. } => "unknown-configuration",
            Self::VersionTooLow { .. } => "version-too-low",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::ProofPolicy { .. } => "proof-policy",
            Self::ForeignModule { .. } => "foreign-module",
            Self::ModuleMissing { .. } => "module-missing",
            Self::ModuleDigest { .. } => "module-digest",
            Self::ModuleSize { .. } => "module-size",
            Self::ModulePolicy { .. } => "module-policy",
            Self::Compile { .. } => "compile",
        }
    }
}
