//! Bearer tokens, as the control plane keeps them: a JSON file of digests, organizations and roles.
//!
//! The format is that of `control/api/tokens.ts`, so that one file serves every door of a
//! deployment. A token says for whom it speaks; nobody names an organization that it may not see.
#![forbid(unsafe_code)]

mod file;

pub use file::{TokenFile, TokenFileError};

use serde::Deserialize;

/// What a token may do. Each role may do what those before it may; but sending is a right of its
/// own, which who only reads or edits rules does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Producer,
    Viewer,
    Editor,
    Operator,
    Admin,
}

impl Role {
    /// Whether it may send points.
    pub fn may_send(self) -> bool {
        matches!(self, Self::Producer | Self::Operator | Self::Admin)
    }
}

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// A name, or `*` for every organization.
    pub org: String,
    pub role: Role,
}

impl Principal {
    pub fn allows(&self, org: &str, role: Role) -> bool {
        self.role >= role && (self.is_everybody() || self.org == org)
    }

    /// Whether it speaks for every organization.
    pub fn is_everybody(&self) -> bool {
        self.org == "*"
    }
}

/// The token in the value of an `Authorization` header, if it is a bearer's.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_headers() {
        let check = |value: &str, expected: Option<&str>| assert_eq!(bearer(value), expected);
        check("Bearer abc", Some("abc"));
        check("bearer  abc ", Some("abc"));
        check("Bearer ", None);
        check("Bearer", None);
        check("Basic abc", None);
        check("", None);
    }

    #[test]
    fn who_may_do_what() {
        let check = |org: &str, role, asked: (&str, Role), expected: bool| {
            let org = org.to_owned();
            assert_eq!(Principal { org, role }.allows(asked.0, asked.1), expected);
        };
        check("acme", Role::Viewer, ("acme", Role::Viewer), true);
        check("acme", Role::Operator, ("acme", Role::Viewer), true);
        check("acme", Role::Viewer, ("acme", Role::Editor), false);
        check("acme", Role::Producer, ("acme", Role::Viewer), false);
        check("acme", Role::Admin, ("other", Role::Viewer), false);
        check("*", Role::Viewer, ("other", Role::Viewer), true);
        check("*", Role::Editor, ("other", Role::Admin), false);
    }

    #[test]
    fn who_may_send() {
        let check = |role: Role, expected: bool| assert_eq!(role.may_send(), expected, "{role:?}");
        check(Role::Producer, true);
        check(Role::Viewer, false);
        check(Role::Editor, false);
        check(Role::Operator, true);
        check(Role::Admin, true);
    }
}
