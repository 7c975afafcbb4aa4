//! Runs aggregation modules that nobody has to trust.
//!
//! An [`Engine`] compiles components under [`Limits`]; a [`Runner`] feeds messages to one of them
//! and checks what it returns. [`policy`] says which components are admitted, [`compare`] when two
//! results are the same, [`evaluate`] whether a candidate may replace an incumbent, and [`bench`]
//! how much faster it is.

#![forbid(unsafe_code)]

pub mod bench;
mod clock;
pub mod compare;
mod compilations;
mod engine;
pub mod evaluate;
mod fault;
pub mod fuzz;
mod host;
mod limits;
pub mod policy;
mod random;
mod records;
mod runner;
mod verify;
mod wasi;
mod world;

pub use crate::{
    compilations::{Compilations, CompilationsError},
    engine::{CompileError, Engine, EngineError, Kind, Module},
    fault::{Fault, RecordFault},
    limits::{Limits, WasiLimits, TICK},
    records::{Record, RECORD_BYTES},
    runner::Runner,
    world::{componentize, ComponentizeError, INTERFACE},
};
