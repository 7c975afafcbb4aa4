//! What an aggregator believes, and why.
//!
//! A module reaches production only with a signed manifest: a DSSE envelope around an in-toto
//! statement, signed by two roles (builder and validator). This crate holds every check that needs
//! no engine and no network, so that each is a pure function with a table of tests:
//!
//! - [`dsse`]: the envelope and its pre-authentication encoding;
//! - [`manifest`]: the statement's types;
//! - [`proof`], [`attestation`]: how far a module's codec is proven, and who says so;
//! - [`keys`]: public keys of `trust.json`, private seeds;
//! - [`verify()`]: the one order of checks, one [`Refusal`] a reason;
//! - [`floor`]: the highest version accepted, kept across restarts;
//! - [`sign`]: signing a statement's exact bytes;
//! - [`source_policy`]: what `aggregate.rs`, the one file that evolution edits, may contain.
#![forbid(unsafe_code)]

pub mod attestation;
pub mod digest;
pub mod dsse;
pub mod files;
pub mod floor;
pub mod keys;
pub mod manifest;
pub mod proof;
mod refusal;
pub mod sign;
pub mod source_policy;
mod verify;

pub use attestation::{AttestationRefusal, Attested};
pub use digest::{ConfigurationDigest, KeyId, ModuleDigest, Sha256Digest, StatementDigest};
pub use floor::{Floor, FloorError, FloorStore};
pub use keys::{KeyError, PrivateKey, Role, TrustRoot};
pub use manifest::{Kind, OrgName, Statement};
pub use proof::{Proof, ProofVerdict};
pub use refusal::Refusal;
pub use verify::{
    check_module_bytes, module_bytes_max, verify, Accepted, Expectation, ProofPolicy,
};

/// The largest envelope that is read, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024;
/// The largest component that is read, in bytes.
pub const MODULE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The same of a foreign one, which brings its language's runtime along.
pub const FOREIGN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The one guest interface this aggregator speaks.
pub const INTERFACE: &str = "ratchet:guest@1.0.0";
/// The reserved name under which the fleet module is published.
pub const FLEET: &str = "fleet";
/// How far another machine's clock may be ahead of ours, in milliseconds.
pub const CLOCK_SKEW_MS_MAX: i64 = 5 * 60 * 1000;
