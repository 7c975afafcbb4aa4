//! What a promoted module gains on held-back messages: for operators, after the fact.
//!
//! One measurement at a time, apart from the serving threads, interleaved with the references in
//! this process. Its figures go to a subject that the control plane cannot read.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;
use futures::StreamExt;
use ratchet_sandbox::bench::{self, Builtin, Options, Report};
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

/// A promoted module to be measured.
pub struct Job {
    pub org: Org,
    pub configuration: Arc<Configuration>,
    pub module: String,
    pub version: u64,
    pub component: Vec<u8>,
}

/// Measures until the swapper is gone.
pub async fn run(context: jetstream::Context, shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let (org, version) = (job.org.clone(), job.version);
        match measure(&context, job).await {
            Ok(fields) => shared.events.send(org.as_str(), "measured", fields),
            Err(error) => tracing::warn!(%org, version, error, "measurement failed"),
        }
    }
}

async fn measure(context: &jetstream::Context, job: Job) -> Result<serde_json::Value, String> {
    let messages = held_back(context, &job).await?;
    let found = messages.len();
    let options = Options {
        rules: Arc::from(&*job.configuration.blob),
        messages,
        modules: vec![(ACTIVE.to_owned(), job.component)],
        builtins: vec![Builtin::Baseline, Builtin::PerPoint],
        reference: BASELINE.to_owned(),
        rounds: ROUNDS,
        time: Some(TIME_MAX),
        min_messages: 1,
        limits: ratchet_sandbox::Limits::default(),
    };
    let report = tokio::task::spawn_blocking(move || bench::run(&options))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("{error} ({found} held-back messages)"))?;
    let figures = Figures::of(&report).ok_or_else(|| format!("no figures: {report:?}"))?;
    Ok(serde_json::json!({
        "configuration": job.configuration.digest.to_string(),
        "module": job.module,
        "version": job.version,
        "messages": report.messages,
        "us": {
            "active": figures.active_us,
            "baseline": figures.baseline_us,
            "per_point": figures.per_point_us,
        },
        "ratio_to_baseline": figures.ratio_to_baseline,
        "ratio_to_per_point": figures.per_point_us / figures.active_us,
        "ci95": figures.ci95,
    }))
}

/// The figures of a report, if it has them all.
struct Figures {
    active_us: f64,
    baseline_us: f64,
    per_point_us: f64,
    ratio_to_baseline: f64,
    ci95: [f64; 2],
}

impl Figures {
    fn of(report: &Report) -> Option<Self> {
        let us = |name: &str| {
            let found = report.modules.iter().find(|m| m.name == name)?;
            (found.us_per_message > 0.0).then_some(found.us_per_message)
        };
        let ratio = report.ratios.iter().find(|r| r.name == ACTIVE)?;
        Some(Self {
            active_us: us(ACTIVE)?,
            baseline_us: us(BASELINE)?,
            per_point_us: us(PER_POINT)?,
            ratio_to_baseline: ratio.ratio,
            ci95: ratio.ci95,
        })
    }
}

/// The held-back messages of a configuration, the oldest first.
async fn held_back(context: &jetstream::Context, job: &Job) -> Result<Vec<Bytes>, String> {
    let stream = context
        .get_stream("VALIDATION")
        .await
        .map_err(|error| error.to_string())?;
    let cfg16 = job.configuration.digest.0.short();
    let config = OrderedConfig {
        filter_subject: format!("validation.{}.{cfg16}", job.org),
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
