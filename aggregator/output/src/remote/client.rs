//! One request of remote write, and what its answer means.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, AUTHORIZATION, RETRY_AFTER};
use reqwest::{redirect, Response, StatusCode, Url};

use super::credentials::Credentials;
use super::settings::{RemoteWriteSettings, SettingsError};

/// How much of an answer is kept to tell people why.
const DETAIL_BYTES_MAX: usize = 300;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// The same request may succeed later.
    Retry {
        reason: &'static str,
        detail: String,
        after: Option<Duration>,
    },
    /// It never will.
    Refused {
        reason: String,
        detail: String,
    },
}

/// The reason of an answer 429.
pub const THROTTLED: &str = "throttled";

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("no URL to write to")]
    NoUrl,
    #[error("remote write to {0:?}: not an http or https URL")]
    Url(String),
    #[error("{0}")]
    Credentials(String),
    #[error("remote write: {0}")]
    Http(#[from] reqwest::Error),
}

pub struct Client {
    http: reqwest::Client,
    url: Url,
    tenant_header: Option<HeaderName>,
    credentials: Credentials,
}

impl Client {
    /// Refuses settings that cannot work, and credentials that cannot be read.
    pub fn new(settings: &RemoteWriteSettings) -> Result<Self, ClientError> {
        settings.check()?;
        let text = settings.url.clone().ok_or(ClientError::NoUrl)?;
        let url = Url::parse(&text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or(ClientError::Url(text))?;
        let credentials = settings.credentials();
        let readable = credentials.header().map(drop);
        readable.map_err(|error| ClientError::Credentials(error.to_string()))?;
        // Whoever runs this may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("ratchet/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(settings.timeout_s.into()))
            .connect_timeout(Duration::from_secs(10))
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            url,
            tenant_header: HeaderName::try_from(&settings.tenant_header).ok(),
            credentials,
        })
    }

    /// Sends a compressed `WriteRequest` of one organization.
    pub async fn send(&self, org: &str, body: Bytes) -> Answer {
        let headers = match self.headers(org) {
            Ok(headers) => headers,
            Err(detail) => return retry("credentials", detail, None),
        };
        let request = self.http.post(self.url.clone()).headers(headers).body(body);
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) if error.is_timeout() => retry("timeout", error.to_string(), None),
            Err(error) => retry("connection", chain(&error), None),
        }
    }

    fn headers(&self, org: &str) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let fixed = [
            ("content-encoding", "snappy"),
            ("content-type", "application/x-protobuf"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(name) = &self.tenant_header {
            let org = HeaderValue::try_from(org).map_err(|error| error.to_string())?;
            headers.insert(name, org);
        }
        let credentials = self
            .credentials
            .header()
            .map_err(|error| error.to_string())?;
        headers.extend(credentials.map(|value| (AUTHORIZATION, value)));
        Ok(headers)
    }
}

fn retry(reason: &'static str, detail: String, after: Option<Duration>) -> Answer {
    Answer::Retry {
        reason,
        detail,
        after,
    }
}

async fn answer(mut response: Response) -> Answer {
    let status = response.status();
    if status.is_success() {
        return Answer::Taken;
    }
    let after = response.headers().get(RETRY_AFTER).cloned();
    let after = after.and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now()));
    let mut text = Vec::new();
    // What cannot be read is not told; the status alone decides.
    while let Ok(Some(chunk)) = response.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() >= DETAIL_BYTES_MAX {
            break;
        }
    }
    text.truncate(DETAIL_BYTES_MAX);
    let detail = format!("{status}: {}", String::from_utf8_lossy(&text).trim());
    match status {
        StatusCode::TOO_MANY_REQUESTS => retry(THROTTLED, detail, after),
        _ if status.is_server_error() => retry("server-error", detail, after),
        _ => Answer::Refused {
            reason: format!("http-{}", status.as_u16()),
            detail,
        },
    }
}

/// Seconds, or a date of HTTP.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// An error with what caused it: reqwest's own text only names the URL.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::settings::tests::settings;

    #[test]
    fn patience_that_receivers_ask_for() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(
                retry_after(text, now),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("-1", None);
        check("soon", None);
    }

    #[test]
    fn receivers_that_cannot_be() {
        let check = |args: &[&str], part: &str| {
            let error = Client::new(&settings(args)).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(&[], "no URL");
        check(&["--remote-write", "ftp://x/"], "http or https");
        check(&["--remote-write", "receiver:9090"], "http or https");
        let secret = [
            "--remote-write",
            "http://x/",
            "--remote-write-bearer-file",
            "/nowhere",
        ];
        check(&secret, "/nowhere");
        assert!(Client::new(&settings(&["--remote-write", "https://x/y"])).is_ok());
    }
}
