//! Compiled modules of tenants, within bounds: who has not served for longest makes room.
//!
//! A module that is not loaded costs nothing but its manifest. When a message comes for it, the
//! fleet's module or the baseline serves, with the same result, and the module is asked for; it is
//! fetched, checked and compiled apart from the serving threads, and takes over at a later message.
//! A module that served within the last [`IDLE_MIN`] seconds does not make room for one that is
//! loaded again: tenants that are active at a time and do not fit would only push each other out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use ratchet_sandbox::Module;
use tokio::sync::mpsc;

use super::Installed;
use crate::identity::Org;

/// Ticks of the cache's clock (seconds) without a message after which a module is idle.
pub const IDLE_MIN: u64 = 10;
/// Ticks until a module is asked for again that could not be loaded.
const ASK_AGAIN_AFTER: u64 = 5;
/// Modules that wait to be loaded.
const WANTED_MAX: usize = 256;

/// How much may be loaded at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub modules: usize,
    pub bytes: usize,
}

/// For whom a module is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It was just promoted: whoever is least in use makes room.
    Promoted,
    /// A message came for it: only idle ones make room.
    Wanted,
}

/// A module that a message came for while it was not loaded.
pub struct Want {
    pub org: Org,
    pub installed: Weak<Installed>,
}

/// The receiving end of what is asked for.
pub struct Wanted(pub mpsc::Receiver<Want>);

struct Loaded {
    installed: Weak<Installed>,
    bytes: usize,
}

pub struct ModuleCache {
    bounds: Bounds,
    /// In seconds since the start.
    clock: AtomicU64,
    loaded: Mutex<Vec<Loaded>>,
    wanted: mpsc::Sender<Want>,
}

impl ModuleCache {
    pub fn new(bounds: Bounds) -> (Self, Wanted) {
        let (wanted, receiver) = mpsc::channel(WANTED_MAX);
        let cache = Self {
            bounds,
            clock: AtomicU64::new(0),
            loaded: Mutex::default(),
            wanted,
        };
        (cache, Wanted(receiver))
    }

    /// The moment by the cache's clock.
    #[inline]
    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    pub fn tick(&self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks for a module, unless that was done a moment ago; never blocks.
    pub fn ask(&self, org: &Org, installed: &Arc<Installed>) {
        if installed.may_ask(self.now(), ASK_AGAIN_AFTER) {
            // A full queue: a later message asks again.
            let _ = self.wanted.try_send(Want {
                org: org.clone(),
                installed: Arc::downgrade(installed),
            });
        }
    }

    /// Whether a module of so many bytes would be loaded that a message came for.
    pub fn has_room(&self, bytes: usize) -> bool {
        let mut loaded = self.loaded.lock();
        self.victims(&mut loaded, bytes, Entry::Wanted).is_some()
    }

    /// Loads a module; false when there is no room for it.
    pub fn admit(&self, installed: &Arc<Installed>, module: Module, entry: Entry) -> bool {
        let mut loaded = self.loaded.lock();
        loaded.retain(|known| !known.installed.ptr_eq(&Arc::downgrade(installed)));
        let bytes = module.resident_bytes();
        let Some(victims) = self.victims(&mut loaded, bytes, entry) else {
            return false;
        };
        loaded.retain(|known| !victims.iter().any(|v| known.installed.ptr_eq(v)));
        let victims = victims.iter().filter_map(Weak::upgrade);
        victims.for_each(|victim| victim.unload());
        installed.touch(self.now());
        installed.load(module);
        loaded.push(Loaded {
            installed: Arc::downgrade(installed),
            bytes,
        });
        true
    }

    /// How many modules are loaded, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let mut loaded = self.loaded.lock();
        forget_gone(&mut loaded);
        (loaded.len(), loaded.iter().map(|known| known.bytes).sum())
    }

    /// Who has to go for a module of so many bytes; `None` when that is not enough.
    fn victims(
        &self,
        loaded: &mut Vec<Loaded>,
        bytes: usize,
        entry: Entry,
    ) -> Option<Vec<Weak<Installed>>> {
        forget_gone(loaded);
        let used = |known: &Loaded| known.installed.upgrade().map_or(0, |i| i.used());
        let mut by_use: Vec<(u64, &Loaded)> = loaded.iter().map(|k| (used(k), k)).collect();
        by_use.sort_by_key(|(used, _)| *used);
        let (mut modules, mut total) = (loaded.len(), loaded.iter().map(|k| k.bytes).sum());
        let mut victims = Vec::new();
        let mut candidates = by_use.into_iter();
        let fits = |modules: usize, total: usize| {
            modules < self.bounds.modules && total.saturating_add(bytes) <= self.bounds.bytes
        };
        while !fits(modules, total) {
            let (used, victim) = candidates.next()?;
            if entry == Entry::Wanted && used + IDLE_MIN > self.now() {
                return None;
            }
            (modules, total) = (modules - 1, total - victim.bytes);
            victims.push(victim.installed.clone());
        }
        Some(victims)
    }
}

/// Modules that were replaced or removed are nobody's any more.
fn forget_gone(loaded: &mut Vec<Loaded>) {
    loaded.retain(|known| known.installed.upgrade().is_some_and(|i| i.is_loaded()));
}
