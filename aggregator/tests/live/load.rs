//! Several organizations' traffic in the background, and the balance at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use ratchet_rules::{Aggregate, Rule};
use tokio::task::JoinHandle;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};

/// Organizations that lie in all four partitions.
pub const ORGS: [&str; 6] = ["acme", "globex", "hooli", "initech", "soylent", "umbrella"];

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
    pub async fn configure(stage: &Stage) {
        let configured =
            ORGS.map(|org| async move { stage.configure(org, now_ms() - 60_000, &rules()).await });
        futures::future::join_all(configured).await;
    }

    /// Publishes `per_second` messages a second for each organization.
    pub fn start(context: &jetstream::Context, per_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let publish = |(org, seed): (&str, u64)| {
            let mut publisher = Publisher::new(context.clone(), org, seed, Oracle::new(&rules()));
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
        let publishers = ORGS.into_iter().zip(1000..).map(publish).collect();
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
        for publisher in &ended {
            let output = collect(&stage.context, &publisher.org).await;
            assert_same(&output.points, &publisher.oracle.outcomes());
            assert!(publisher.messages > 0 && !output.points.is_empty());
        }
    }
}
