//! Where NATS is.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use async_nats::{Client, ConnectOptions, ServerAddr};
use clap::Args;

/// A server that does not answer two of these in turn is gone, also where nothing says so: a host
/// without power resets no connection.
const PING_EVERY: Duration = Duration::from_secs(10);

/// The servers of one cluster, as every process is told them.
#[derive(Args, Clone, Debug)]
pub struct Servers {
    /// Addresses of NATS servers, such as nats://127.0.0.1:4222; of one cluster, commas between.
    #[arg(
        id = "nats-url",
        long,
        env = "NATS_URL",
        value_delimiter = ',',
        value_parser = address,
        default_value = "nats://127.0.0.1:4222"
    )]
    pub urls: Vec<ServerAddr>,
    /// File with the certificates, in PEM, that servers are verified with in place of the
    /// system's; then none is spoken to without TLS.
    #[arg(id = "nats-tls-ca-file", long, env = "NATS_TLS_CA_FILE")]
    pub tls_ca_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{path}: {error}")]
    Unreadable { path: String, error: io::Error },
    #[error("{path} has no certificate in PEM")]
    NoCertificate { path: String },
    #[error("cannot reach NATS: {0}")]
    Nats(#[from] async_nats::ConnectError),
}

impl Servers {
    /// Connects to any of them. Where one address demands TLS all do, so that those of which the
    /// first tells are not spoken to without.
    pub async fn connect(&self, mut options: ConnectOptions) -> Result<Client, ConnectError> {
        let demands_tls = self.urls.iter().any(ServerAddr::tls_required);
        options = options
            .require_tls(demands_tls || self.tls_ca_file.is_some())
            .ping_interval(PING_EVERY);
        if let Some(path) = &self.tls_ca_file {
            check_certificates(path)?;
            options = options.add_root_certificates(path.clone());
        }
        Ok(options.connect(&self.urls[..]).await?)
    }
}

/// The client would try again for ever, and not tell why.
fn check_certificates(path: &Path) -> Result<(), ConnectError> {
    let name = || path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| ConnectError::Unreadable {
        path: name(),
        error,
    })?;
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(()),
        false => Err(ConnectError::NoCertificate { path: name() }),
    }
}

fn address(text: &str) -> Result<ServerAddr, String> {
    let parsed = text.parse::<ServerAddr>().ok();
    let named = parsed.filter(|address| !address.host().is_empty() && !address.is_websocket());
    named.ok_or_else(|| format!("{text:?} is not an address such as nats://127.0.0.1:4222"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        servers: Servers,
    }

    fn hosts(text: &str) -> Option<Vec<(String, u16)>> {
        let flags = Flags::try_parse_from(["test", "--nats-url", text]).ok()?;
        let urls = flags.servers.urls.iter();
        Some(
            urls.map(|url| (url.host().to_owned(), url.port()))
                .collect(),
        )
    }

    #[test]
    fn one_address_or_several() {
        let check = |text: &str, expected: &[(&str, u16)]| {
            let expected = expected
                .iter()
                .map(|(host, port)| ((*host).to_owned(), *port));
            assert_eq!(hosts(text), Some(expected.collect()), "{text:?}");
        };
        check("nats://127.0.0.1:4222", &[("127.0.0.1", 4222)]);
        check("tls://a:1,b", &[("a", 1), ("b", 4222)]);
        check("a,nats://b:2,c:3", &[("a", 4222), ("b", 2), ("c", 3)]);
        for bad in ["", "a,,b", "nats://a:b:c", "a:99999", "ws://a"] {
            assert_eq!(hosts(bad), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn certificates_are_looked_at_before_anything_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let mut servers = Flags::parse_from(["test", "--nats-url", "nats://127.0.0.1:1"]).servers;
        servers.tls_ca_file = Some(file.clone());
        let check = async |expected: &str| {
            let options = ConnectOptions::new().retry_on_initial_connect();
            let error = servers.connect(options).await.unwrap_err().to_string();
            assert!(error.starts_with(file.to_str().unwrap()), "{error}");
            assert!(error.contains(expected), "{error}");
        };
        check("No such file").await;
        fs::write(&file, "-----BEGIN PRIVATE KEY-----").unwrap();
        check("has no certificate").await;
    }
}
