//! A module that was verified, loaded or not, and what it has done since.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use ratchet_sandbox::{Module, Runner};
use ratchet_trust::{ModuleDigest, Sha256Digest};

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

pub struct Installed {
    pub digest: ModuleDigest,
    pub level: Level,
    pub version: u64,
    pub expires_at_ms: Option<i64>,
    /// Whether a tenant brought it: then it may be larger, and import the empty WASI world.
    pub foreign: bool,
    /// Compiled, while it is loaded.
    module: RwLock<Option<Module>>,
    /// The moments, by the cache's clock, of its last message and from which on it may be asked
    /// for again.
    used: AtomicU64,
    ask_from: AtomicU64,
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
    /// A module that is not loaded yet.
    pub fn new(
        digest: ModuleDigest,
        level: Level,
        version: u64,
        expires_at_ms: Option<i64>,
    ) -> Self {
        Self {
            digest,
            level,
            version,
            expires_at_ms,
            foreign: false,
            module: RwLock::default(),
            used: AtomicU64::new(0),
            ask_from: AtomicU64::new(0),
            faults: AtomicU32::new(0),
            demoted: AtomicBool::new(false),
            warm: Mutex::default(),
            retired: Mutex::default(),
            pause_ns: AtomicU64::new(0),
        }
    }

    pub fn with_foreign(mut self, foreign: bool) -> Self {
        self.foreign = foreign;
        self
    }

    /// One of the process itself, which stays loaded.
    pub fn builtin(module: Module) -> Self {
        let digest = ModuleDigest(Sha256Digest::from_bytes(module.sha256()));
        let installed = Self::new(digest, Level::Baseline, 0, None);
        installed.load(module);
        installed
    }

    /// The compiled module, while it is loaded.
    pub fn module(&self) -> Option<Module> {
        self.module.read().clone()
    }

    pub fn is_loaded(&self) -> bool {
        self.module.read().is_some()
    }

    pub fn load(&self, module: Module) {
        *self.module.write() = Some(module);
    }

    /// Lets go of the compiled module; threads that serve with it do so within a tick.
    pub fn unload(&self) {
        *self.module.write() = None;
        self.drop_spare();
    }

    /// Notes that it serves a message.
    #[inline]
    pub fn touch(&self, now: u64) {
        self.used.store(now, Ordering::Relaxed);
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether it may be asked for now; the next time is `pause` later.
    pub fn may_ask(&self, now: u64, pause: u64) -> bool {
        let from = self.ask_from.load(Ordering::Relaxed);
        let turn = || {
            let (order, next) = (Ordering::Relaxed, now + pause);
            self.ask_from.compare_exchange(from, next, order, order)
        };
        from <= now && turn().is_ok()
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

    /// Drops the retired instance, and the warm one that nobody had a use for. That takes a while,
    /// so the serving thread does not do it.
    pub fn drop_spare(&self) {
        drop(self.retired.lock().take());
        drop(self.warm.lock().take());
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
