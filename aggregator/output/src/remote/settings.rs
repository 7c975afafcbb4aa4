//! What a forwarder is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::credentials::Credentials;
use crate::names::{is_label_name, Naming};

/// The most samples in one request that may be asked for.
const SAMPLES_MAX: u32 = 100_000;

/// Which end of a window its sample carries as timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stamp {
    End,
    Start,
}

impl Stamp {
    pub fn of(self, start_ms: i64, window_ms: u32) -> i64 {
        match self {
            Self::End => start_ms + i64::from(window_ms),
            Self::Start => start_ms,
        }
    }
}

#[derive(Args, Clone, Debug)]
#[group(id = "remote")]
pub struct RemoteWriteSettings {
    /// URL that aggregated points are written to, such as http://mimir/api/v1/push (remote write
    /// 1.0: snappy and protobuf).
    #[arg(
        id = "remote-write-url",
        long = "remote-write",
        env = "RATCHET_REMOTE_WRITE",
        value_name = "URL"
    )]
    pub url: Option<String>,
    /// Header that names the organization to the receiver; empty for none.
    #[arg(long = "remote-write-tenant-header", value_name = "NAME")]
    #[arg(default_value = "X-Scope-OrgID")]
    pub tenant_header: String,
    /// Label that names the organization in every series; empty for none.
    #[arg(
        long = "remote-write-org-label",
        value_name = "NAME",
        default_value = "org"
    )]
    pub org_label: String,
    /// A label that every series gets; may be repeated.
    #[arg(long = "remote-write-label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// In front of the name of every metric.
    #[arg(long = "remote-write-prefix", value_name = "TEXT", default_value = "")]
    pub prefix: String,
    /// Also write `<metric>_count`: how many points went into each value.
    #[arg(long = "remote-write-counts")]
    pub counts: bool,
    /// The end of a window that its sample carries as timestamp. A value stamped with the end
    /// tells of the time before, as recording rules do.
    #[arg(
        long = "remote-write-stamp",
        value_name = "WHICH",
        default_value = "end"
    )]
    pub stamp: Stamp,
    /// File that holds a bearer token for the receiver.
    #[arg(long = "remote-write-bearer-file", value_name = "FILE")]
    #[arg(conflicts_with = "basic_file")]
    pub bearer_file: Option<PathBuf>,
    /// File that holds user:password for the receiver.
    #[arg(long = "remote-write-basic-file", value_name = "FILE")]
    pub basic_file: Option<PathBuf>,
    /// Seconds that one request may take.
    #[arg(
        id = "remote-write-timeout",
        long = "remote-write-timeout",
        value_name = "SECONDS",
        default_value_t = 30
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=600))]
    pub timeout_s: u32,
    /// Samples in one request, at most.
    #[arg(
        long = "remote-write-samples",
        value_name = "N",
        default_value_t = 5000
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(SAMPLES_MAX)))]
    pub samples: u32,
    /// Requests under way at a time, each of another organization.
    #[arg(long = "remote-write-parallel", value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=256))]
    pub parallel: u32,
    /// Seconds after which samples that the receiver throttles (429) are given up, so that one
    /// organization beyond its rights does not fill the queue.
    #[arg(
        long = "remote-write-patience",
        value_name = "SECONDS",
        default_value_t = 3600
    )]
    pub patience_s: u32,
    /// Name of the durable consumer, the queue: one a receiver.
    #[arg(
        long = "remote-write-consumer",
        value_name = "NAME",
        default_value = "remote-write"
    )]
    pub consumer: String,
    /// Seconds of the stream's past that a new consumer begins with.
    #[arg(
        long = "remote-write-backfill",
        value_name = "SECONDS",
        default_value_t = 3600
    )]
    pub backfill_s: u32,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("--{option} {value:?} is not {what}")]
    Name {
        option: &'static str,
        value: String,
        what: &'static str,
    },
    #[error("--remote-write-label {0} is given twice")]
    Twice(String),
    #[error(
        "with neither --remote-write-tenant-header nor --remote-write-org-label the series of \
         different organizations would be mixed"
    )]
    Mixed,
}

impl RemoteWriteSettings {
    /// What cannot work is refused before anything starts.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.check_names()?;
        if self.tenant_header.is_empty() && self.org_label.is_empty() {
            return Err(SettingsError::Mixed);
        }
        for (index, (name, _)) in self.labels.iter().enumerate() {
            if self.labels[..index].iter().any(|(known, _)| known == name) {
                return Err(SettingsError::Twice(name.clone()));
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), SettingsError> {
        let org_label = self.org_label.is_empty() || is_label_name(&self.org_label);
        let name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let consumer = (1..=100).contains(&self.consumer.len()) && self.consumer.bytes().all(name);
        let header = reqwest::header::HeaderName::try_from(&self.tenant_header).is_ok();
        let prefix = self.prefix.is_empty()
            || Naming::default().metric(&self.prefix) == self.prefix && self.prefix.len() <= 100;
        let checks = [
            ("org-label", &self.org_label, org_label, "a label's name"),
            ("consumer", &self.consumer, consumer, "a consumer's name"),
            (
                "tenant-header",
                &self.tenant_header,
                header || self.tenant_header.is_empty(),
                "a header's name",
            ),
            (
                "prefix",
                &self.prefix,
                prefix,
                "the beginning of a metric's name",
            ),
        ];
        match checks.into_iter().find(|(_, _, holds, _)| !holds) {
            None => Ok(()),
            Some((option, value, _, what)) => Err(SettingsError::Name {
                option,
                value: value.clone(),
                what,
            }),
        }
    }

    pub fn naming(&self) -> Naming {
        Naming {
            prefix: self.prefix.clone(),
            org_label: Some(self.org_label.clone()).filter(|name| !name.is_empty()),
            extra: self.labels.clone(),
        }
    }

    pub(super) fn credentials(&self) -> Credentials {
        match (&self.bearer_file, &self.basic_file) {
            (Some(file), _) => Credentials::Bearer(file.clone()),
            (None, Some(file)) => Credentials::Basic(file.clone()),
            (None, None) => Credentials::None,
        }
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_s.into())
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if is_label_name(name) && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!(
            "{text:?} is not NAME=VALUE with the name of a label"
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        settings: RemoteWriteSettings,
    }

    pub fn settings(args: &[&str]) -> RemoteWriteSettings {
        let args = std::iter::once(&"forward").chain(args);
        Command::try_parse_from(args).unwrap().settings
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let check = |args: &[&str], expected: Option<&str>| {
            let told = settings(args).check().err().map(|error| error.to_string());
            let fits = match (&told, expected) {
                (None, None) => true,
                (Some(told), Some(part)) => told.contains(part),
                _ => false,
            };
            assert!(fits, "{args:?}: {told:?}");
        };
        check(&[], None);
        check(&["--remote-write-org-label", ""], None);
        check(&["--remote-write-tenant-header", ""], None);
        check(
            &[
                "--remote-write-org-label",
                "",
                "--remote-write-tenant-header",
                "",
            ],
            Some("mixed"),
        );
        check(&["--remote-write-org-label", "a-b"], Some("org-label"));
        check(
            &["--remote-write-tenant-header", "a b"],
            Some("tenant-header"),
        );
        check(&["--remote-write-consumer", "a.b"], Some("consumer"));
        check(&["--remote-write-prefix", "a-"], Some("prefix"));
        check(&["--remote-write-prefix", "ratchet:"], None);
        let twice = ["--remote-write-label", "a=b", "--remote-write-label", "a=c"];
        check(&twice, Some("twice"));
        assert!(label("a=b=c").is_ok() && label("a").is_err() && label("a-b=c").is_err());
    }
}
