//! Where modules are compiled: apart from the threads that serve, and after them.
//!
//! Compiling takes a tenth of a second and more of a processor. It runs on one thread of the lowest
//! priority, so that messages do not wait for it; until this process serves, on all processors, for
//! then messages wait for it. What was compiled lately is kept: a rollback is urgent, and usually
//! goes to one of these.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use ratchet_sandbox::Module;
use ratchet_trust::ModuleDigest;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use thread_priority::{set_current_thread_priority, ThreadPriority};
use tokio::sync::oneshot;

/// Compiled modules that are kept though they may serve nobody.
const KEPT_MAX: usize = 8;

pub struct Workshop {
    thread: ThreadPool,
    /// Until this process serves.
    hall: Mutex<Option<Arc<ThreadPool>>>,
    /// The newest last.
    kept: Mutex<VecDeque<(ModuleDigest, Module)>>,
}

/// The work ended without a result.
#[derive(Debug, thiserror::Error)]
#[error("the compiler broke off")]
pub struct Broken;

impl Workshop {
    pub fn new() -> Result<Self, ThreadPoolBuildError> {
        let thread = ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "workshop".to_owned())
            .start_handler(|_| lowest_priority())
            .panic_handler(|_| tracing::error!("the compiler panicked"))
            .build()?;
        let hall = ThreadPoolBuilder::new()
            .thread_name(|n| format!("workshop-{n}"))
            .panic_handler(|_| tracing::error!("the compiler panicked"))
            .build()?;
        Ok(Self {
            thread,
            hall: Mutex::new(Some(Arc::new(hall))),
            kept: Mutex::default(),
        })
    }

    /// This process serves by now.
    pub fn step_back(&self) {
        *self.hall.lock() = None;
    }

    /// Does something when nobody else needs the processor.
    pub async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Broken> {
        let (done, result) = oneshot::channel();
        let work = move || {
            // An error: nobody waits any more.
            let _ = done.send(work());
        };
        let hall = self.hall.lock().clone();
        match hall {
            Some(hall) => hall.spawn(work),
            None => self.thread.spawn(work),
        }
        result.await.map_err(|_| Broken)
    }

    pub fn keep(&self, digest: ModuleDigest, module: Module) {
        keep(&mut self.kept.lock(), digest, module);
    }

    pub fn kept(&self, digest: ModuleDigest) -> Option<Module> {
        let kept = self.kept.lock();
        let found = kept.iter().find(|(known, _)| *known == digest);
        found.map(|(_, module)| module.clone())
    }
}

fn lowest_priority() {
    if let Err(error) = set_current_thread_priority(ThreadPriority::Min) {
        tracing::warn!(?error, "modules are compiled at the priority of messages");
    }
}

fn keep<K: PartialEq, V>(kept: &mut VecDeque<(K, V)>, key: K, value: V) {
    kept.retain(|(known, _)| *known != key);
    kept.push_back((key, value));
    let surplus = kept.len().saturating_sub(KEPT_MAX);
    kept.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_told() {
        let workshop = Workshop::new().unwrap();
        assert_eq!(workshop.run(|| 7).await.unwrap(), 7);
        let broken = workshop.run(|| panic!("on purpose")).await;
        assert!(matches!(broken, Err::<(), _>(Broken)));
    }

    #[tokio::test]
    async fn everybody_else_goes_first() {
        let workshop = Workshop::new().unwrap();
        workshop.step_back();
        let read = || std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let stat = workshop.run(read).await.unwrap();
        // The 19th field; the second is a name in parentheses, which may have spaces.
        let after_name = stat.rsplit(')').next().unwrap();
        assert_eq!(after_name.split_whitespace().nth(16), Some("19"), "{stat}");
    }

    #[test]
    fn the_newest_are_kept() {
        let mut kept = VecDeque::new();
        for key in (0..20).chain([15]) {
            keep(&mut kept, key, ());
        }
        let keys: Vec<i32> = kept.iter().map(|(key, ())| *key).collect();
        assert_eq!(keys, [12, 13, 14, 16, 17, 18, 19, 15]);
    }
}
