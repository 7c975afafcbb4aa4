//! `aggregator run`: puts the parts together, in order, and takes them apart again.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, Context as _};
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::Context;
use async_nats::Client;
use parking_lot::Mutex;
use ratchet_ingest::spread::Spreads;
use ratchet_sandbox::{Engine, Kind, Limits};
use ratchet_trust::{FloorStore, PrivateKey, TrustRoot};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::behind::{self, Behind, BehindQueue};
use crate::capture::{self, Capture, Rate, SampleQueue, SplitKey};
use crate::demotions::Demotions;
use crate::directory::Directory;
use crate::events::{self, EventQueue, Events};
use crate::http::{Http, Readiness};
use crate::lease::{self, Keeper, Share};
use crate::metrics::{Exposition, Metrics};
use crate::nats::{self, Connections, Provisioned};
use crate::output::Output;
use crate::partition::{InstanceBudget, Reading};
use crate::registry::{ModuleCache, Registry, Wanted};
use crate::serve::serve;
use crate::settings::RunSettings;
use crate::shadow::{self, Live};
use crate::shared::Shared;
use crate::spreads::KnownSpreads;
use crate::status::StatusBoard;
use crate::stop::Stop;
use crate::swap::Swapper;
use crate::tenants::{LimitsTable, TenantMetrics};
use crate::traces::Traces;
use crate::{configurations, identity, measure, spreads};

/// Those that are not for the partitions: swaps try modules before they serve.
const INSTANCES_SPARE: usize = 64;
/// How long a stop waits for the server to have what was said, and for the forwarder to end.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
const OUTPUT_WITHIN: Duration = Duration::from_secs(5);

/// Serves until the process is told to stop.
pub async fn run(settings: RunSettings) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    settings.check().map_err(anyhow::Error::msg)?;
    let _lock = lock_state(&settings.state_dir)?;
    let member = identity::member(&settings.state_dir)?;
    let mut prepared = Prepared::new(&settings)?;
    let gateway = prepared.start_gateway(&settings).await?;
    let client = prepared.connect(&settings).await?;
    let output = Output::start(&settings.output, &settings.login).await?;
    prepared.exposition.add(|r| output.register(r));
    let progress = Progress::default();
    let readiness = progress.readiness(&settings);
    let shared = prepared.shared.clone();
    let http = Http {
        shared: shared.clone(),
        exposition: Arc::new(prepared.exposition),
        readiness,
        gateway: gateway.clone(),
    };
    serve(settings.http, http.router(), "metrics, health and status").await?;
    let provisioned = tokio::select! {
        provisioned = nats::wait_for_provisioning(&client) => provisioned,
        () = stop.wait() => return Ok(()),
    };
    let context = provisioned.context.clone();
    let jobs = prepared.queues.publish(&client, &context, &shared);
    let Provisioned {
        configurations,
        active,
        modules,
        leases,
        checkpoints,
        ..
    } = provisioned;
    let (trust, floors) = (prepared.trust, prepared.floors);
    let traced = shared.clone();
    let knowledge = Arc::new(Live {
        shared: shared.clone(),
        floors: floors.clone(),
    });
    let shadow = Shadow::new(&settings, &client, &context, &modules, knowledge);
    let policy = settings.proof_policy.into();
    let swapper = Swapper::new(shared.clone(), modules, trust, floors, policy, jobs)?;
    tokio::spawn(swapper.loader().run(prepared.wanted));
    let pokes = swapper.pokes.clone();
    tokio::select! {
        () = progress.list(&shared, configurations, swapper, active) => {}
        () = stop.wait() => return Ok(()),
    }
    tokio::spawn(shadow.serve_for_ever());
    let keeper = Keeper::new(lease::Setup {
        member,
        partitions: settings.partitions,
        ttl: settings.lease_ttl.0,
        leases,
        checkpoints,
        context,
        shared,
        pokes,
        reading: progress.reading.clone(),
        share: progress.share.clone(),
        kept: settings.ingest_kept.0,
    });
    tracing::info!("serving");
    keeper.run(stop.wait()).await;
    shut_down(gateway, output, &client).await;
    let _ = tokio::task::spawn_blocking(move || traced.traces.stop()).await;
    Ok(())
}

async fn shut_down(gateway: Option<Arc<ratchet_ingest::Running>>, output: Output, client: &Client) {
    if let Some(gateway) = gateway {
        gateway.stop().await;
    }
    // Without a server a flush waits for one for ever.
    match timeout(FLUSH_WITHIN, client.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "not everything reached NATS"),
        Err(_) => tracing::warn!("not everything reached NATS: no answer from it"),
    }
    if timeout(OUTPUT_WITHIN, output.stop()).await.is_err() {
        tracing::warn!("the forwarder did not end in time; it goes on where it was");
    }
    tracing::info!("stopped");
}

/// What the serving threads tell of their work.
struct Queues {
    events: EventQueue,
    behind: BehindQueue,
    samples: SampleQueue,
}

impl Queues {
    /// Starts to publish what they hold; returns the queue of promotions to be measured.
    fn publish(
        self,
        client: &Client,
        context: &Context,
        shared: &Arc<Shared>,
    ) -> mpsc::Sender<measure::Job> {
        tokio::spawn(events::publish(context.clone(), self.events));
        tokio::spawn(behind::publish(client.clone(), self.behind));
        tokio::spawn(capture::run(
            context.clone(),
            self.samples,
            shared.events.clone(),
        ));
        let (jobs, job_queue) = mpsc::channel(measure::QUEUE_MAX);
        tokio::spawn(measure::run(context.clone(), shared.clone(), job_queue));
        jobs
    }
}

/// How far the start has come.
#[derive(Default)]
struct Progress {
    configurations_listed: watch::Sender<bool>,
    active_listed: watch::Sender<bool>,
    reading: Reading,
    share: Share,
}

impl Progress {
    fn readiness(&self, settings: &RunSettings) -> Readiness {
        Readiness {
            configurations_listed: self.configurations_listed.subscribe(),
            active_listed: self.active_listed.subscribe(),
            reading: self.reading.clone(),
            share: self.share.clone(),
            lag_max: settings.observe.ready_lag.0,
        }
    }

    /// Follows both buckets; returns once the content of both is dealt with. Manifests are verified
    /// against configurations, and messages are served by both: one after the other.
    async fn list(
        &self,
        shared: &Arc<Shared>,
        configurations: Store,
        swapper: Swapper,
        active: Store,
    ) {
        let listed = self.configurations_listed.clone();
        tokio::spawn(configurations::follow(
            configurations,
            shared.directory.clone(),
            shared.connections.clone(),
            Some(shared.events.clone()),
            listed,
        ));
        wait_for(self.configurations_listed.subscribe()).await;
        tokio::spawn(swapper.follow(active, self.active_listed.clone()));
        wait_for(self.active_listed.subscribe()).await;
    }
}

/// What is made before anything is connected: a wrong file stops the process at once.
struct Prepared {
    shared: Arc<Shared>,
    exposition: Exposition,
    queues: Queues,
    wanted: Wanted,
    trust: TrustRoot,
    floors: Arc<Mutex<FloorStore>>,
}

impl Prepared {
    fn new(settings: &RunSettings) -> anyhow::Result<Self> {
        let trust = TrustRoot::load(&settings.trust).context("trusted keys")?;
        PrivateKey::load(&settings.validator_key).context("validator's key")?;
        let split_key = read_split_key(&settings.split_key).context("split key")?;
        let floors = FloorStore::open(&settings.state_dir.join("floors"))?;
        let demotions = Demotions::open(&settings.state_dir)?;
        let limits = Limits {
            instances_max: settings.instances_max,
            wasi: settings.wasi.wasi(),
            ..Limits::default()
        };
        let limits_file = settings.tenant_limits.as_deref();
        let tenant_limits =
            limits_file.map_or_else(|| Ok(LimitsTable::default()), LimitsTable::load)?;
        let engine = Engine::new(Kind::Production, limits)?;
        let registry = Registry::new(engine.baseline()?);
        let (modules, wanted) = ModuleCache::new(settings.module_bounds());
        let (metrics, mut exposition) = Metrics::new(settings.observe.label_limits());
        let tenant_metrics = TenantMetrics::new(metrics.labels());
        exposition.add(|registry| tenant_metrics.register(registry));
        let (events, event_queue) = Events::new(metrics.clone());
        let (behind, behind_queue) = Behind::new();
        let rate = Rate {
            one_in: settings.capture_one_in,
            per_second: settings.capture_per_second,
            refresh_per_second: settings.capture_refresh_per_second,
        };
        let (capture, samples) = Capture::new(split_key, rate, metrics.clone());
        let shared = Arc::new(Shared {
            engine,
            registry,
            modules,
            directory: Arc::new(Directory::default()),
            demotions,
            capture,
            metrics,
            tenant_metrics,
            events,
            behind,
            status: StatusBoard::default(),
            traces: Arc::new(Traces::new(&settings.observe.traces)?),
            lateness: settings.lateness(),
            limits: tenant_limits,
            partitions: settings.partitions,
            instances: InstanceBudget::new(
                settings.instances_max as usize - INSTANCES_SPARE,
                (settings.instances_mib as usize) << 20,
            ),
            connections: Connections::default(),
        });
        let floors = Arc::new(Mutex::new(floors));
        Ok(Self {
            shared,
            exposition,
            queues: Queues {
                events: event_queue,
                behind: behind_queue,
                samples,
            },
            wanted,
            trust,
            floors,
        })
    }
}

impl Prepared {
    /// Points of senders are stored whether or not this process serves them yet.
    async fn start_gateway(
        &mut self,
        settings: &RunSettings,
    ) -> anyhow::Result<Option<Arc<ratchet_ingest::Running>>> {
        if settings.ingest.is_off() {
            return Ok(None);
        }
        let directory = self.shared.directory.clone();
        tokio::spawn(spreads::stay_fresh(directory.clone()));
        let spreads: Arc<dyn Spreads> = Arc::new(KnownSpreads {
            directory,
            partitions: settings.partitions,
        });
        let traces = Some(self.shared.traces.clone() as _);
        let (ingest, servers) = (&settings.ingest, &settings.login.servers);
        let gateway = ratchet_ingest::start(ingest, servers, Some(spreads), traces);
        let gateway = gateway.await.context("gateway")?;
        self.exposition.add(|registry| gateway.register(registry));
        Ok(Some(Arc::new(gateway)))
    }

    async fn connect(&self, settings: &RunSettings) -> Result<Client, nats::ConnectError> {
        let shared = &self.shared;
        let (metrics, connections) = (shared.metrics.clone(), shared.connections.clone());
        nats::connect(&settings.login, metrics, connections).await
    }
}

fn read_split_key(path: &Path) -> anyhow::Result<SplitKey> {
    use base64::Engine as _;
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
    let bytes = bytes.with_context(|| format!("{} is not base64", path.display()))?;
    Ok(SplitKey::new(&bytes)?)
}

/// Keeps a second process out of the state directory for as long as the file is held.
fn lock_state(directory: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("{} is in use by another aggregator", directory.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

async fn wait_for(mut listed: watch::Receiver<bool>) {
    // An error means that the sender is gone: then nothing will ever be listed.
    if listed.wait_for(|listed| *listed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The shadow service, started again whenever it ends.
struct Shadow {
    settings: RunSettings,
    client: Client,
    context: Context,
    modules: ObjectStore,
    knowledge: Arc<Live>,
}

impl Shadow {
    fn new(
        settings: &RunSettings,
        client: &Client,
        context: &Context,
        modules: &ObjectStore,
        knowledge: Arc<Live>,
    ) -> Self {
        Self {
            settings: settings.clone(),
            client: client.clone(),
            context: context.clone(),
            modules: modules.clone(),
            knowledge,
        }
    }

    const RETRY_DELAY: Duration = Duration::from_secs(5);

    async fn serve_for_ever(self) {
        loop {
            if let Err(error) = self.serve().await {
                tracing::error!(error = format!("{error:#}"), "the shadow service ended");
            }
            tokio::time::sleep(Self::RETRY_DELAY).await;
        }
    }

    async fn serve(&self) -> anyhow::Result<()> {
        let setup = shadow::Setup {
            client: self.client.clone(),
            context: self.context.clone(),
            modules: self.modules.clone(),
            directory: self.settings.state_dir.join("shadow"),
            key: PrivateKey::load(&self.settings.validator_key).context("validator's key")?,
            proof: shadow::ProofRequirement {
                policy: self.settings.proof_policy.into(),
                attestations: self.settings.attestations.clone(),
                wasi: self.settings.wasi.wasi(),
            },
        };
        Ok(shadow::serve(setup, self.knowledge.clone()).await?)
    }
}
