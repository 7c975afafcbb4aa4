//! Who asks, and for which organization.

use axum::http::header::AUTHORIZATION;
use axum::http::HeaderMap;
use ratchet_access::{bearer, Principal, Role, TokenFile};

/// Names the organization where a token speaks for all of them, as at Mimir and its kin.
pub const TENANT_HEADER: &str = "x-scope-orgid";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("a bearer token is needed")]
    Unauthorized,
    #[error("the token does not speak for organization {0:?}")]
    Forbidden(String),
    #[error("the token speaks for every organization: name one in the header X-Scope-OrgID")]
    Unnamed,
    #[error("tokens cannot be checked now")]
    Broken,
}

impl Closed {
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden(_) => 403,
            Self::Unnamed => 400,
            Self::Broken => 503,
        }
    }
}

/// Lets in whoever may see `org`.
pub fn open(tokens: &TokenFile, headers: &HeaderMap, org: &str) -> Result<(), Closed> {
    let principal = principal(tokens, headers)?;
    if principal.allows(org, Role::Viewer) {
        Ok(())
    } else {
        Err(Closed::Forbidden(org.to_owned()))
    }
}

/// The organization that a request is about when its path names none.
pub fn organization(tokens: &TokenFile, headers: &HeaderMap) -> Result<String, Closed> {
    let principal = principal(tokens, headers)?;
    let named = headers
        .get(TENANT_HEADER)
        .and_then(|value| value.to_str().ok());
    let org = match named {
        Some(org) => org,
        None if principal.is_everybody() => return Err(Closed::Unnamed),
        None => &principal.org,
    };
    if principal.allows(org, Role::Viewer) {
        Ok(org.to_owned())
    } else {
        Err(Closed::Forbidden(org.to_owned()))
    }
}

fn principal(tokens: &TokenFile, headers: &HeaderMap) -> Result<Principal, Closed> {
    let authorization = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = authorization.and_then(bearer).ok_or(Closed::Unauthorized)?;
    let found = tokens.find(token).map_err(|error| {
        tracing::error!(%error, "tokens cannot be read");
        Closed::Broken
    });
    found?.ok_or(Closed::Unauthorized)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    /// SHA-256 of "viewer", "producer" and "admin".
    const TOKENS: &str = r#"[
        {"token_sha256":"d35ca5051b82ffc326a3b0b6574a9a3161dee16b9478a199ee39cd803ce5b799",
         "org":"acme","role":"viewer"},
        {"token_sha256":"d1990f97a1f4fe7b8e86da8c03c9dd3f7d536c14aa4a6f9eedab07f34cd961b0",
         "org":"acme","role":"producer"},
        {"token_sha256":"8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918",
         "org":"*","role":"admin"}
    ]"#;

    #[test]
    fn tokens_open_their_organization_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        std::fs::write(&path, TOKENS).unwrap();
        let tokens = TokenFile::new(&path);
        let check = |token: &str, tenant: Option<&str>, expected: Result<&str, u16>| {
            let mut headers = HeaderMap::new();
            if !token.is_empty() {
                let value = HeaderValue::try_from(token).unwrap();
                headers.insert(AUTHORIZATION, value);
            }
            if let Some(tenant) = tenant {
                headers.insert(TENANT_HEADER, HeaderValue::try_from(tenant).unwrap());
            }
            let told = organization(&tokens, &headers);
            let told = told.as_deref().map_err(Closed::status);
            assert_eq!(told, expected, "{token} {tenant:?}");
            if let (Ok(_), None) = (told, tenant) {
                assert_eq!(open(&tokens, &headers, "acme"), Ok(()));
                let other = open(&tokens, &headers, "other");
                assert_eq!(other, Err(Closed::Forbidden("other".to_owned())));
            }
        };
        check("Bearer viewer", None, Ok("acme"));
        check("Bearer viewer", Some("acme"), Ok("acme"));
        check("Bearer viewer", Some("other"), Err(403));
        check("Bearer admin", Some("other"), Ok("other"));
        check("Bearer admin", None, Err(400));
        check("Bearer producer", None, Err(403));
        check("Bearer producer", Some("acme"), Err(403));
        check("Bearer nobody", None, Err(401));
        check("Basic viewer", None, Err(401));
        check("", Some("acme"), Err(401));
        std::fs::write(&path, "broken").unwrap();
        check("Bearer viewer", None, Err(503));
    }
}
