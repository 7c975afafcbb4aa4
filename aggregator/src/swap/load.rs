//! Loads modules again that made room for others: from the verified component, which is fetched
//! and checked once more, apart from the serving threads.
//!
//! Manifest, smoke test and floor were dealt with when the module was installed; its bytes are the
//! same, since they have the same digest.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::object_store::ObjectStore;
use ratchet_sandbox::policy::World;
use ratchet_sandbox::{CompileError, Module};
use ratchet_trust::{ModuleDigest, Refusal};
use tokio::time::{interval, MissedTickBehavior};

use super::workshop::Workshop;
use super::{store, SwapRefusal};
use crate::registry::{Entry, Installed, Want, Wanted};
use crate::shared::Shared;

const CLOCK_TICK: Duration = Duration::from_secs(1);
/// What a module is taken to need before it is compiled.
const ASSUMED_BYTES: usize = 128 * 1024;

/// What became of a module that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Loaded,
    /// Everything that is loaded is in use.
    Full,
    /// It was replaced, removed or loaded meanwhile.
    Moot,
}

pub struct Loader {
    pub(super) shared: Arc<Shared>,
    pub(super) modules: ObjectStore,
    pub(super) workshop: Arc<Workshop>,
}

impl Loader {
    /// Loads what is asked for, one at a time, and moves the cache's clock.
    pub async fn run(self, mut wanted: Wanted) {
        let mut clock = interval(CLOCK_TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                _ = clock.tick() => self.tick(),
                want = wanted.0.recv() => match want {
                    Some(want) => self.serve(want).await,
                    None => return,
                },
            }
        }
    }

    fn tick(&self) {
        let (cache, metrics) = (&self.shared.modules, &self.shared.tenant_metrics);
        cache.tick();
        let (modules, bytes) = cache.size();
        metrics.loaded_modules.set(modules as i64);
        metrics.loaded_bytes.set(bytes as i64);
        let (instances, bytes) = self.shared.instances.taken();
        metrics.instances.set(instances as i64);
        metrics.instance_bytes.set(bytes as i64);
    }

    async fn serve(&self, want: Want) {
        let Some(installed) = want.installed.upgrade() else {
            return;
        };
        let metrics = &self.shared.tenant_metrics;
        match self.load(&want, &installed).await {
            Ok(Outcome::Loaded) => metrics.count_load("loaded"),
            Ok(Outcome::Full) => metrics.count_load("full"),
            Ok(Outcome::Moot) => {}
            Err(refusal) => {
                metrics.count_load("refused");
                let all = &self.shared.metrics;
                all.module_refused(want.org.as_str(), refusal.reason());
                let module = installed.digest;
                tracing::warn!(org = %want.org, %module, %refusal, "a module is not loaded again");
            }
        }
    }

    async fn load(&self, want: &Want, installed: &Arc<Installed>) -> Result<Outcome, SwapRefusal> {
        if self.is_moot(want, installed) {
            return Ok(Outcome::Moot);
        }
        if !self.shared.modules.has_room(ASSUMED_BYTES) {
            return Ok(Outcome::Full);
        }
        let module = self.compiled(installed).await?;
        // While that took its time, a swap may have replaced it.
        if self.is_moot(want, installed) {
            return Ok(Outcome::Moot);
        }
        let loaded = self.shared.modules.admit(installed, module, Entry::Wanted);
        Ok(if loaded {
            Outcome::Loaded
        } else {
            Outcome::Full
        })
    }

    fn is_moot(&self, want: &Want, installed: &Arc<Installed>) -> bool {
        let held = self.shared.registry.holds(&want.org, installed);
        !held || installed.is_demoted() || installed.is_loaded()
    }

    async fn compiled(&self, installed: &Installed) -> Result<Module, SwapRefusal> {
        let (digest, foreign) = (installed.digest, installed.foreign);
        let bytes = store::fetch(&self.modules, digest, foreign).await?;
        let found = ModuleDigest::of(&bytes);
        if found != digest {
            let expected = digest;
            return Err(Refusal::ModuleDigest { found, expected }.into());
        }
        let component = Component {
            digest,
            foreign,
            bytes: Arc::from(bytes),
        };
        compile(&self.shared, &self.workshop, component).await
    }
}

/// Verified bytes.
pub struct Component {
    pub digest: ModuleDigest,
    /// Whether a tenant brought it.
    pub foreign: bool,
    pub bytes: Arc<[u8]>,
}

/// Checks a component against the policy and compiles it, when nobody else needs the processor.
pub async fn compile(
    shared: &Shared,
    workshop: &Workshop,
    component: Component,
) -> Result<Module, SwapRefusal> {
    let engine = shared.engine.clone();
    let digest = component.digest;
    // What was built here imports the payload alone, whatever tenants may bring.
    let widest = if component.foreign {
        World::Wasi
    } else {
        World::Payload
    };
    let bytes = component.bytes;
    let compiled = workshop
        .run(move || engine.compile_within(&bytes, widest))
        .await;
    let detail = |detail: String| Refusal::Compile {
        module: digest,
        detail,
    };
    let compiled = compiled.map_err(|broken| detail(broken.to_string()))?;
    Ok(compiled.map_err(|error| match error {
        CompileError::Policy(refusal) => Refusal::ModulePolicy {
            module: digest,
            detail: refusal.to_string(),
        },
        error => detail(error.to_string()),
    })?)
}
