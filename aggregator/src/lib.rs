//! The data plane: takes messages from a stream, aggregates them with modules that it verified, and
//! emits aggregated points.
//!
//! [`partition`] reads, serves and emits; [`merge`] turns partials into windows; [`timeline`] says
//! which configuration serves which window; [`registry`] which module serves which configuration;
//! [`swap`] puts verified modules there; [`capture`] samples traffic; [`measure`] times what was
//! promoted; [`output`] forwards what is emitted and answers queries of it.
#![forbid(unsafe_code)]

pub mod behind;
pub mod capture;
pub mod checkpoint;
pub mod chronicle;
pub mod cli;
pub mod complete;
pub mod configuration;
mod configurations;
pub mod demotions;
pub mod directory;
pub mod emit;
pub mod events;
mod gateway;
mod http;
pub mod identity;
pub mod late;
pub mod lease;
pub mod measure;
pub mod merge;
pub mod metrics;
pub mod nats;
pub mod observe;
pub mod output;
pub mod partition;
mod parts;
pub mod position;
pub mod registry;
mod run;
mod serve;
pub mod settings;
pub mod shadow;
pub mod shared;
pub mod spread;
pub mod spreads;
pub mod status;
mod stop;
pub mod swap;
pub mod sweep;
pub mod tenants;
pub mod timeline;
pub mod traces;
pub mod watermark;

pub use gateway::gateway;
pub use output::forward;
pub use run::run;
