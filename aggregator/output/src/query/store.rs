//! The windows of all organizations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use parking_lot::RwLock;

use super::org::OrgStore;
use crate::emission::{EmissionError, Envelope};
use crate::metrics::OutputMetrics;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Windows of an organization that are equally long.
    pub windows: usize,
    /// How far windows may lie behind the organization's newest one.
    pub history_ms: i64,
    pub org_bytes: usize,
    /// Of all organizations together. Whoever goes beyond it gives up windows of its own.
    pub bytes: usize,
}

type Orgs = HashMap<Arc<str>, Arc<RwLock<OrgStore>>>;

pub struct Store {
    limits: Limits,
    orgs: RwLock<Orgs>,
    bytes: AtomicUsize,
    windows: AtomicUsize,
    metrics: OutputMetrics,
}

impl Store {
    pub fn new(limits: Limits, metrics: OutputMetrics) -> Self {
        Self {
            limits,
            orgs: RwLock::default(),
            bytes: AtomicUsize::new(0),
            windows: AtomicUsize::new(0),
            metrics,
        }
    }

    pub fn org(&self, org: &str) -> Option<Arc<RwLock<OrgStore>>> {
        self.orgs.read().get(org).cloned()
    }

    /// Takes a message in; what no longer fits goes, oldest windows first. Only one thread adds.
    pub fn add(&self, envelope: &Envelope, payload: &[u8]) -> Result<(), EmissionError> {
        let org = self.org(&envelope.org).unwrap_or_else(|| {
            let mut orgs = self.orgs.write();
            orgs.entry(envelope.org.clone()).or_default().clone()
        });
        let mut org = org.write();
        let (bytes, windows) = (org.bytes(), org.windows());
        let others = self.bytes.load(Ordering::Relaxed) - bytes;
        org.add(envelope, payload)?;
        org.forget_old(&self.limits);
        let fits = |org: &OrgStore| {
            let bytes = org.bytes();
            bytes <= self.limits.org_bytes && others + bytes <= self.limits.bytes
        };
        let mut evicted = 0;
        while !fits(&org) && org.evict_oldest() {
            evicted += 1;
        }
        if evicted > 0 {
            self.metrics.evicted(&envelope.org, evicted);
        }
        self.bytes.store(others + org.bytes(), Ordering::Relaxed);
        let all = self.windows.load(Ordering::Relaxed) - windows + org.windows();
        self.windows.store(all, Ordering::Relaxed);
        self.metrics.query_bytes.set((others + org.bytes()) as i64);
        self.metrics.query_windows.set(all as i64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emission::tests::{message, Row};

    const LIMITS: Limits = Limits {
        windows: 1000,
        history_ms: 3_600_000,
        org_bytes: 1 << 20,
        bytes: 1 << 30,
    };

    /// Starts of the windows of rule `r` that are kept, oldest first.
    fn kept(store: &Store, org: &str) -> Vec<i64> {
        let Some(org) = store.org(org) else {
            return Vec::new();
        };
        let org = org.read();
        let starts = org.windows_of("r").map(|(_, start_ms)| start_ms);
        starts.collect()
    }

    fn add(store: &Store, org: &str, start_s: i64, hosts: std::ops::Range<usize>) {
        let names: Vec<String> = hosts.map(|host| format!("host-{host}")).collect();
        let tags: Vec<[(&str, &str); 1]> = names.iter().map(|n| [("host", &**n)]).collect();
        let row = |tags| -> Row<'_> { ("r", tags, 1000 * start_s, 1.0, 1) };
        let rows: Vec<Row<'_>> = tags.iter().map(|tags| row(&tags[..])).collect();
        let (envelope, payload) = message(org, 1000, &rows);
        store.add(&envelope, &payload).unwrap();
    }

    #[test]
    fn every_limit_takes_the_oldest_windows() {
        let check = |limits: Limits, expected: &[i64]| {
            let store = Store::new(limits, OutputMetrics::default());
            for start_s in 0..5 {
                add(&store, "acme", start_s, 0..10);
            }
            assert_eq!(kept(&store, "acme"), expected, "{limits:?}");
        };
        check(LIMITS, &[0, 1000, 2000, 3000, 4000]);
        check(
            Limits {
                windows: 2,
                ..LIMITS
            },
            &[3000, 4000],
        );
        check(
            Limits {
                history_ms: 2000,
                ..LIMITS
            },
            &[2000, 3000, 4000],
        );
        check(
            Limits {
                org_bytes: 0,
                ..LIMITS
            },
            &[],
        );
        check(Limits { bytes: 0, ..LIMITS }, &[]);
    }

    #[test]
    fn an_organization_gives_up_its_own_windows_only() {
        let metrics = OutputMetrics::default();
        let store = Store::new(LIMITS, metrics.clone());
        add(&store, "small", 0, 0..10);
        let one = store.bytes.load(Ordering::Relaxed);
        let limits = Limits {
            bytes: 3 * one,
            ..LIMITS
        };
        let store = Store::new(limits, metrics.clone());
        add(&store, "small", 0, 0..10);
        for start_s in 0..20 {
            add(&store, "large", start_s, 0..10);
        }
        assert_eq!(kept(&store, "small"), [0]);
        let large = kept(&store, "large");
        assert!(
            large.len() > 1 && large.last() == Some(&19_000),
            "{large:?}"
        );
        let (bytes, windows) = (metrics.query_bytes.get(), metrics.query_windows.get());
        assert!(
            bytes as usize <= limits.bytes && bytes as usize > 2 * one,
            "{bytes}"
        );
        assert_eq!(windows as usize, 1 + large.len());
    }

    #[test]
    fn nothing_is_left_of_what_was_evicted() {
        let store = Store::new(
            Limits {
                history_ms: 0,
                ..LIMITS
            },
            OutputMetrics::default(),
        );
        add(&store, "acme", 0, 0..100);
        add(&store, "acme", 10, 100..101);
        let org = store.org("acme").unwrap();
        let after = (org.read().windows(), org.read().bytes());
        let fresh = Store::new(LIMITS, OutputMetrics::default());
        add(&fresh, "acme", 10, 100..101);
        let org = fresh.org("acme").unwrap();
        assert_eq!(after, (org.read().windows(), org.read().bytes()));
    }
}
