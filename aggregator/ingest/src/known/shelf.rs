//! The catalogs of all organizations, and how much memory they may take.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Catalog, Composer, Secret};
use crate::organization::Org;

/// Organizations that have a catalog at a time.
const ORGS_MAX: usize = 20_000;
/// The share of all memory that one organization may have.
const SHARE: usize = 4;
/// A catalog that nobody asked for so long is forgotten.
const IDLE_MAX: Duration = Duration::from_secs(600);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// A full catalog is emptied no more often, so that what is sent now gets in.
const FULL_FOR: Duration = Duration::from_secs(60);
/// Composers that are kept; as many are at work as there are threads.
const COMPOSERS_MAX: usize = 32;

pub struct Shelf {
    secret: Secret,
    orgs: Mutex<HashMap<Org, Arc<Mutex<Shelved>>>>,
    composers: Mutex<Vec<Composer>>,
    bytes: AtomicUsize,
    bytes_max: usize,
}

struct Shelved {
    catalog: Catalog,
    emptied: Instant,
    used: Instant,
}

impl Shelf {
    /// Catalogs of so many bytes together; with 0 there are none.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            secret: Secret::default(),
            orgs: Mutex::default(),
            composers: Mutex::default(),
            bytes: AtomicUsize::new(0),
            bytes_max,
        }
    }

    /// Memory of all catalogs, about.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Works with the catalog of an organization; nobody else does meanwhile.
    pub fn with<T>(
        &self,
        org: &Org,
        work: impl FnOnce(&mut Catalog, &mut Composer) -> Option<T>,
    ) -> Option<T> {
        let shared = self.of(org)?;
        let mut shelved = shared.lock();
        let now = Instant::now();
        shelved.used = now;
        let before = shelved.catalog.bytes();
        if shelved.catalog.is_full() && now.duration_since(shelved.emptied) >= FULL_FOR {
            shelved.catalog.clear();
            shelved.emptied = now;
        }
        let others = self.bytes().saturating_sub(before);
        let room = self.bytes_max.saturating_sub(others);
        shelved
            .catalog
            .set_bytes_max(room.min(self.bytes_max / SHARE));
        let mut composer = self.composers.lock().pop().unwrap_or_default();
        let made = work(&mut shelved.catalog, &mut composer);
        let mut composers = self.composers.lock();
        if composers.len() < COMPOSERS_MAX {
            composers.push(composer);
        }
        self.bytes.fetch_add(shelved.catalog.bytes(), Relaxed);
        self.bytes.fetch_sub(before, Relaxed);
        made
    }

    /// Forgets catalogs of organizations that send nothing, for ever.
    pub async fn sweep_for_ever(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.sweep(Instant::now());
        }
    }

    fn sweep(&self, now: Instant) {
        self.orgs.lock().retain(|_, shared| {
            // One that was handed out is in use.
            if Arc::strong_count(shared) > 1 {
                return true;
            }
            let shelved = shared.lock();
            let idle = now.duration_since(shelved.used) >= IDLE_MAX;
            if idle {
                self.bytes.fetch_sub(shelved.catalog.bytes(), Relaxed);
            }
            !idle
        });
    }

    fn of(&self, org: &Org) -> Option<Arc<Mutex<Shelved>>> {
        if self.bytes_max == 0 {
            return None;
        }
        let mut orgs = self.orgs.lock();
        if let Some(found) = orgs.get(org) {
            return Some(found.clone());
        }
        if orgs.len() >= ORGS_MAX {
            return None;
        }
        let now = Instant::now();
        let shelved = Arc::new(Mutex::new(Shelved {
            catalog: Catalog::new(self.secret.clone(), 0),
            emptied: now,
            used: now,
        }));
        orgs.insert(org.clone(), shelved.clone());
        Some(shelved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(shelf: &Shelf, org: &Org, name: &str) -> bool {
        let added = shelf.with(org, |catalog, _| match catalog.find(name.as_bytes()) {
            Ok(series) => Some(series),
            Err(unknown) => catalog.add(unknown, name.as_bytes(), &[]),
        });
        added.is_some()
    }

    #[test]
    fn catalogs_share_their_memory_and_idle_ones_go() {
        let (a, b) = (Org::parse("a").unwrap(), Org::parse("b").unwrap());
        assert!(!add(&Shelf::new(0), &a, "m"), "there is none");
        let shelf = Shelf::new(64 * 1024);
        let names: Vec<String> = (0..1_000).map(|n| format!("metric_{n}")).collect();
        let fit = names
            .iter()
            .take_while(|name| add(&shelf, &a, name))
            .count();
        assert!((1..1_000).contains(&fit), "{fit} of 1000 fit");
        assert!(shelf.bytes() <= 16 * 1024, "a quarter for each");
        assert!(add(&shelf, &a, &names[0]), "what is there stays");
        assert!(!add(&shelf, &a, "other"), "a full one takes nothing more");
        assert!(add(&shelf, &b, "other"), "others have room");
        let later = Instant::now() + IDLE_MAX;
        shelf.sweep(later - Duration::from_secs(1));
        assert!(shelf.bytes() > 0, "not idle for long enough");
        shelf.sweep(later);
        assert_eq!(shelf.bytes(), 0);
        assert!(add(&shelf, &a, "other"));
    }
}
