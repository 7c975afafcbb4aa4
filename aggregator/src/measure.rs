//! What a promoted module gains on held-back messages: for operators, after the fact.
//!
//! One measurement at a time, apart from the serving threads, interleaved with the references in
//! this process; the fleet's module on the messages of some organizations, one after the other.
//! Its figures go to a subject that the control plane cannot read.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;
use futures::StreamExt;
use ratchet_sandbox::bench::{self, Builtin, Options, Report};
use ratchet_sandbox::{Limits, WasiLimits};
use ratchet_trust::ConfigurationDigest;
use tokio::sync::mpsc;

use crate::configuration::Configuration;
use crate::identity::Org;
use crate::shared::Shared;

/// Promotions that wait to be measured.
pub const QUEUE_MAX: usize = 16;
/// Held-back messages that a measurement reads.
const MESSAGES_MAX: usize = 256;
const READ_WITHIN: Duration = Duration::from_secs(10);
const ROUNDS: u32 = 15;
const TIME_MAX: Duration = Duration::from_secs(15);

const ACTIVE: &str = "active";
const BASELINE: &str = "baseline";
const PER_POINT: &str = "per-point";

/// Organizations that the fleet's module is measured on.
const ORGANIZATIONS_MAX: usize = 16;
/// Organizations that are looked at to find those.
pub const LOOKED_AT_MAX: usize = 64;

/// A promoted module to be measured.
pub struct Job {
    /// An organization, or the fleet.
    pub owner: String,
    /// That of the manifest.
    pub configuration: ConfigurationDigest,
    /// Whose held-back messages it is measured on, under whose rules: one, or some of the fleet.
    pub on: Vec<(Org, Arc<Configuration>)>,
    pub module: String,
    pub version: u64,
    pub component: Vec<u8>,
    /// What holds for it where a tenant brought it.
    pub wasi: Option<WasiLimits>,
}

/// Measures until the swapper is gone.
pub async fn run(context: jetstream::Context, shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let version = job.version;
        match measure(&context, &job).await {
            Ok(fields) => shared.events.send(&job.owner, "measured", fields),
            Err(error) => {
                let owner = &job.owner;
                tracing::warn!(%owner, version, error, "measurement failed");
            }
        }
    }
}

/// Organization by organization, so that the messages of one are in memory at a time.
async fn measure(context: &jetstream::Context, job: &Job) -> Result<serde_json::Value, String> {
    let mut each = Vec::new();
    let organizations = job.on.len().min(ORGANIZATIONS_MAX);
    for (org, configuration) in &job.on {
        let messages = held_back(context, org, configuration).await?;
        // Of a tenant's, that there are none is a finding.
        if job.on.len() > 1 && messages.is_empty() {
            continue;
        }
        let time = TIME_MAX / u32::try_from(organizations.max(1)).unwrap_or(u32::MAX);
        each.push(timed(job, configuration, messages, time).await?);
        if each.len() == ORGANIZATIONS_MAX {
            break;
        }
    }
    let figures = Figures::mean(&each).ok_or("no organization has held-back messages")?;
    Ok(serde_json::json!({
        "configuration": job.configuration.to_string(),
        "module": job.module,
        "version": job.version,
        "organizations": each.len(),
        "messages": figures.messages,
        "us": {
            "active": figures.active_us,
            "baseline": figures.baseline_us,
            "per_point": figures.per_point_us,
        },
        "ratio_to_baseline": figures.ratio_to_baseline,
        "ratio_to_per_point": figures.ratio_to_per_point,
        "ci95": figures.ci95,
    }))
}

async fn timed(
    job: &Job,
    configuration: &Configuration,
    messages: Vec<Bytes>,
    time: Duration,
) -> Result<Figures, String> {
    let found = messages.len();
    let options = Options {
        rules: Arc::from(&*configuration.blob),
        messages,
        modules: vec![(ACTIVE.to_owned(), job.component.clone())],
        builtins: vec![Builtin::Baseline, Builtin::PerPoint],
        reference: BASELINE.to_owned(),
        rounds: ROUNDS,
        time: Some(time),
        min_messages: 1,
        limits: Limits {
            wasi: job.wasi.clone(),
            ..Limits::default()
        },
        compilations: None,
    };
    let report = tokio::task::spawn_blocking(move || bench::run(&options))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("{error} ({found} held-back messages)"))?;
    Figures::of(&report).ok_or_else(|| format!("no figures: {report:?}"))
}

/// The figures of a report, if it has them all.
#[derive(Clone, Debug, PartialEq)]
struct Figures {
    messages: usize,
    active_us: f64,
    baseline_us: f64,
    per_point_us: f64,
    ratio_to_baseline: f64,
    ratio_to_per_point: f64,
    ci95: [f64; 2],
}

impl Figures {
    fn of(report: &Report) -> Option<Self> {
        let us = |name: &str| {
            let found = report.modules.iter().find(|m| m.name == name)?;
            (found.us_per_message > 0.0).then_some(found.us_per_message)
        };
        let ratio = report.ratios.iter().find(|r| r.name == ACTIVE)?;
        let (active_us, per_point_us) = (us(ACTIVE)?, us(PER_POINT)?);
        Some(Self {
            messages: report.messages,
            active_us,
            baseline_us: us(BASELINE)?,
            per_point_us,
            ratio_to_baseline: ratio.ratio,
            ratio_to_per_point: per_point_us / active_us,
            ci95: ratio.ci95,
        })
    }

    /// Of several organizations: times are their means, ratios their geometric means. The
    /// intervals are independent of each other, so their half widths add up as squares.
    fn mean(each: &[Self]) -> Option<Self> {
        if let [only] = each {
            return Some(only.clone());
        }
        let count = each.len() as f64;
        let mean = |of: fn(&Self) -> f64| each.iter().map(of).sum::<f64>() / count;
        let ratio = mean(|figures| figures.ratio_to_baseline.ln());
        let half = |bound: usize| {
            let apart = |f: &Self| (f.ratio_to_baseline / f.ci95[bound]).ln().powi(2);
            each.iter().map(apart).sum::<f64>().sqrt() / count
        };
        (!each.is_empty()).then(|| Self {
            messages: each.iter().map(|figures| figures.messages).sum(),
            active_us: mean(|figures| figures.active_us),
            baseline_us: mean(|figures| figures.baseline_us),
            per_point_us: mean(|figures| figures.per_point_us),
            ratio_to_baseline: ratio.exp(),
            ratio_to_per_point: mean(|figures| figures.ratio_to_per_point.ln()).exp(),
            ci95: [(ratio - half(0)).exp(), (ratio + half(1)).exp()],
        })
    }
}

/// The held-back messages of a configuration, the oldest first.
async fn held_back(
    context: &jetstream::Context,
    org: &Org,
    configuration: &Configuration,
) -> Result<Vec<Bytes>, String> {
    let stream = context
        .get_stream("VALIDATION")
        .await
        .map_err(|error| error.to_string())?;
    let cfg16 = configuration.digest.0.short();
    let config = OrderedConfig {
        filter_subject: format!("validation.{org}.{cfg16}"),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = stream
        .create_consumer(config)
        .await
        .map_err(|error| error.to_string())?;
    if consumer.cached_info().num_pending == 0 {
        return Ok(Vec::new());
    }
    let mut source = consumer
        .messages()
        .await
        .map_err(|error| error.to_string())?;
    let mut messages = Vec::new();
    let read = async {
        while let Some(Ok(message)) = source.next().await {
            let pending = message.info().map_or(0, |info| info.pending);
            messages.push(message.payload.clone());
            if pending == 0 || messages.len() >= MESSAGES_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(READ_WITHIN, read).await;
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(ratio: f64, ci95: [f64; 2], us: f64) -> Figures {
        Figures {
            messages: 8,
            active_us: us,
            baseline_us: us * ratio,
            per_point_us: us * 10.0,
            ratio_to_baseline: ratio,
            ratio_to_per_point: 10.0,
            ci95,
        }
    }

    #[test]
    fn figures_of_several_organizations() {
        let one = figures(2.0, [1.9, 2.1], 3.0);
        assert_eq!(Figures::mean(&[]), None);
        assert_eq!(Figures::mean(std::slice::from_ref(&one)), Some(one));
        let both = [
            figures(2.0, [1.0, 4.0], 1.0),
            figures(8.0, [4.0, 16.0], 3.0),
        ];
        let mean = Figures::mean(&both).unwrap();
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        };
        assert_eq!(mean.messages, 16);
        close(mean.active_us, 2.0);
        close(mean.baseline_us, 13.0);
        close(mean.ratio_to_baseline, 4.0);
        close(mean.ratio_to_per_point, 10.0);
        // Each may be off by a factor of two: their mean by less.
        close(mean.ci95[0], 4.0 / 2f64.powf(0.5f64.sqrt()));
        close(mean.ci95[1], 4.0 * 2f64.powf(0.5f64.sqrt()));
    }
}
