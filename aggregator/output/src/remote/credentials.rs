//! What proves to the receiver who is writing: kept in a file, read for each request, so that it
//! can be changed without a restart.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use reqwest::header::HeaderValue;

const FILE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    None,
    /// A file that holds a token.
    Bearer(PathBuf),
    /// A file that holds `user:password`.
    Basic(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("{path}: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{path}: {detail}")]
    Content { path: String, detail: &'static str },
}

impl Credentials {
    /// The value of the `Authorization` header.
    pub fn header(&self) -> Result<Option<HeaderValue>, CredentialsError> {
        let (path, value) = match self {
            Self::None => return Ok(None),
            Self::Bearer(path) => (path, format!("Bearer {}", read(path)?)),
            Self::Basic(path) => {
                let pair = read(path)?;
                if !pair.contains(':') {
                    return Err(content(path, "not user:password"));
                }
                (path, format!("Basic {}", STANDARD.encode(pair)))
            }
        };
        let value = HeaderValue::try_from(value);
        let mut value = value.map_err(|_| content(path, "not the text of a header"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn content(path: &Path, detail: &'static str) -> CredentialsError {
    CredentialsError::Content {
        path: path.display().to_string(),
        detail,
    }
}

fn read(path: &Path) -> Result<String, CredentialsError> {
    let io = |error| CredentialsError::Io {
        path: path.display().to_string(),
        error,
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(io)?;
    match text.trim() {
        "" => Err(content(path, "is empty")),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_headers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let check = |text: &str, of: fn(PathBuf) -> Credentials, expected: Result<&str, &str>| {
            std::fs::write(&path, text).unwrap();
            match (of(path.clone()).header(), expected) {
                (Ok(Some(value)), Ok(expected)) => assert_eq!(value, expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (value, expected) => panic!("{value:?}, not {expected:?}"),
            }
        };
        check("abc\n", Credentials::Bearer, Ok("Bearer abc"));
        check("user:pass", Credentials::Basic, Ok("Basic dXNlcjpwYXNz"));
        check("user", Credentials::Basic, Err("user:password"));
        check(" \n", Credentials::Bearer, Err("is empty"));
        check("a\nb", Credentials::Bearer, Err("header"));
        std::fs::remove_file(&path).unwrap();
        assert!(Credentials::Bearer(path).header().is_err());
        assert!(Credentials::None.header().unwrap().is_none());
    }
}
