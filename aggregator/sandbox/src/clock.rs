//! What advances an engine's epoch while a guest runs, and rests when none does: waking up two
//! hundred times a second for nobody costs more than a quiet organization's messages.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use crate::limits::TICK;

/// Ticks without any guest after which it rests: under load it never does, so that guests need not
/// wake it.
const RESTLESS_TICKS: u32 = 50;
/// How often it looks, at rest, whether the engine is still there.
const REST: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Clock {
    /// Calls that began, and calls that ended.
    begun: AtomicU64,
    ended: AtomicU64,
    rests: AtomicBool,
    thread: OnceLock<Thread>,
}

/// A guest's call. The epoch advances until it is dropped.
pub struct Call<'a>(&'a Clock);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
    }
}

impl Clock {
    /// Starts the thread; it holds the engine weakly, and ends at most [`REST`] after it.
    pub fn start(engine: &wasmtime::Engine) -> Result<Arc<Self>, std::io::Error> {
        let clock = Arc::new(Self::default());
        let (weak, own) = (engine.weak(), clock.clone());
        let tick = move || loop {
            own.wait();
            match weak.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        };
        let thread = std::thread::Builder::new().name("epoch".to_owned());
        let handle = thread.spawn(tick)?;
        // Nobody has a module yet, so nobody has set it.
        let _ = clock.thread.set(handle.thread().clone());
        Ok(clock)
    }

    /// To be held while a guest runs.
    pub fn call(&self) -> Call<'_> {
        self.begun.fetch_add(1, SeqCst);
        if self.rests.load(SeqCst) {
            if let Some(thread) = self.thread.get() {
                thread.unpark();
            }
        }
        Call(self)
    }

    /// Returns when a tick has passed; after many without a call, when there is one again.
    fn wait(&self) {
        let before = self.begun.load(SeqCst);
        for _ in 0..RESTLESS_TICKS {
            std::thread::sleep(TICK);
            if self.is_used_since(before) {
                return;
            }
        }
        // Whoever begins a call from here on sees that it rests, or is seen by the look after it.
        self.rests.store(true, SeqCst);
        if !self.is_used_since(before) {
            std::thread::park_timeout(REST);
        }
        self.rests.store(false, SeqCst);
    }

    fn is_used_since(&self, before: u64) -> bool {
        // Ended first: a call that begins in between is seen as one at work, never as none.
        let ended = self.ended.load(SeqCst);
        let begun = self.begun.load(SeqCst);
        begun != before || begun != ended
    }
}
