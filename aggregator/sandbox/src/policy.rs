//! Which components are admitted: those of exactly the guest's world, in plain WebAssembly 2.0;
//! and, where a deployment says so, those that import the empty WASI world besides.
//!
//! Everything else is refused before anything is compiled, each with its own rule.

mod instructions;
mod walk;
mod world_type;

pub use instructions::Instructions;

use crate::limits::Limits;
use thiserror::Error;
use wasmparser::{Validator, WasmFeatures};

/// Core modules of a component, and their instances: a guest, and what adapts its import.
pub const MODULES_MAX: u32 = 4;
/// Tables of a component.
pub const TABLES_MAX: u32 = 4;
/// Elements of a table.
pub const TABLE_ELEMENTS_MAX: u32 = 20_000;
/// Functions of a component.
pub const FUNCTIONS_MAX: u32 = 20_000;
/// Bytes of a function body: beyond it, compilation takes too long.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What guests may use: WebAssembly 2.0, constant expressions and the component model. Not among
/// them: threads, relaxed SIMD, 64-bit and several memories, exceptions, garbage collection, tail
/// calls, stack switching, and every extension of the component model.
const ADMITTED: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::GC_TYPES);

/// Why a component is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModuleRefusal {
    #[error("{size} bytes, {limit} allowed")]
    Size { size: usize, limit: usize },
    #[error("not a component")]
    NotComponent,
    #[error("uses {feature}: {detail}")]
    Feature { feature: String, detail: String },
    #[error("invalid: {0}")]
    Invalid(String),
    #[error("import: {0}")]
    Import(String),
    #[error("export: {0}")]
    Export(String),
    #[error("runs code when it is instantiated")]
    Start,
    #[error("contains a component")]
    Nested,
    #[error("canonical function: {0}")]
    Canonical(String),
    #[error("memory: {0}")]
    Memory(String),
    #[error("table: {0}")]
    Table(String),
    #[error("{number} {what}, {limit} allowed")]
    TooMany {
        what: &'static str,
        number: usize,
        limit: usize,
    },
}

impl ModuleRefusal {
    /// A short label for verdicts.
    pub fn rule(&self) -> &'static str {
        match self {
            ModuleRefusal::Size { .. } => "size",
            ModuleRefusal::NotComponent => "not-component",
            ModuleRefusal::Feature { .. } => "feature",
            ModuleRefusal::Invalid(_) => "invalid",
            ModuleRefusal::Import(_) => "import",
            ModuleRefusal::Export(_) => "export",
            ModuleRefusal::Start => "start",
            ModuleRefusal::Nested => "nested",
            ModuleRefusal::Canonical(_) => "canonical",
            ModuleRefusal::Memory(_) => "memory",
            ModuleRefusal::Table(_) => "table",
            ModuleRefusal::TooMany { .. } => "too-many",
        }
    }
}

/// What an admitted component may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// The message alone.
    Payload,
    /// The empty WASI world, too: under limits of its own ([`Limits::wasi`]).
    Wasi,
}

/// Checks a component against the policy. Where WASI is allowed, what is no ordinary guest is held
/// against the wider rules, and refused for what breaks those.
pub fn check_module(component: &[u8], limits: &Limits) -> Result<World, ModuleRefusal> {
    let ordinary = check_as(World::Payload, component, limits);
    match (ordinary, limits.with_wasi()) {
        (Ok(()), _) => Ok(World::Payload),
        (Err(refusal), None) => Err(refusal),
        (Err(_), Some(limits)) => check_as(World::Wasi, component, &limits).map(|()| World::Wasi),
    }
}

fn check_as(world: World, component: &[u8], limits: &Limits) -> Result<(), ModuleRefusal> {
    let (size, limit) = (component.len(), limits.component_bytes);
    if size > limit {
        return Err(ModuleRefusal::Size { size, limit });
    }
    if !wasmparser::Parser::is_component(component) {
        return Err(ModuleRefusal::NotComponent);
    }
    // The walk comes first: it bounds the work of validation, and its reasons are the clearer ones.
    walk::check(component, limits, world)?;
    let types = Validator::new_with_features(ADMITTED)
        .validate_all(component)
        .map_err(|error| refusal(&error))?;
    world_type::check(types.as_ref())
}

/// Features that the engine's configuration switches off besides.
pub(crate) fn refused_features() -> wasmtime::WasmFeatures {
    use wasmtime::WasmFeatures as F;
    F::RELAXED_SIMD
        | F::TAIL_CALL
        | F::MULTI_MEMORY
        | F::MEMORY64
        | F::CUSTOM_PAGE_SIZES
        | F::WIDE_ARITHMETIC
}

/// Tells a refused feature from plain malformed bytes.
fn refusal(error: &wasmparser::Error) -> ModuleRefusal {
    let detail = error.to_string();
    match error.missing_wasm_feature() {
        Some(feature) => {
            let names: Vec<&str> = feature.iter_names().map(|(name, _)| name).collect();
            let feature = names.join(" ").to_lowercase().replace('_', "-");
            ModuleRefusal::Feature { feature, detail }
        }
        None => ModuleRefusal::Invalid(detail),
    }
}
