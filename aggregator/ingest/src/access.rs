//! Which organization a request is for.

use axum::http::header::AUTHORIZATION;
use axum::http::HeaderMap;
use ratchet_access::{bearer, Principal, TokenFile};

use crate::organization::Org;
use crate::refusal::Refusal;

/// Where the holder of a token of every organization names one, as senders to Mimir do.
pub const ORG_HEADER: &str = "x-scope-orgid";

pub struct Access {
    tokens: Option<TokenFile>,
    anonymous: Option<Org>,
}

impl Access {
    pub fn new(tokens: Option<TokenFile>, anonymous: Option<Org>) -> Self {
        Self { tokens, anonymous }
    }

    pub fn authorize(&self, headers: &HeaderMap) -> Result<Org, Refusal> {
        let named = named_org(headers)?;
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            let own = self.anonymous.as_ref().ok_or(Refusal::NoToken)?;
            return agreed(own, named);
        };
        let text = authorization.to_str().map_err(|_| Refusal::WrongToken)?;
        let principal = self.principal(bearer(text).ok_or(Refusal::NoToken)?)?;
        if !principal.role.may_send() {
            return Err(Refusal::Forbidden(
                "the token may not send points".to_owned(),
            ));
        }
        if principal.is_everybody() {
            return named.ok_or_else(|| {
                let text = format!("a token of every organization names one in {ORG_HEADER}");
                Refusal::Forbidden(text)
            });
        }
        let own = Org::parse(&principal.org).map_err(|_| Refusal::WrongToken)?;
        agreed(&own, named)
    }

    fn principal(&self, token: &str) -> Result<Principal, Refusal> {
        let found = match &self.tokens {
            Some(tokens) => tokens.find(token),
            None => Ok(None),
        };
        let unreadable = |error: ratchet_access::TokenFileError| {
            tracing::error!(%error, "nobody may send");
            Refusal::Unavailable("tokens cannot be checked at the moment".to_owned())
        };
        found.map_err(unreadable)?.ok_or(Refusal::WrongToken)
    }
}

fn agreed(own: &Org, named: Option<Org>) -> Result<Org, Refusal> {
    match named {
        Some(named) if named != *own => Err(Refusal::Forbidden(format!(
            "the token is of another organization than {ORG_HEADER} names"
        ))),
        _ => Ok(own.clone()),
    }
}

fn named_org(headers: &HeaderMap) -> Result<Option<Org>, Refusal> {
    let Some(value) = headers.get(ORG_HEADER) else {
        return Ok(None);
    };
    let bad = || Refusal::Forbidden(format!("{ORG_HEADER} does not name an organization"));
    let name = value.to_str().map_err(|_| bad())?;
    Org::parse(name).map(Some).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn tokens_and_names_decide() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        let entry = |token: &str, org: &str, role: &str| {
            let digest = Sha256::digest(token.as_bytes());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            serde_json::json!({ "token_sha256": hex, "org": org, "role": role })
        };
        let entries = [
            entry("acme-sends", "acme", "producer"),
            entry("acme-reads", "acme", "editor"),
            entry("all", "*", "admin"),
        ];
        std::fs::write(&path, serde_json::to_vec(&entries).unwrap()).unwrap();
        let closed = Access::new(Some(TokenFile::new(&path)), None);
        let open = Access::new(
            Some(TokenFile::new(&path)),
            Some(Org::parse("home").unwrap()),
        );
        let check = |access: &Access, auth: Option<&str>, org: Option<&str>, expected| {
            let mut headers = HeaderMap::new();
            let auth = auth.map(|auth| headers.insert(AUTHORIZATION, auth.parse().unwrap()));
            let named = org.map(|org| headers.insert(ORG_HEADER, org.parse().unwrap()));
            let found = access.authorize(&headers);
            let shown = found.as_ref().map(Org::as_str).map_err(Refusal::kind);
            assert_eq!(shown, expected, "{auth:?} {named:?}");
        };
        check(&closed, None, None, Err("no-token"));
        check(&closed, Some("Basic YTpi"), None, Err("no-token"));
        check(&closed, Some("Bearer"), None, Err("no-token"));
        check(&closed, Some("Bearer "), None, Err("no-token"));
        check(&closed, Some("Bearer x"), None, Err("wrong-token"));
        check(&closed, Some("Bearer acme-sends"), None, Ok("acme"));
        check(&closed, Some("bearer acme-sends"), Some("acme"), Ok("acme"));
        check(
            &closed,
            Some("Bearer acme-sends"),
            Some("globex"),
            Err("forbidden"),
        );
        check(&closed, Some("Bearer acme-reads"), None, Err("forbidden"));
        check(&closed, Some("Bearer all"), None, Err("forbidden"));
        check(&closed, Some("Bearer all"), Some("globex"), Ok("globex"));
        check(&closed, Some("Bearer all"), Some("fleet"), Err("forbidden"));
        check(&open, None, None, Ok("home"));
        check(&open, None, Some("acme"), Err("forbidden"));
        check(&open, Some("Bearer x"), None, Err("wrong-token"));
    }
}
