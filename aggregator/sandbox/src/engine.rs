//! Engines compile components, and keep the pool that instances come from.

use crate::clock::Clock;
use crate::compilations::Compilations;
use crate::host::{self, State};
use crate::limits::Limits;
use crate::policy::{self, ModuleRefusal, World};
use crate::wasi;
use crate::world;
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};
use thiserror::Error;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The guest that serves when no other may: rules as data.
const BASELINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/baseline.wasm"));
/// The plain reference: every rule for every point.
const PER_POINT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/per-point.wasm"));

/// Slots of the pool keep so many bytes resident between instances.
const KEEP_RESIDENT: usize = 4 << 20;
/// Freed slots that stay warm, so that idle modules give their memory back.
const WARM_SLOTS: u32 = 32;

/// What an engine's modules run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Live messages and timings: stopped by wall-clock deadlines alone.
    Production,
    /// Verdicts: fuel is counted and limited, so that a verdict is reproducible. A deadline 16
    /// times as wide stands behind it, because one bulk instruction costs little fuel but long
    /// time.
    Evaluation,
}

#[derive(Debug, Error)]
pub enum EngineError {
    #[error("cannot make a WebAssembly engine: {0}")]
    Engine(String),
    #[error("cannot start the epoch thread: {0}")]
    Thread(#[from] std::io::Error),
}

#[derive(Debug, Error)]
pub enum CompileError {
    #[error(transparent)]
    Policy(#[from] ModuleRefusal),
    #[error("cannot compile the component: {0}")]
    Compile(String),
    #[error("built-in module: {0}")]
    Builtin(#[from] world::ComponentizeError),
}

/// Compiles components under one set of limits. Cheap to clone.
///
/// While a guest runs, it advances its own epoch every [`TICK`](crate::TICK), from a thread that
/// ends with the engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    /// Of components that import the empty WASI world; ordinary ones know nothing of it.
    wasi_linker: Option<Linker<State>>,
    clock: Arc<Clock>,
    kind: Kind,
    limits: Limits,
    baseline: OnceLock<Module>,
    per_point: OnceLock<Module>,
}

impl Engine {
    pub fn new(kind: Kind, limits: Limits) -> Result<Self, EngineError> {
        Self::with(kind, limits, None)
    }

    /// One that looks for a component among those that were compiled before.
    pub fn with(
        kind: Kind,
        limits: Limits,
        compilations: Option<&Compilations>,
    ) -> Result<Self, EngineError> {
        let fail = |error: wasmtime::Error| EngineError::Engine(format!("{error:#}"));
        let mut config = config(kind, &limits);
        config.cache(compilations.map(Compilations::cache));
        let engine = wasmtime::Engine::new(&config).map_err(fail)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).map_err(fail)?;
        let mut wasi_linker = limits.wasi.is_some().then(|| linker.clone());
        if let Some(linker) = &mut wasi_linker {
            wasi::link(linker).map_err(fail)?;
        }
        let clock = Clock::start(&engine)?;
        let (baseline, per_point) = (OnceLock::new(), OnceLock::new());
        Ok(Engine {
            shared: Arc::new(Shared {
                engine,
                linker,
                wasi_linker,
                clock,
                kind,
                limits,
                baseline,
                per_point,
            }),
        })
    }

    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Checks an untrusted component against the policy, and compiles it.
    pub fn compile(&self, component: &[u8]) -> Result<Module, CompileError> {
        self.compile_within(component, World::Wasi)
    }

    /// The same, of a component that may import no more than `widest`, whatever the limits say.
    pub fn compile_within(&self, component: &[u8], widest: World) -> Result<Module, CompileError> {
        let mut limits = self.shared.limits.clone();
        if widest == World::Payload {
            limits.wasi = None;
        }
        let world = policy::check_module(component, &limits)?;
        let limits = match world {
            World::Payload => limits,
            World::Wasi => limits.with_wasi().unwrap_or(limits),
        };
        self.prepare(component, limits, world, false)
    }

    /// The module that serves when no other may. Compiled on first use.
    pub fn baseline(&self) -> Result<Module, CompileError> {
        self.builtin(&self.shared.baseline, BASELINE)
    }

    /// The reference that evaluates every rule for every point. Compiled on first use.
    pub fn per_point(&self) -> Result<Module, CompileError> {
        self.builtin(&self.shared.per_point, PER_POINT)
    }

    /// Advances the epoch once more than its own thread does.
    pub fn tick(&self) {
        self.shared.engine.increment_epoch();
    }

    fn builtin(&self, cell: &OnceLock<Module>, core: &[u8]) -> Result<Module, CompileError> {
        if let Some(module) = cell.get() {
            return Ok(module.clone());
        }
        let component = world::componentize(core)?;
        let module = self.prepare(
            &component,
            self.shared.limits.builtin(),
            World::Payload,
            true,
        )?;
        Ok(cell.get_or_init(|| module).clone())
    }

    fn prepare(
        &self,
        bytes: &[u8],
        limits: Limits,
        world: World,
        builtin: bool,
    ) -> Result<Module, CompileError> {
        let fail = |error: wasmtime::Error| CompileError::Compile(format!("{error:#}"));
        let missing = |name| CompileError::Compile(format!("no export {name}"));
        let component = Component::new(&self.shared.engine, bytes).map_err(fail)?;
        let linker = match (world, &self.shared.wasi_linker) {
            (World::Wasi, Some(linker)) => linker,
            _ => &self.shared.linker,
        };
        let pre = linker.instantiate_pre(&component).map_err(fail)?;
        let export = |name| component.get_export_index(None, name).ok_or(missing(name));
        let compiled = Compiled {
            init: export(world::INIT)?,
            process: export(world::PROCESS)?,
            pre,
            clock: self.shared.clock.clone(),
            kind: self.shared.kind,
            limits,
            world,
            sha256: Sha256::digest(bytes).into(),
            size: bytes.len(),
            resident: resident_bytes(&component),
            builtin,
        };
        Ok(Module {
            compiled: Arc::new(compiled),
        })
    }
}

/// A compiled component. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) compiled: Arc<Compiled>,
}

pub(crate) struct Compiled {
    pub pre: InstancePre<State>,
    pub init: ComponentExportIndex,
    pub process: ComponentExportIndex,
    pub clock: Arc<Clock>,
    pub kind: Kind,
    pub limits: Limits,
    pub world: World,
    sha256: [u8; 32],
    size: usize,
    resident: usize,
    builtin: bool,
}

impl Module {
    /// SHA-256 of the component's bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.compiled.sha256
    }

    /// The same in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        self.compiled
            .sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Size of the component in bytes.
    pub fn size(&self) -> usize {
        self.compiled.size
    }

    /// Whether it is this very compilation: the same component may be compiled more than once.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.compiled, &other.compiled)
    }

    /// What it holds in memory while it is loaded: its machine code and data, in whole pages.
    pub fn resident_bytes(&self) -> usize {
        self.compiled.resident
    }

    /// Whether it is one of the engine's own modules.
    pub fn is_builtin(&self) -> bool {
        self.compiled.builtin
    }

    /// What it imports.
    pub fn world(&self) -> World {
        self.compiled.world
    }

    /// Its limits: wider than the engine's when it is built in.
    pub fn limits(&self) -> &Limits {
        &self.compiled.limits
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("sha256", &self.digest())
            .field("size", &self.size())
            .finish()
    }
}

fn resident_bytes(component: &Component) -> usize {
    let image = component.image_range();
    image.end.addr().saturating_sub(image.start.addr())
}

fn config(kind: Kind, limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(kind == Kind::Evaluation)
        .cranelift_nan_canonicalization(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .wasm_features(policy::refused_features(), false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let count = limits.instances_max;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(policy::MODULES_MAX))
        .total_memories(count)
        .total_tables(count.saturating_mul(policy::TABLES_MAX))
        .max_core_instances_per_component(policy::MODULES_MAX)
        .max_memories_per_component(1)
        .max_tables_per_component(policy::TABLES_MAX)
        .max_tables_per_module(policy::TABLES_MAX)
        .table_elements(policy::TABLE_ELEMENTS_MAX as usize)
        .max_memory_size(limits.memory_bytes_max())
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(1 << 16)
        .pagemap_scan(Enabled::Auto);
    pool
}
