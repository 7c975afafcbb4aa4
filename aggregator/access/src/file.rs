//! The file of tokens, read again whenever it changes: tokens come and go without a restart.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Principal, Role};

/// The most tokens in a file: three for each of ten thousand organizations, and some.
pub const TOKENS_MAX: usize = 32_768;
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A longer token is nobody's.
const TOKEN_BYTES_MAX: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    #[error("{path}: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{path}: {error}")]
    Json {
        path: String,
        error: serde_json::Error,
    },
    #[error("{path}: {detail}")]
    Content { path: String, detail: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token_sha256: String,
    org: String,
    role: Role,
}

/// What tells one state of the file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
            inode: metadata.ino(),
        }
    }
}

/// Principals by the digest of their token. Looking a digest up in a hash table may tell how much
/// of it is right, which is of no use: nobody can make a token for a digest that he wants.
type Principals = HashMap<[u8; 32], Principal>;

#[derive(Default)]
struct Loaded {
    stamp: Option<Stamp>,
    principals: Arc<Principals>,
}

/// The tokens of a file.
pub struct TokenFile {
    path: PathBuf,
    loaded: Mutex<Loaded>,
}

impl TokenFile {
    /// Nothing is read yet. A file that does not exist has no token.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            loaded: Mutex::default(),
        }
    }

    /// Whom a token speaks for; `None` when it is nobody's.
    ///
    /// Errors: a file that cannot be read or is malformed gives access to nobody.
    pub fn find(&self, token: &str) -> Result<Option<Principal>, TokenFileError> {
        let principals = self.principals()?;
        if token.len() > TOKEN_BYTES_MAX {
            return Ok(None);
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        Ok(principals.get(&digest).cloned())
    }

    fn principals(&self) -> Result<Arc<Principals>, TokenFileError> {
        let stamp = match std::fs::metadata(&self.path) {
            Ok(metadata) => Stamp::from(&metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => return Err(io(&self.path, error)),
        };
        let mut loaded = self.loaded.lock();
        if loaded.stamp != Some(stamp) {
            let principals = parse(&self.path, &read(&self.path)?)?;
            *loaded = Loaded {
                stamp: Some(stamp),
                principals: Arc::new(principals),
            };
        }
        Ok(loaded.principals.clone())
    }
}

fn io(path: &Path, error: std::io::Error) -> TokenFileError {
    TokenFileError::Io {
        path: path.display().to_string(),
        error,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TokenFileError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| io(path, error))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(|error| io(path, error))? as u64 > FILE_BYTES_MAX {
        return Err(content(path, format!("more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn content(path: &Path, detail: String) -> TokenFileError {
    TokenFileError::Content {
        path: path.display().to_string(),
        detail,
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Principals, TokenFileError> {
    let entries: Vec<Entry> =
        serde_json::from_slice(bytes).map_err(|error| TokenFileError::Json {
            path: path.display().to_string(),
            error,
        })?;
    if entries.len() > TOKENS_MAX {
        return Err(content(path, format!("more than {TOKENS_MAX} tokens")));
    }
    let mut principals = Principals::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let digest = unhex(&entry.token_sha256).ok_or_else(|| {
            let what = "token_sha256 must be a SHA-256 digest in hexadecimal";
            content(path, format!("entry {index}: {what}"))
        })?;
        if !is_org(&entry.org) {
            let shown: String = entry.org.chars().take(80).collect();
            let detail = format!("entry {index}: org {shown:?} must be a name or *");
            return Err(content(path, detail));
        }
        let (org, role) = (entry.org, entry.role);
        principals.insert(digest, Principal { org, role });
    }
    Ok(principals)
}

fn is_org(org: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let name = (1..=63).contains(&org.len()) && org.bytes().all(legal) && org != "fleet";
    name || org == "*"
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let pairs: &[[u8; 2]; 32] = text.as_bytes().as_chunks().0.try_into().ok()?;
    let mut digest = [0; 32];
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = 16 * digit(*high)? + digit(*low)?;
    }
    (text.len() == 64).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "secret".
    const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn entry(org: &str, role: &str) -> String {
        format!(r#"{{"token_sha256":"{SECRET}","org":"{org}","role":"{role}"}}"#)
    }

    #[test]
    fn finds_whom_a_token_speaks_for_and_reads_the_file_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        let tokens = TokenFile::new(&path);
        assert_eq!(tokens.find("secret").unwrap(), None, "no file yet");
        std::fs::write(&path, format!("[{}]", entry("acme", "viewer"))).unwrap();
        let principal = tokens.find("secret").unwrap().unwrap();
        assert_eq!((&*principal.org, principal.role), ("acme", Role::Viewer));
        assert_eq!(tokens.find("secret2").unwrap(), None);
        assert_eq!(tokens.find(&"s".repeat(TOKEN_BYTES_MAX + 1)).unwrap(), None);
        std::fs::write(&path, format!("[{}]", entry("*", "admin"))).unwrap();
        assert!(tokens.find("secret").unwrap().unwrap().is_everybody());
        std::fs::write(&path, "[").unwrap();
        assert!(
            tokens.find("secret").is_err(),
            "a broken file lets nobody in"
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(tokens.find("secret").unwrap(), None);
    }

    #[test]
    fn malformed_files_are_refused_with_the_place() {
        let check = |text: &str, part: &str| {
            let error = parse(Path::new("tokens.json"), text.as_bytes()).unwrap_err();
            let shown = error.to_string();
            assert!(
                shown.contains("tokens.json") && shown.contains(part),
                "{shown}"
            );
        };
        check("{}", "expected a sequence");
        check("[", "EOF");
        check(&format!("[{}]", entry("Acme", "viewer")), "entry 0: org");
        check(&format!("[{}]", entry("fleet", "viewer")), "entry 0: org");
        check(&format!("[{}]", entry("acme", "root")), "unknown variant");
        check(
            r#"[{"token_sha256":"00","org":"*","role":"admin"}]"#,
            "entry 0",
        );
        let odd = entry("acme", "viewer").replace(SECRET, &SECRET.to_uppercase());
        check(&format!("[{odd}]"), "hexadecimal");
        let more = entry("acme", "viewer").replace("{", r#"{"name":"x","#);
        check(&format!("[{more}]"), "unknown field");
    }
}
