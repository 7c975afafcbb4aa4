//! Which module serves which configuration of which organization, now.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use ratchet_sandbox::{Module, Runner};
use ratchet_trust::ConfigurationDigest;

use crate::identity::Org;

/// Faults after which a module serves no longer.
pub const FAULTS_MAX: u32 = 3;

/// Where a module stands: a tenant's own goes before the fleet's, that before the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Baseline,
    Fleet,
    Tenant,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Fleet => "fleet",
            Self::Tenant => "tenant",
        }
    }
}

/// A module that was verified, and what it has done since.
pub struct Installed {
    pub module: Module,
    pub level: Level,
    pub version: u64,
    pub expires_at_ms: Option<i64>,
    faults: AtomicU32,
    demoted: AtomicBool,
    /// An instance that has passed its smoke test, for the thread that serves first.
    warm: Mutex<Option<Runner>>,
    /// The instance that this module's replaced, until somebody has the time to drop it.
    retired: Mutex<Option<Runner>>,
    /// Nanoseconds that the serving thread stood still to take this module up, plus one.
    pause_ns: AtomicU64,
}

impl Installed {
    pub fn new(module: Module, level: Level, version: u64, expires_at_ms: Option<i64>) -> Self {
        Self {
            module,
            level,
            version,
            expires_at_ms,
            faults: AtomicU32::new(0),
            demoted: AtomicBool::new(false),
            warm: Mutex::new(None),
            retired: Mutex::new(None),
            pause_ns: AtomicU64::new(0),
        }
    }

    /// Keeps an instance ready for [`Installed::take_runner`].
    pub fn keep_warm(&self, runner: Runner) {
        *self.warm.lock() = Some(runner);
    }

    /// The instance kept warm, if nobody took it yet.
    pub fn take_runner(&self) -> Option<Runner> {
        self.warm.lock().take()
    }

    /// Takes an instance that serves no longer off the serving thread's hands.
    pub fn retire(&self, old: Runner) {
        *self.retired.lock() = Some(old);
    }

    /// Drops the retired instance; that takes a while, so the serving thread does not do it.
    pub fn drop_retired(&self) {
        drop(self.retired.lock().take());
    }

    pub fn record_pause(&self, pause: std::time::Duration) {
        let ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX - 1);
        self.pause_ns.store(ns + 1, Ordering::Release);
    }

    /// How long taking it up held the serving thread, once it has.
    pub fn pause_us(&self) -> Option<f64> {
        let stored = self.pause_ns.load(Ordering::Acquire);
        (stored > 0).then(|| (stored - 1) as f64 / 1000.0)
    }

    /// Counts a fault; true when it is the one that demotes.
    pub fn count_fault(&self) -> bool {
        self.faults.fetch_add(1, Ordering::AcqRel) + 1 >= FAULTS_MAX && self.demote()
    }

    /// Marks the module as demoted; true for the first caller only.
    pub fn demote(&self) -> bool {
        !self.demoted.swap(true, Ordering::AcqRel)
    }

    pub fn is_demoted(&self) -> bool {
        self.demoted.load(Ordering::Acquire)
    }
}

type Key = (Org, ConfigurationDigest);

/// Tenant modules by organization and configuration, the fleet module, and the baseline.
pub struct Registry {
    tenants: RwLock<HashMap<Key, Arc<Installed>>>,
    fleet: RwLock<Option<Arc<Installed>>>,
    baseline: Arc<Installed>,
    /// Rises with every change, so that a serving thread looks only when something changed.
    generation: AtomicU64,
}

impl Registry {
    pub fn new(baseline: Module) -> Self {
        Self {
            tenants: RwLock::default(),
            fleet: RwLock::default(),
            baseline: Arc::new(Installed::new(baseline, Level::Baseline, 0, None)),
            generation: AtomicU64::new(1),
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub fn baseline(&self) -> &Arc<Installed> {
        &self.baseline
    }

    pub fn fleet(&self) -> Option<Arc<Installed>> {
        self.fleet.read().clone()
    }

    pub fn tenant(&self, org: &Org, digest: ConfigurationDigest) -> Option<Arc<Installed>> {
        self.tenants.read().get(&(org.clone(), digest)).cloned()
    }

    /// What serves: the tenant's module, else the fleet's, else the baseline.
    pub fn serving(&self, org: &Org, digest: ConfigurationDigest) -> Arc<Installed> {
        let best = self.tenant(org, digest).or_else(|| self.fleet());
        best.unwrap_or_else(|| self.baseline.clone())
    }

    pub fn install(&self, org: &Org, digest: ConfigurationDigest, installed: Arc<Installed>) {
        self.tenants
            .write()
            .insert((org.clone(), digest), installed);
        self.changed();
    }

    pub fn install_fleet(&self, installed: Option<Arc<Installed>>) {
        *self.fleet.write() = installed;
        self.changed();
    }

    /// Removes every tenant module of an organization that `keep` does not want.
    pub fn retain(&self, org: &Org, keep: impl Fn(ConfigurationDigest) -> bool) {
        self.tenants
            .write()
            .retain(|(owner, digest), _| owner != org || keep(*digest));
        self.changed();
    }

    /// Removes this very module, wherever it serves; one that replaced it stays.
    pub fn remove(&self, gone: &Arc<Installed>) {
        self.tenants
            .write()
            .retain(|_, installed| !Arc::ptr_eq(installed, gone));
        let mut fleet = self.fleet.write();
        if fleet
            .as_ref()
            .is_some_and(|installed| Arc::ptr_eq(installed, gone))
        {
            *fleet = None;
        }
        drop(fleet);
        self.changed();
    }

    /// Every module above the baseline that serves.
    pub fn list(&self) -> Vec<(Option<Org>, Arc<Installed>)> {
        let tenants = self.tenants.read();
        let of_tenants = tenants
            .iter()
            .map(|((org, _), i)| (Some(org.clone()), i.clone()));
        of_tenants.chain(self.fleet().map(|i| (None, i))).collect()
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
