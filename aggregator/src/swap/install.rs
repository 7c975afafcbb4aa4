//! One manifest: the numbered order in which it is verified and becomes the running module.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ratchet_sandbox::Module;
use ratchet_trust::dsse::Envelope;
use ratchet_trust::{
    check_module_bytes, verify, Accepted, ConfigurationDigest, Expectation, Kind, ModuleDigest,
    Refusal, Sha256Digest, Statement, FLEET,
};

use super::{load, smoke, store, SwapRefusal, Swapper};
use crate::configuration::Configuration;
use crate::demotions::Demotion;
use crate::events::now_ms;
use crate::identity::Org;
use crate::measure::{Job, LOOKED_AT_MAX};
use crate::registry::{Entry, Installed, Level};

/// A manifest can be faster than the configuration that it is for: that long it waits.
const CONFIGURATION_WAIT: Duration = Duration::from_millis(200);
const CONFIGURATION_WAITS_MAX: u32 = 15;

/// Whom a manifest is for.
enum Owner {
    Fleet,
    Tenant(Org),
}

impl Owner {
    fn name(&self) -> &str {
        match self {
            Self::Fleet => FLEET,
            Self::Tenant(org) => org.as_str(),
        }
    }
}

/// A module ready to serve, and its bytes when they were fetched for it.
struct Prepared {
    module: Module,
    bytes: Option<Arc<[u8]>>,
}

/// The version that an envelope claims, verified or not: for the refusal's event only.
pub fn claimed_version(envelope: &[u8]) -> Option<u64> {
    let envelope = Envelope::parse(envelope).ok()?;
    Some(Statement::parse(&envelope.payload).ok()?.predicate.version)
}

impl Swapper {
    /// Verifies a manifest and swaps to what it names.
    pub(super) async fn install(&self, key: &str, value: &[u8]) -> Result<(), SwapRefusal> {
        let started = Instant::now();
        let owner = match key {
            FLEET => Owner::Fleet,
            name => Owner::Tenant(Org::parse(name).map_err(|_| SwapRefusal::Key(name.to_owned()))?),
        };
        // 1 to 11: envelope, signatures, statement, floor, time, proof.
        let accepted = self.verify_waiting(&owner, value).await?;
        if accepted.repeated && self.serves(&owner, &accepted) {
            return Ok(());
        }
        let Some(digest) = accepted.module() else {
            return self.remove(&owner, &accepted).await;
        };
        self.check_demotion(&owner, &accepted, digest)?;
        // 12. The bytes, their size and digest; 13. module policy; 14. compilation.
        let prepared = self.prepare(&owner, &accepted, digest).await?;
        // 15. An instance takes the rules and a message.
        let installed = self.warm(&owner, &accepted, &prepared.module).await?;
        // 16. The floor is durable before the module serves.
        self.raise_floor(&accepted).await?;
        // 17. Swap, between two messages.
        let module = prepared.module.clone();
        self.swap(&owner, &accepted, installed, module).await;
        let took = started.elapsed().as_secs_f64();
        self.shared.metrics.swap_seconds.observe(took);
        self.measure(&owner, &accepted, prepared);
        Ok(())
    }

    /// Verifies; waits a little for a configuration that is not known yet.
    async fn verify_waiting(&self, owner: &Owner, value: &[u8]) -> Result<Accepted, Refusal> {
        let mut waits = 0;
        loop {
            match self.verify_once(owner, value) {
                Err(Refusal::UnknownConfiguration { .. }) if waits < CONFIGURATION_WAITS_MAX => {
                    waits += 1;
                    tokio::time::sleep(CONFIGURATION_WAIT).await;
                }
                other => return other,
            }
        }
    }

    fn verify_once(&self, owner: &Owner, value: &[u8]) -> Result<Accepted, Refusal> {
        let configurations: Vec<ConfigurationDigest> = match owner {
            Owner::Fleet => Vec::new(),
            Owner::Tenant(org) => {
                let timeline = self.shared.directory.timeline(org);
                timeline.map_or_else(Vec::new, |t| t.configurations().map(|c| c.digest).collect())
            }
        };
        let expectation = Expectation {
            org: owner.name(),
            configurations: &configurations,
            floor: self.floors.lock().get(owner.name()),
            now_ms: now_ms(),
            proof_policy: self.proof_policy,
            foreign: self.shared.engine.limits().wasi.is_some(),
        };
        verify(value, &expectation, &self.trust)
    }

    /// What serves by its own right: not the fleet's module in a tenant's place.
    fn installed(
        &self,
        owner: &Owner,
        configuration: ConfigurationDigest,
    ) -> Option<Arc<Installed>> {
        match owner {
            Owner::Fleet => self.shared.registry.fleet(),
            Owner::Tenant(org) => self.shared.registry.tenant(org, configuration),
        }
    }

    fn serves(&self, owner: &Owner, accepted: &Accepted) -> bool {
        let installed = self.installed(owner, accepted.configuration());
        installed.is_some_and(|installed| installed.version == accepted.version())
    }

    fn check_demotion(
        &self,
        owner: &Owner,
        accepted: &Accepted,
        module: ModuleDigest,
    ) -> Result<(), SwapRefusal> {
        let org = owner.name().to_owned();
        let demotion = Demotion {
            org,
            configuration: accepted.configuration(),
            module,
        };
        if self.shared.demotions.contains(&demotion) {
            return Err(SwapRefusal::Demoted);
        }
        Ok(())
    }

    /// Fetches and compiles; a module that serves already, or that a rollback finds kept, is taken
    /// as it is: it has this very digest, and was admitted by what holds for this one.
    async fn prepare(
        &self,
        owner: &Owner,
        accepted: &Accepted,
        digest: ModuleDigest,
    ) -> Result<Prepared, SwapRefusal> {
        if let Some(installed) = self.installed(owner, accepted.configuration()) {
            let is_it = installed.digest == digest && installed.foreign == accepted.is_foreign();
            if let Some(module) = installed.module().filter(|_| is_it) {
                return Ok(Prepared {
                    module,
                    bytes: None,
                });
            }
        }
        let rollback = accepted.kind() == Kind::Rollback;
        if let Some(module) = self.workshop.kept(digest).filter(|_| rollback) {
            return Ok(Prepared {
                module,
                bytes: None,
            });
        }
        let foreign = accepted.is_foreign();
        let bytes = store::fetch(&self.modules, digest, foreign).await?;
        check_module_bytes(accepted, &bytes)?;
        let bytes: Arc<[u8]> = Arc::from(bytes);
        let component = load::Component {
            digest,
            foreign,
            bytes: bytes.clone(),
        };
        let module = load::compile(&self.shared, &self.workshop, component).await?;
        // A language's runtime is far larger: the cache's bounds alone decide about it.
        if !foreign {
            self.workshop.keep(digest, module.clone());
        }
        Ok(Prepared {
            module,
            bytes: Some(bytes),
        })
    }

    async fn warm(
        &self,
        owner: &Owner,
        accepted: &Accepted,
        module: &Module,
    ) -> Result<Installed, SwapRefusal> {
        let level = match owner {
            Owner::Fleet => Level::Fleet,
            Owner::Tenant(_) => Level::Tenant,
        };
        let expires_at_ms = Some(accepted.expires_at_ms());
        let module_digest = ModuleDigest(Sha256Digest::from_bytes(module.sha256()));
        let installed = Installed::new(module_digest, level, accepted.version(), expires_at_ms)
            .with_foreign(accepted.is_foreign());
        let Some(configuration) = self.smoke_configuration(owner, accepted.configuration()) else {
            return Ok(installed);
        };
        let module = module.clone();
        let smoke = move || smoke::warm_runner(&module, &configuration);
        let digest = accepted.module().unwrap_or(ModuleDigest::NONE);
        let runner = tokio::task::spawn_blocking(smoke)
            .await
            .map_err(|error| compile_refusal(digest, error.to_string()))?
            .map_err(|detail| compile_refusal(digest, detail))?;
        if level == Level::Tenant {
            installed.keep_warm(runner);
        }
        Ok(installed)
    }

    /// The rules to try a module with; the fleet's takes those of any organization.
    fn smoke_configuration(
        &self,
        owner: &Owner,
        digest: ConfigurationDigest,
    ) -> Option<Arc<Configuration>> {
        match owner {
            Owner::Tenant(org) => self.shared.directory.timeline(org)?.find(&digest).cloned(),
            Owner::Fleet => {
                let organizations = self.shared.directory.organizations();
                let newest = organizations.iter().filter_map(|(_, t)| t.newest());
                // Who has the largest of configurations says little about all others.
                newest.min_by_key(|each| each.blob.len()).cloned()
            }
        }
    }

    async fn raise_floor(&self, accepted: &Accepted) -> Result<(), SwapRefusal> {
        let (floors, accepted) = (self.floors.clone(), accepted.clone());
        let raise = move || {
            floors
                .lock()
                .raise(&accepted)
                .map_err(|error| error.to_string())
        };
        let raised = tokio::task::spawn_blocking(raise).await;
        raised
            .map_err(|error| SwapRefusal::Floor(error.to_string()))?
            .map_err(SwapRefusal::Floor)
    }

    async fn swap(&self, owner: &Owner, accepted: &Accepted, installed: Installed, module: Module) {
        let installed = Arc::new(installed);
        match owner {
            Owner::Fleet => {
                installed.load(module);
                self.shared.registry.install_fleet(Some(installed.clone()));
            }
            Owner::Tenant(org) => {
                let configuration = accepted.configuration();
                let cache = &self.shared.modules;
                if !cache.admit(&installed, module, Entry::Promoted) {
                    tracing::error!(%org, "the module is larger than all that may be loaded");
                    self.shared.tenant_metrics.count_load("too-large");
                }
                self.shared
                    .registry
                    .install(org, configuration, installed.clone());
                if let Some(timeline) = self.shared.directory.timeline(org) {
                    self.shared
                        .registry
                        .retain(org, |digest| timeline.find(&digest).is_some());
                }
            }
        }
        self.pokes.refresh_all().await;
        installed.drop_spare();
        self.tell_swapped(owner, accepted, installed.pause_us());
    }

    /// A tombstone: no module of its own from now on.
    async fn remove(&self, owner: &Owner, accepted: &Accepted) -> Result<(), SwapRefusal> {
        self.raise_floor(accepted).await?;
        match owner {
            Owner::Fleet => self.shared.registry.install_fleet(None),
            Owner::Tenant(org) => {
                let buried = accepted.configuration();
                self.shared.registry.retain(org, |digest| digest != buried);
            }
        }
        self.pokes.refresh_all().await;
        self.tell_swapped(owner, accepted, None);
        Ok(())
    }

    fn tell_swapped(&self, owner: &Owner, accepted: &Accepted, pause_us: Option<f64>) {
        let serving = accepted.module().map_or(0, |_| accepted.version());
        self.shared.metrics.swapped(owner.name(), serving);
        let fields = serde_json::json!({
            "configuration": accepted.configuration().to_string(),
            "module": accepted.module().map(|module| module.to_string()),
            "version": accepted.version(),
            "kind": accepted.kind().as_str(),
            // Nobody stood still for it when no message of the organization had come yet.
            "pause_us": pause_us.unwrap_or(0.0),
        });
        self.shared.events.send(owner.name(), "swapped", fields);
    }

    /// Asks for figures on held-back messages, after the fact.
    fn measure(&self, owner: &Owner, accepted: &Accepted, prepared: Prepared) {
        let Some(bytes) = prepared.bytes else {
            return;
        };
        if accepted.kind() != Kind::Promote || accepted.repeated {
            return;
        }
        let job = Job {
            owner: owner.name().to_owned(),
            configuration: accepted.configuration(),
            on: self.measured_on(owner, accepted.configuration()),
            module: prepared.module.digest(),
            version: accepted.version(),
            component: bytes.to_vec(),
            wasi: self.shared.engine.limits().wasi.clone(),
        };
        if !job.on.is_empty() && self.measure.try_send(job).is_err() {
            let org = owner.name();
            tracing::warn!(org, "too many measurements wait; this one is left out");
        }
    }

    /// Whose messages a module is measured on: the fleet's those of anybody.
    fn measured_on(
        &self,
        owner: &Owner,
        digest: ConfigurationDigest,
    ) -> Vec<(Org, Arc<Configuration>)> {
        match owner {
            Owner::Tenant(org) => {
                let configuration = self.smoke_configuration(owner, digest);
                configuration
                    .into_iter()
                    .map(|each| (org.clone(), each))
                    .collect()
            }
            Owner::Fleet => {
                let organizations = self.shared.directory.organizations().into_iter();
                let newest = organizations
                    .filter_map(|(org, timeline)| Some((org, timeline.newest()?.clone())));
                newest.take(LOOKED_AT_MAX).collect()
            }
        }
    }
}

fn compile_refusal(module: ModuleDigest, detail: String) -> Refusal {
    Refusal::Compile { module, detail }
}
