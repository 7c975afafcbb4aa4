//! The guest's world, and how a core module becomes a component of it.

use thiserror::Error;
use wit_component::{embed_component_metadata, ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The interface version that manifests name.
pub const INTERFACE: &str = "ratchet:guest@1.0.0";
/// The one import of the world.
pub const PAYLOAD: &str = "ratchet:guest/payload@1.0.0";
/// The one function of that import: `read(offset: u32, len: u32) -> list<u8>`.
pub const READ: &str = "read";
/// The exports of the world.
pub const INIT: &str = "init";
pub const PROCESS: &str = "process";

const WORLD: &str = "aggregator";
const WIT: &str = include_str!("../../../guest/wit/world.wit");

/// Why a core module is no guest.
#[derive(Debug, Error)]
#[error("core module does not fit the world {INTERFACE}: {0}")]
pub struct ComponentizeError(String);

/// Makes a component of a core module that follows the canonical ABI of the world. The same bytes
/// give the same component.
pub fn componentize(core: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    encode(core).map_err(|error| ComponentizeError(format!("{error:#}")))
}

fn encode(core: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", WIT)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut module = core.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .encode()
}
