//! Several organizations' traffic in the background, and the balance at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use ratchet_aggregator::identity::Org;
use ratchet_aggregator::spread::sources;
use ratchet_rules::{Aggregate, Rule};
use tokio::task::JoinHandle;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};

/// Organizations that lie in all four partitions.
pub const ORGS: [&str; 6] = ["acme", "globex", "hooli", "initech", "soylent", "umbrella"];

/// One that is too large for one partition, and the partitions that it is spread over.
const VAST: &str = "vast";
const SPREAD: u32 = 3;
const PARTITIONS: u32 = 4;
/// A spread begins a second after it is stored at the earliest.
const SPREAD_LEAD_MS: i64 = 3_000;

/// From which moment on there are windows of [`VAST`].
pub struct Configured {
    vast_from_ms: i64,
}

pub struct Load {
    stop: Arc<AtomicBool>,
    publishers: Vec<JoinHandle<Publisher>>,
}

/// Rules of several windows; the longest has four seconds.
pub fn rules() -> [Rule; 3] {
    [
        rule("avg", Aggregate::Avg, 4, &["zone"]),
        rule("count", Aggregate::Count, 1, &["host"]),
        rule("sum", Aggregate::Sum, 2, &["host", "zone"]),
    ]
}

impl Load {
    /// Configures the organizations with [`rules`].
    pub async fn configure(stage: &Stage) -> Configured {
        let configured =
            ORGS.map(|org| async move { stage.configure(org, now_ms() - 60_000, &rules()).await });
        let rules = rules();
        let vast_from_ms = now_ms() + SPREAD_LEAD_MS;
        let spread = stage.configure_spread(VAST, vast_from_ms, &rules, SPREAD);
        futures::join!(futures::future::join_all(configured), spread);
        Configured { vast_from_ms }
    }

    /// Publishes `per_second` messages a second for each organization.
    pub fn start(context: &jetstream::Context, configured: Configured, per_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let Configured { vast_from_ms } = configured;
        let publisher = |(org, seed)| {
            let from_ms = if org == VAST { vast_from_ms } else { 0 };
            Publisher::new(context.clone(), org, seed, Oracle::from(from_ms, &rules()))
        };
        let vast = Org::parse(VAST).unwrap();
        let parts = sources(&vast, SPREAD, PARTITIONS).into_iter().zip(2000..);
        let parts =
            parts.map(|(partition, seed)| publisher((VAST, seed)).into_partition(partition));
        let publish = |mut publisher: Publisher| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut interval = tokio::time::interval(Duration::from_secs(1) / per_second);
                while !stop.load(Ordering::Relaxed) {
                    interval.tick().await;
                    publisher.publish().await;
                }
                publisher
            })
        };
        let whole = ORGS.into_iter().zip(1000..).map(publisher);
        let publishers = whole.chain(parts).map(publish).collect();
        Self { stop, publishers }
    }

    /// Ends the traffic, waits until it is emitted, and compares every window with the oracle.
    pub async fn balance(self, stage: &Stage) {
        self.stop.store(true, Ordering::Relaxed);
        let mut ended = Vec::new();
        for publisher in self.publishers {
            ended.push(publisher.await.unwrap());
        }
        stage.settle(4).await;
        let mut late = stage.context.get_stream("LATE").await.unwrap();
        assert_eq!(
            late.info().await.unwrap().state.messages,
            0,
            "nothing came late"
        );
        // Those of one organization follow each other in the order of the partitions.
        for parts in ended.chunk_by(|a, b| a.org == b.org) {
            let output = collect(&stage.context, &parts[0].org).await;
            let mut expected = Oracle::new(&rules());
            parts.iter().for_each(|part| expected.fold(&part.oracle));
            assert_same(&output.points, &expected.outcomes());
            assert!(parts.iter().all(|part| part.messages > 0) && !output.points.is_empty());
        }
    }
}
