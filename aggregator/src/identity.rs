//! Names of organizations, and of this process.

use std::fmt;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use ratchet_trust::FLEET;

const ORG_LENGTH_MAX: usize = 63;

/// A checked organization name: `[a-z0-9-]{1,63}`, never `fleet`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Org(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an organization name: {0:?}")]
pub struct OrgError(pub String);

impl Org {
    pub fn parse(name: &str) -> Result<Self, OrgError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let length_ok = (1..=ORG_LENGTH_MAX).contains(&name.len());
        if !length_ok || !name.bytes().all(legal) || name == FLEET {
            let shown: String = name.chars().take(2 * ORG_LENGTH_MAX).collect();
            return Err(OrgError(shown));
        }
        Ok(Self(Arc::from(name)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that a map by organization can be asked with a name.
impl std::borrow::Borrow<str> for Org {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Org {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of this process among the aggregators. It is kept in the state directory, which one
/// process at a time has: whoever comes back there has the leases that it left.
pub fn member(directory: &Path) -> std::io::Result<String> {
    let path = directory.join("member");
    match fs::read_to_string(&path) {
        Ok(name) if is_member(name.trim()) => return Ok(name.trim().to_owned()),
        Ok(_) => tracing::warn!(path = %path.display(), "no name of an aggregator; a new one"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Seeded by the system, differently in every process.
    let random = RandomState::new();
    let name = format!("{:016x}", random.hash_one(std::process::id()));
    ratchet_trust::files::replace(&path, name.as_bytes())?;
    Ok(name)
}

fn is_member(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organization_names() {
        let long = "a".repeat(63);
        for name in ["a", "acme", "0-9", "-", long.as_str()] {
            assert_eq!(Org::parse(name).map(|o| o.to_string()), Ok(name.to_owned()));
        }
        let too_long = "a".repeat(64);
        for name in ["", "fleet", "Acme", "a.b", "a b", "é", too_long.as_str()] {
            assert!(Org::parse(name).is_err(), "{name:?} must be refused");
        }
    }

    #[test]
    fn a_state_directory_keeps_its_name() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = member(first.path()).unwrap();
        assert_eq!(member(first.path()).unwrap(), name);
        assert_ne!(member(second.path()).unwrap(), name);
        fs::write(first.path().join("member"), "?").unwrap();
        assert!(is_member(&member(first.path()).unwrap()));
    }
}
