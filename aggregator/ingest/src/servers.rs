//! Where NATS is.

use std::path::PathBuf;

use async_nats::{Client, ConnectError, ConnectOptions, ServerAddr};
use clap::Args;

/// The servers of one cluster, as every process is told them.
#[derive(Args, Clone, Debug)]
pub struct Servers {
    /// Addresses of NATS servers of one cluster, such as nats://127.0.0.1:4222, separated by commas.
    #[arg(
        id = "nats-url",
        long,
        env = "NATS_URL",
        value_delimiter = ',',
        value_parser = address,
        default_value = "nats://127.0.0.1:4222"
    )]
    pub urls: Vec<ServerAddr>,
    /// File with the certificates, in PEM, that servers of tls:// addresses are verified with, in
    /// place of the system's.
    #[arg(id = "nats-tls-ca-file", long, env = "NATS_TLS_CA_FILE")]
    pub tls_ca_file: Option<PathBuf>,
}

impl Servers {
    /// Connects to any of them.
    pub async fn connect(&self, options: ConnectOptions) -> Result<Client, ConnectError> {
        let options = match &self.tls_ca_file {
            Some(path) => options.add_root_certificates(path.clone()),
            None => options,
        };
        options.connect(&self.urls[..]).await
    }
}

fn address(text: &str) -> Result<ServerAddr, String> {
    let parsed = text.parse::<ServerAddr>().ok();
    let named = parsed.filter(|address| !address.host().is_empty());
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
        for bad in ["", "a,,b", "nats://a:b:c", "a:99999"] {
            assert_eq!(hosts(bad), None, "{bad:?}");
        }
    }
}
