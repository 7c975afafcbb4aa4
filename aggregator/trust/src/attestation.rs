//! Attestations: files that say that the verifier passed a codec, one file a digest of sources.
//!
//! An attestation is a claim of whoever may write the directory it lies in. The validator reads
//! its own copy, on its own machine: what the control plane holds does not matter to it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::digest::Sha256Digest;
use crate::files;
use crate::proof::{is_date, not_a_date, Proof, Tools};

/// The largest attestation that is read.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
const SCHEMA: u32 = 1;
/// The versions whose word is taken: what another verifier calls proven may mean something else.
const TOOLS: [&str; 4] = [
    "0.2026.07.18.3a4d30b",
    "1.96.0",
    "4.12.5",
    "0.0.0-2026-07-12-0122",
];
/// What the verifier's build appends to its version where it was not built from a clean checkout.
const DIRTY: &str = ".dirty";
/// How the verifier must have been called: over the whole crate, without `assume` or `admit`.
const COMMAND: [&str; 12] = [
    "verus",
    "--crate-type=lib",
    "--crate-name=ratchet_codec",
    "--edition=2021",
    "--cfg",
    "feature=\"write\"",
    "--no-cheating",
    "--num-threads=1",
    "--output-json",
    "--time-expanded",
    "--smt-option",
    "smt.random_seed={seed}",
];
const SOURCE: &str = "guest/codec/src/lib.rs";
/// A proof that holds under fewer seeds of the solver may have been luck.
const SEEDS_MIN: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    pub schema: u32,
    pub codec: Sha256Digest,
    pub tools: Tools,
    pub command: Vec<String>,
    pub seeds: Vec<u64>,
    pub functions_verified: u32,
    pub errors: u32,
    /// Functions whose body is believed, not proven.
    #[serde(rename = "external_body")]
    pub trusted_bodies: u32,
    pub log_sha256: Sha256Digest,
    pub date: String,
}

/// An attestation that holds, and the digest of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    pub attestation: Attestation,
    pub digest: Sha256Digest,
}

/// Why a codec does not count as attested; one label a reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationRefusal {
    #[error("there is no attestation of codec {codec}")]
    Missing { codec: Sha256Digest },
    #[error("the attestation of codec {codec} cannot be read: {detail}")]
    Unreadable { codec: Sha256Digest, detail: String },
    #[error("the attestation is malformed: {detail}")]
    Malformed { detail: String },
    #[error("{what} is {found}, not {expected}")]
    Mismatch {
        what: &'static str,
        found: String,
        expected: String,
    },
    #[error("{errors} errors in {functions} functions")]
    Errors { errors: u32, functions: u32 },
    #[error("made by {found}, not {expected}")]
    Tools { found: String, expected: String },
}

impl AttestationRefusal {
    /// The stable label of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "attestation-missing",
            Self::Unreadable { .. } => "attestation-unreadable",
            Self::Malformed { .. } => "attestation-malformed",
            Self::Mismatch { .. } => "attestation-mismatch",
            Self::Errors { .. } => "attestation-errors",
            Self::Tools { .. } => "attestation-tools",
        }
    }
}

impl Attested {
    /// Reads `<directory>/<codec>.json`.
    pub fn read(directory: &Path, codec: Sha256Digest) -> Result<Self, AttestationRefusal> {
        let file = directory.join(format!("{codec}.json"));
        let bytes = files::read(&file, FILE_BYTES_MAX).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AttestationRefusal::Missing { codec },
            io::ErrorKind::InvalidData => AttestationRefusal::Malformed {
                detail: error.to_string(),
            },
            _ => AttestationRefusal::Unreadable {
                codec,
                detail: error.to_string(),
            },
        })?;
        Self::parse(&bytes, codec)
    }

    /// Reads an attestation of exactly this codec, without errors, by tools that are known.
    pub fn parse(bytes: &[u8], codec: Sha256Digest) -> Result<Self, AttestationRefusal> {
        let malformed = |detail: String| AttestationRefusal::Malformed { detail };
        let attestation: Attestation =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if let Some(detail) = attestation.fault() {
            return Err(malformed(detail));
        }
        same("its codec", attestation.codec, codec)?;
        let (errors, functions) = (attestation.errors, attestation.functions_verified);
        if errors != 0 || functions == 0 {
            return Err(AttestationRefusal::Errors { errors, functions });
        }
        check_tools(&attestation.tools)?;
        let digest = Sha256Digest::of(bytes);
        Ok(Self {
            attestation,
            digest,
        })
    }

    /// Whether a manifest's proof says no more than this attestation does.
    pub fn supports(&self, proof: &Proof) -> Result<(), AttestationRefusal> {
        let own = &self.attestation;
        match proof.codec() {
            Some(codec) => same("the proof's codec", codec, own.codec)?,
            None => same("the proof", "foreign", "attested")?,
        }
        match proof {
            Proof::Foreign {} => Ok(()),
            Proof::Attested {
                attestation, date, ..
            } => {
                same("the attestation's digest", *attestation, self.digest)?;
                same("the attestation's date", date, &own.date)
            }
            Proof::Verified {
                functions_verified,
                tools,
                ..
            } => {
                check_tools(tools)?;
                let (found, expected) = (*functions_verified, own.functions_verified);
                same("the number of functions", found, expected)
            }
        }
    }
}

impl Attestation {
    fn fault(&self) -> Option<String> {
        if self.schema != SCHEMA {
            return Some(format!("schema {}, not {SCHEMA}", self.schema));
        }
        if !is_date(&self.date) {
            return Some(not_a_date(&self.date));
        }
        let different: BTreeSet<_> = self.seeds.iter().collect();
        if different.len() != self.seeds.len() || different.len() < SEEDS_MIN {
            return Some(format!("not {SEEDS_MIN} different seeds: {:?}", self.seeds));
        }
        if !self.command.iter().eq(COMMAND.iter().chain([&SOURCE])) {
            return Some(format!(
                "another command than {} {SOURCE}",
                COMMAND.join(" ")
            ));
        }
        None
    }
}

fn check_tools(tools: &Tools) -> Result<(), AttestationRefusal> {
    let Tools {
        verus,
        rust,
        z3,
        vstd,
    } = tools;
    let release = verus.strip_suffix(DIRTY).unwrap_or(verus);
    if [release, rust, z3, vstd] == TOOLS {
        return Ok(());
    }
    let shown = [verus, rust, z3, vstd].map(|version| version.chars().take(64).collect::<String>());
    Err(AttestationRefusal::Tools {
        found: shown.join(", "),
        expected: TOOLS.join(", "),
    })
}

fn same<T: PartialEq + ToString>(
    what: &'static str,
    found: T,
    expected: T,
) -> Result<(), AttestationRefusal> {
    if found == expected {
        return Ok(());
    }
    Err(AttestationRefusal::Mismatch {
        what,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}
