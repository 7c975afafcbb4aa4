//! What a manifest says of the proof of the codec that its module links.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;

/// How far the codec is proven, as the builder found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase", deny_unknown_fields)]
pub enum Proof {
    /// A tenant brought the component: it was not built here, and what it reads payloads by is not
    /// proven.
    Foreign {},
    /// The builder has an attestation of the codec's exact sources, and no verifier.
    Attested {
        codec: Sha256Digest,
        /// Of the attestation file's bytes.
        attestation: Sha256Digest,
        date: String,
    },
    /// The builder's own verifier passed the codec's exact sources.
    Verified {
        codec: Sha256Digest,
        functions_verified: u32,
        errors: u32,
        tools: Tools,
    },
}

/// Versions of the verifier and of what it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    pub verus: String,
    pub rust: String,
    pub z3: String,
    pub vstd: String,
}

/// The verdicts alone; ordered, so that a policy is a minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofVerdict {
    /// Below every policy: a deployment allows it apart (`wasi`), or not at all.
    Foreign,
    Attested,
    Verified,
}

impl fmt::Display for ProofVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "foreign",
            Self::Attested => "attested",
            Self::Verified => "verified",
        })
    }
}

impl Proof {
    pub fn verdict(&self) -> ProofVerdict {
        match self {
            Self::Foreign {} => ProofVerdict::Foreign,
            Self::Attested { .. } => ProofVerdict::Attested,
            Self::Verified { .. } => ProofVerdict::Verified,
        }
    }

    /// Digest of the sources that the proof is of; a foreign module has none.
    pub fn codec(&self) -> Option<Sha256Digest> {
        match self {
            Self::Foreign {} => None,
            Self::Attested { codec, .. } | Self::Verified { codec, .. } => Some(*codec),
        }
    }

    /// What is wrong with the values, whatever the policy.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Foreign {} => None,
            Self::Attested { date, .. } => (!is_date(date)).then(|| not_a_date(date)),
            Self::Verified {
                functions_verified,
                errors,
                tools,
                ..
            } => match (functions_verified, errors) {
                (1.., 0) => tools.fault(),
                _ => Some(format!(
                    "verified with {functions_verified} functions and {errors} errors"
                )),
            },
        }
    }
}

const VERSION_BYTES_MAX: usize = 64;

impl Tools {
    fn fault(&self) -> Option<String> {
        let Self {
            verus,
            rust,
            z3,
            vstd,
        } = self;
        let fits = |version: &&String| {
            (1..=VERSION_BYTES_MAX).contains(&version.len())
                && version.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let bad = [verus, rust, z3, vstd]
            .into_iter()
            .find(|each| !fits(each))?;
        let shown: String = bad.chars().take(80).collect();
        Some(format!("`{shown}` is not a version"))
    }
}

pub(crate) fn not_a_date(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("`{shown}` is not a time such as 2026-07-18T12:00:00.000Z")
}

/// As `Date.toISOString` writes it: UTC, with milliseconds.
pub(crate) fn is_date(text: &str) -> bool {
    const FORM: &str = "dddd-dd-ddTdd:dd:dd.dddZ";
    text.len() == FORM.len()
        && FORM
            .bytes()
            .zip(text.bytes())
            .all(|(wanted, found)| match wanted {
                b'd' => found.is_ascii_digit(),
                _ => found == wanted,
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let check = |text: &str, expected: bool| assert_eq!(is_date(text), expected, "{text}");
        check("2026-07-18T12:00:00.123Z", true);
        for text in [
            "",
            "2026-07-18",
            "2026-07-18T12:00:00Z",
            "2026-07-18T12:00:00.000",
            "2026-07-18T12:00:00+02:00",
            "2026-07-18t12:00:00.000Z",
            "2026-07-18T12:00:00.12Z",
            "２026-07-18T12:00Z",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn verdicts_are_ordered() {
        assert!(ProofVerdict::Foreign < ProofVerdict::Attested);
        assert!(ProofVerdict::Attested < ProofVerdict::Verified);
    }
}
