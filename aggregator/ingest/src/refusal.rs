//! Why a request is refused as a whole, and how each protocol says so.

use std::time::Duration;

use axum::http::StatusCode;

/// What a sender is told; every refusal is one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a bearer token is required")]
    NoToken,
    #[error("the token is not known")]
    WrongToken,
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("the request was not complete in time")]
    Slow,
    #[error("too much is being taken in at the moment")]
    Overloaded,
    #[error("the organization has sent more than {points_per_s} points a second")]
    TooFast {
        points_per_s: u32,
        retry_after: Duration,
    },
    #[error("more of the organization waits to be aggregated than its neighbours can bear")]
    Behind,
    #[error("{0}")]
    Unavailable(String),
}

/// How long a sender should wait before it tries again.
const RETRY_OVERLOADED_S: u32 = 1;
const RETRY_UNAVAILABLE_S: u32 = 5;

/// Codes of gRPC, which OTLP uses over HTTP too.
pub mod code {
    pub const INVALID_ARGUMENT: i32 = 3;
    pub const DEADLINE_EXCEEDED: i32 = 4;
    pub const PERMISSION_DENIED: i32 = 7;
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    pub const UNIMPLEMENTED: i32 = 12;
    pub const UNAVAILABLE: i32 = 14;
    pub const UNAUTHENTICATED: i32 = 16;
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded | Self::TooFast { .. } | Self::Behind => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code of gRPC. A sender by OTLP tries again after `RESOURCE_EXHAUSTED` only where
    /// [`Self::retry_after_s`] tells it to, and gives a body that is too large up.
    pub fn grpc_code(&self) -> i32 {
        match self {
            Self::NoToken | Self::WrongToken => code::UNAUTHENTICATED,
            Self::Forbidden(_) => code::PERMISSION_DENIED,
            Self::Malformed(_) => code::INVALID_ARGUMENT,
            Self::TooLarge(_) | Self::Overloaded | Self::TooFast { .. } | Self::Behind => {
                code::RESOURCE_EXHAUSTED
            }
            Self::Unsupported(_) => code::UNIMPLEMENTED,
            Self::Slow => code::DEADLINE_EXCEEDED,
            Self::Unavailable(_) => code::UNAVAILABLE,
        }
    }

    /// Present where the same request may succeed later.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Overloaded | Self::Behind => Some(RETRY_OVERLOADED_S),
            Self::TooFast { retry_after, .. } => Some(retry_after.as_secs_f64().ceil() as u32),
            Self::Unavailable(_) => Some(RETRY_UNAVAILABLE_S),
            _ => None,
        }
    }

    /// Names the kind, for problem documents and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::WrongToken => "wrong-token",
            Self::Forbidden(_) => "forbidden",
            Self::Malformed(_) => "malformed",
            Self::TooLarge(_) => "too-large",
            Self::Unsupported(_) => "unsupported",
            Self::Slow => "slow",
            Self::Overloaded => "overloaded",
            Self::TooFast { .. } => "too-fast",
            Self::Behind => "behind",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// For the header `WWW-Authenticate`.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::NoToken => Some("Bearer realm=\"ratchet\""),
            Self::WrongToken => Some("Bearer realm=\"ratchet\", error=\"invalid_token\""),
            _ => None,
        }
    }
}
