//! Names of organizations.

use std::fmt;
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
}
