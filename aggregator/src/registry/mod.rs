//! Which module serves which configuration of which organization, now.

mod cache;
mod installed;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::RwLock;
use ratchet_sandbox::Module;
use ratchet_trust::ConfigurationDigest;

pub use self::cache::{Bounds, Entry, ModuleCache, Want, Wanted};
pub use self::installed::{Installed, Level, FAULTS_MAX};
use crate::identity::Org;

type Key = (Org, ConfigurationDigest);

/// What serves a configuration at a moment.
pub struct Serving {
    pub installed: Arc<Installed>,
    pub module: Module,
    /// The organization's own module, while that is not loaded and another stands in for it.
    pub absent: Option<Arc<Installed>>,
}

/// Tenant modules by organization and configuration, the fleet module, and the baseline.
pub struct Registry {
    tenants: RwLock<HashMap<Key, Arc<Installed>>>,
    fleet: RwLock<Option<Arc<Installed>>>,
    baseline: Arc<Installed>,
    baseline_module: Module,
    /// Rises with every change, so that a serving thread looks only when something changed.
    generation: AtomicU64,
}

impl Registry {
    pub fn new(baseline: Module) -> Self {
        Self {
            tenants: RwLock::default(),
            fleet: RwLock::default(),
            baseline: Arc::new(Installed::builtin(baseline.clone())),
            baseline_module: baseline,
            generation: AtomicU64::new(1),
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub fn baseline(&self) -> &Module {
        &self.baseline_module
    }

    /// What serves where nothing else does.
    pub fn last_resort(&self) -> Serving {
        Serving {
            installed: self.baseline.clone(),
            module: self.baseline_module.clone(),
            absent: None,
        }
    }

    pub fn fleet(&self) -> Option<Arc<Installed>> {
        self.fleet.read().clone()
    }

    pub fn tenant(&self, org: &Org, digest: ConfigurationDigest) -> Option<Arc<Installed>> {
        self.tenants.read().get(&(org.clone(), digest)).cloned()
    }

    /// What ought to serve, loaded or not: the tenant's module, else the fleet's, else the
    /// baseline.
    pub fn incumbent(&self, org: &Org, digest: ConfigurationDigest) -> Arc<Installed> {
        let best = self.tenant(org, digest).or_else(|| self.fleet());
        best.unwrap_or_else(|| self.baseline.clone())
    }

    /// What serves: the first of the tenant's module, the fleet's and the baseline that is loaded.
    pub fn serving(&self, org: &Org, digest: ConfigurationDigest) -> Serving {
        let own = self.tenant(org, digest);
        let loaded = |installed: Arc<Installed>| Some((installed.module()?, installed));
        if let Some((module, installed)) = own.clone().and_then(loaded) {
            return Serving {
                installed,
                module,
                absent: None,
            };
        }
        let baseline = || (self.baseline_module.clone(), self.baseline.clone());
        let (module, installed) = self.fleet().and_then(loaded).unwrap_or_else(baseline);
        Serving {
            installed,
            module,
            absent: own,
        }
    }

    /// Whether this very module is an organization's own.
    pub fn holds(&self, org: &Org, installed: &Arc<Installed>) -> bool {
        let tenants = self.tenants.read();
        let mut of_org = tenants.iter().filter(|((owner, _), _)| owner == org);
        of_org.any(|(_, known)| Arc::ptr_eq(known, installed))
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

#[cfg(test)]
mod tests;
