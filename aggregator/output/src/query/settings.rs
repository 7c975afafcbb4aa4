//! What the query store is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::store::Limits;

const MIB: usize = 1024 * 1024;

#[derive(Args, Clone, Debug)]
#[group(id = "query")]
pub struct QuerySettings {
    /// Where queries of the latest windows are answered, such as 127.0.0.1:8482.
    #[arg(
        id = "query-http",
        long = "query-http",
        env = "RATCHET_QUERY_HTTP",
        value_name = "ADDRESS"
    )]
    pub http: Option<SocketAddr>,
    /// File of bearer tokens: digests, organizations and roles, as the control plane's.
    #[arg(
        id = "query-tokens",
        long = "query-tokens",
        env = "RATCHET_API_TOKENS",
        value_name = "FILE"
    )]
    pub tokens: Option<PathBuf>,
    /// Windows kept of each length that an organization's rules have, at most.
    #[arg(long = "query-windows", value_name = "N", default_value_t = 360)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub windows: u32,
    /// Seconds that windows are kept, and that are read from the stream at the start.
    #[arg(long = "query-history", value_name = "SECONDS", default_value_t = 3600)]
    #[arg(value_parser = clap::value_parser!(u32).range(60..=604_800))]
    pub history_s: u32,
    /// Memory for an organization's windows, in MiB.
    #[arg(long = "query-org-mib", value_name = "MIB", default_value_t = 64)]
    pub org_mib: u32,
    /// Memory for all windows, in MiB.
    #[arg(long = "query-mib", value_name = "MIB", default_value_t = 512)]
    pub mib: u32,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuerySettingsError {
    #[error("--query-http needs --query-tokens: nobody may ask without a token")]
    NoTokens,
}

impl QuerySettings {
    /// Where to listen, and who may ask; `None` when nothing is to be answered.
    pub fn door(&self) -> Result<Option<(SocketAddr, PathBuf)>, QuerySettingsError> {
        let Some(http) = self.http else {
            return Ok(None);
        };
        let tokens = self.tokens.clone().ok_or(QuerySettingsError::NoTokens)?;
        Ok(Some((http, tokens)))
    }

    pub fn history(&self) -> Duration {
        Duration::from_secs(self.history_s.into())
    }

    pub fn limits(&self) -> Limits {
        Limits {
            windows: self.windows as usize,
            history_ms: 1000 * i64::from(self.history_s),
            org_bytes: self.org_mib as usize * MIB,
            bytes: self.mib as usize * MIB,
        }
    }
}
