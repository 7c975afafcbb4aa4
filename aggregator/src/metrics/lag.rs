//! How far behind each partition is, told when it is asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::MetricType;

use super::PartitionLabel;
use crate::events::now_ms;

type Taken = BTreeMap<u32, Arc<AtomicI64>>;

/// When the newest message that each partition has served was stored in the stream; while somebody
/// is behind a tick, the newest one that all have come to. Every partition has a message a second,
/// its tick, so the age of that one is the lag: it grows while NATS is gone, while nothing is read,
/// and while serving is slower than the stream. Cloning shares it.
#[derive(Clone, Default)]
pub struct Lag(Arc<Mutex<Taken>>);

/// Tells of one partition, until it is dropped.
pub struct PartitionLag {
    lag: Lag,
    partition: u32,
    taken_ms: Arc<AtomicI64>,
}

impl Lag {
    /// Of a partition that begins to be served now, and was served up to a moment.
    pub fn of(&self, partition: u32, served_ms: Option<i64>) -> PartitionLag {
        let taken_ms = Arc::new(AtomicI64::new(served_ms.unwrap_or_else(now_ms)));
        self.0.lock().insert(partition, taken_ms.clone());
        PartitionLag {
            lag: self.clone(),
            partition,
            taken_ms,
        }
    }

    /// The partition that is the most behind.
    pub fn greatest(&self) -> Option<(u32, Duration)> {
        let now_ms = now_ms();
        let lags = self.lags(now_ms);
        lags.into_iter().max_by_key(|(_, lag)| *lag)
    }

    fn lags(&self, now_ms: i64) -> Vec<(u32, Duration)> {
        let age = |taken_ms: &AtomicI64| {
            let age_ms = now_ms.saturating_sub(taken_ms.load(Ordering::Relaxed));
            Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
        };
        let taken = self.0.lock();
        taken
            .iter()
            .map(|(number, ms)| (*number, age(ms)))
            .collect()
    }
}

impl PartitionLag {
    /// A message that was stored at a moment is served.
    pub fn served(&self, stored_ms: i64) {
        self.taken_ms.store(stored_ms, Ordering::Relaxed);
    }
}

impl Drop for PartitionLag {
    fn drop(&mut self) {
        let mut taken = self.lag.0.lock();
        // A successor in this process may have begun.
        let mine = taken.get(&self.partition);
        if mine.is_some_and(|ms| Arc::ptr_eq(ms, &self.taken_ms)) {
            taken.remove(&self.partition);
        }
    }
}

impl std::fmt::Debug for Lag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lag").finish_non_exhaustive()
    }
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let help = "How far a partition is behind";
        let mut family = encoder.encode_descriptor("lag_seconds", help, None, MetricType::Gauge)?;
        for (partition, lag) in self.lags(now_ms()) {
            let label = PartitionLabel { partition };
            ConstGauge::new(lag.as_secs_f64()).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_lags_by_its_newest_message() {
        let lag = Lag::default();
        assert_eq!(lag.greatest(), None);
        let (one, two) = (lag.of(1, Some(1_000)), lag.of(2, None));
        two.served(4_000);
        let seconds = |n| Duration::from_secs(n);
        assert_eq!(lag.lags(5_000), [(1, seconds(4)), (2, seconds(1))]);
        // Clocks differ.
        assert_eq!(lag.lags(3_000), [(1, seconds(2)), (2, seconds(0))]);
        let again = lag.of(1, None);
        drop(one);
        assert_eq!(lag.lags(0).len(), 2);
        drop((again, two));
        assert_eq!(lag.lags(0), []);
    }
}
