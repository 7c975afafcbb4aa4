//! Names of organizations, and of this process.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

pub use ratchet_ingest::organization::{Org, OrgError};

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
    fn a_state_directory_keeps_its_name() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = member(first.path()).unwrap();
        assert_eq!(member(first.path()).unwrap(), name);
        assert_ne!(member(second.path()).unwrap(), name);
        fs::write(first.path().join("member"), "?").unwrap();
        assert!(is_member(&member(first.path()).unwrap()));
    }
}
