//! Keys: the public ones that this deployment trusts (a local file, never the network), and the
//! private ones that a role signs with.

use std::fmt;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::digest::KeyId;
use crate::{dsse, files};

const TRUST_BYTES_MAX: usize = 64 * 1024;
const SEED_BYTES_MAX: usize = 256;
/// Two roles, and room for rotations.
pub const KEYS_MAX: usize = 64;

/// Who signs: the control plane that built a module, or the shadow service that passed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Builder,
    Validator,
}

impl Role {
    pub const ALL: [Self; 2] = [Self::Builder, Self::Validator];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Builder => "builder",
            Self::Validator => "validator",
        })
    }
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {error}")]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{path}: others can read it (mode {mode:o}); a private key needs mode 600")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the trust file is not usable: {0}")]
    Trust(String),
    #[error("the private key is not usable: {0}")]
    Private(String),
}

/// A public key and the one role it may sign for.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    pub keyid: KeyId,
    pub role: Role,
    public: VerifyingKey,
}

impl TrustedKey {
    /// Strict: no malleable signature, no small-order point.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.public.verify_strict(message, &signature).is_ok())
    }
}

/// The public keys that this deployment trusts.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    keys: Vec<TrustedKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustFile {
    schema: u32,
    keys: Vec<TrustEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustEntry {
    keyid: KeyId,
    role: Role,
    public: String,
}

impl TrustRoot {
    /// Reads `trust.json`.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&read(path, TRUST_BYTES_MAX)?)
    }

    pub fn parse(json: &[u8]) -> Result<Self, KeyError> {
        let file: TrustFile =
            serde_json::from_slice(json).map_err(|error| KeyError::Trust(error.to_string()))?;
        if file.schema != 1 {
            return Err(KeyError::Trust(format!("schema {}, not 1", file.schema)));
        }
        if file.keys.len() > KEYS_MAX {
            let count = file.keys.len();
            return Err(KeyError::Trust(format!(
                "{count} keys; the limit is {KEYS_MAX}"
            )));
        }
        let mut keys: Vec<TrustedKey> = Vec::with_capacity(file.keys.len());
        for entry in file.keys {
            if keys.iter().any(|key| key.keyid == entry.keyid) {
                return Err(KeyError::Trust(format!(
                    "key {} is listed twice",
                    entry.keyid
                )));
            }
            keys.push(trusted(entry)?);
        }
        for role in Role::ALL {
            if !keys.iter().any(|key| key.role == role) {
                return Err(KeyError::Trust(format!("no {role} key")));
            }
        }
        Ok(Self { keys })
    }

    pub fn find(&self, keyid: &KeyId) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.keyid == *keyid)
    }
}

fn trusted(entry: TrustEntry) -> Result<TrustedKey, KeyError> {
    let refused = |detail: String| {
        Err(KeyError::Trust(format!(
            "{} key {}: {detail}",
            entry.role, entry.keyid
        )))
    };
    let bytes = match dsse::decode(&entry.public) {
        Ok(bytes) => bytes,
        Err(detail) => return refused(format!("the public key is {detail}")),
    };
    let Ok(bytes) = <[u8; 32]>::try_from(bytes) else {
        return refused("the public key does not have 32 bytes".to_owned());
    };
    let found = KeyId::of(&bytes);
    if found != entry.keyid {
        return refused(format!("the public key has the id {found}"));
    }
    let Ok(public) = VerifyingKey::from_bytes(&bytes) else {
        return refused("the public key is not a point of the curve".to_owned());
    };
    // Anybody can sign for a small-order point.
    if public.is_weak() {
        return refused("the public key is a small-order point".to_owned());
    }
    Ok(TrustedKey {
        keyid: entry.keyid,
        role: entry.role,
        public,
    })
}

/// A role's private key.
pub struct PrivateKey {
    signing: SigningKey,
    keyid: KeyId,
}

impl PrivateKey {
    /// Reads a seed file (base64 of 32 bytes); refuses one that others can read.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        refuse_exposed(path)?;
        Self::parse(&read(path, SEED_BYTES_MAX)?)
    }

    pub fn parse(base64: &[u8]) -> Result<Self, KeyError> {
        let refused = || KeyError::Private("not base64 of 32 bytes".to_owned());
        let text = std::str::from_utf8(base64).map_err(|_| refused())?;
        let bytes = dsse::decode(text.trim()).map_err(|_| refused())?;
        let seed = <[u8; 32]>::try_from(bytes).map_err(|_| refused())?;
        let signing = SigningKey::from_bytes(&seed);
        let keyid = KeyId::of(signing.verifying_key().as_bytes());
        Ok(Self { signing, keyid })
    }

    pub fn keyid(&self) -> KeyId {
        self.keyid
    }

    /// The 32 public bytes, as `trust.json` lists them.
    pub fn public(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.keyid)
    }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).map_err(|error| KeyError::Read {
        path: path.to_owned(),
        error,
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), KeyError> {
    Ok(())
}

fn read(path: &Path, max: usize) -> Result<Vec<u8>, KeyError> {
    files::read(path, max).map_err(|error| KeyError::Read {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_files() {
        let directory = files::scratch("keys");
        let path = directory.join("builder.key");
        let seed = dsse::encode(&[7; 32]);
        let load = |text: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            PrivateKey::load(&path)
        };
        let key = load(&format!("{seed}\n"), 0o600).unwrap();
        assert_eq!(key.keyid(), KeyId::of(&key.public()));
        assert_eq!(format!("{key:?}"), format!("PrivateKey({})", key.keyid()));
        assert!(matches!(
            load(&seed, 0o640),
            Err(KeyError::Exposed { mode: 0o640, .. })
        ));
        assert!(matches!(load("", 0o600), Err(KeyError::Private(_))));
        assert!(matches!(
            load(&dsse::encode(&[7; 31]), 0o600),
            Err(KeyError::Private(_))
        ));
        assert!(matches!(
            load(&seed.repeat(9), 0o600),
            Err(KeyError::Read { .. })
        ));
        let absent = PrivateKey::load(&directory.join("absent"));
        assert!(matches!(absent, Err(KeyError::Read { .. })));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
