//! A configuration within a partition, and the module that serves it.

use std::sync::Arc;
use std::time::Instant;

use ratchet_sandbox::{Module, Runner};

use super::figures::RuleFigures;
use super::instances::Held;
use crate::configuration::Configuration;
use crate::identity::Org;
use crate::merge::Binding;
use crate::registry::{Installed, Level, Serving};
use crate::shared::Shared;

/// A configuration, and the module that serves it here.
pub struct Served {
    pub configuration: Arc<Configuration>,
    pub blob: Arc<[u8]>,
    pub binding: Binding,
    pub rules: RuleFigures,
    pub installed: Arc<Installed>,
    /// The organization's own module, while another stands in for it.
    pub absent: Option<Arc<Installed>>,
    pub runner: Runner,
    /// Takes over what the module fails on, and checks it now and then.
    pub baseline: Runner,
    pub messages: u64,
    /// What its instances take, if it may have some, and the message that used them last.
    pub held: Option<Held>,
    pub last_used: u64,
}

impl Served {
    pub fn new(
        shared: &Shared,
        org: &Org,
        configuration: Arc<Configuration>,
        binding: Binding,
    ) -> Self {
        let blob: Arc<[u8]> = Arc::from(&*configuration.blob);
        let serving = shared.registry.serving(org, configuration.digest);
        let runner = Runner::new(&serving.module, blob.clone());
        let baseline = Runner::new(shared.registry.baseline(), blob.clone());
        let rules = RuleFigures::new(&shared.metrics, org, &configuration);
        Self {
            configuration,
            blob,
            binding,
            rules,
            installed: serving.installed,
            absent: serving.absent,
            runner,
            baseline,
            messages: 0,
            held: None,
            last_used: 0,
        }
    }

    /// Takes up the module that serves by now, and records how long that held the thread.
    pub fn take_up(&mut self, shared: &Shared, org: &Org) {
        let started = Instant::now();
        let serving = shared.registry.serving(org, self.configuration.digest);
        self.absent = serving.absent;
        let same = Arc::ptr_eq(&serving.installed, &self.installed);
        if same && self.runner.module().is(&serving.module) {
            return;
        }
        let runner = self.next_runner(&serving.installed, &serving.module);
        let old = std::mem::replace(&mut self.runner, runner);
        if serving.installed.level == Level::Tenant && !same {
            serving.installed.retire(old);
        }
        self.installed = serving.installed;
        self.messages = 0;
        let pause = started.elapsed();
        self.installed.record_pause(pause);
        let pauses = &shared.metrics.swap_pause_seconds;
        pauses.observe(pause.as_secs_f64());
    }

    /// Lets the baseline serve until something else is installed, for rules that a module which is
    /// for everybody does not take.
    pub fn stand_aside(&mut self, shared: &Shared) {
        let Serving {
            installed, module, ..
        } = shared.registry.last_resort();
        self.runner = self.next_runner(&installed, &module);
        self.installed = installed;
        self.messages = 0;
    }

    /// The instance that the swap kept warm, else one that is made with the first message. Only who
    /// may hold instances takes the warm one.
    fn next_runner(&self, installed: &Installed, module: &Module) -> Runner {
        // The fleet's module serves many; only a tenant's instance was made with these rules.
        let warm = (self.held.is_some() && installed.level == Level::Tenant)
            .then(|| installed.take_runner())
            .flatten();
        warm.unwrap_or_else(|| Runner::new(module, self.blob.clone()))
    }

    /// Follows what became of the organization's own module since it was last looked at; whether
    /// another serves by now.
    pub fn follow(&mut self, shared: &Shared, org: &Org) -> bool {
        let own_is_back = self.absent.as_ref().is_some_and(|own| own.is_loaded());
        let own_is_gone = self.installed.level == Level::Tenant && !self.installed.is_loaded();
        if own_is_back || own_is_gone {
            self.take_up(shared, org);
        }
        own_is_back || own_is_gone
    }

    /// Notes what its instances take by now.
    pub fn tell_held(&mut self) {
        let Some(held) = &mut self.held else { return };
        let runners = [&self.runner, &self.baseline];
        let bytes = runners.into_iter().filter_map(Runner::instance_bytes);
        let (instances, total) = bytes.fold((0, 0), |(n, total), each| (n + 1, total + each));
        held.now(instances, total);
    }

    /// Drops the instances; they are made again when needed.
    pub fn release(&mut self) {
        self.runner.reset();
        self.baseline.reset();
        self.held = None;
    }

    pub fn is_baseline(&self) -> bool {
        self.installed.level == Level::Baseline
    }
}
