//! Prometheus remote write 1.0 to one receiver.
//!
//! A durable consumer of AGGREGATES is the queue: what is not acknowledged lies in the stream, on
//! disk, up to the stream's own limit. One process at a time reads it (the server pins it to one
//! client, and to another one within [`consumer::TAKE_OVER`] when that is gone).
//!
//! ```text
//! AGGREGATES ─► consumer ─► one queue an organization ─► batches ─► receiver
//!                  ▲            in stream order          retried      │
//!                  └──────────────── acknowledged ────────────────────┘
//! ```
//!
//! *Effectively once*: a message is acknowledged after the receiver took all its samples, so a
//! process that dies sends some again, with the same timestamps and values, which receivers take
//! as the samples that they have. *Order*: an organization has one request under way at a time,
//! so its samples arrive in stream order; an organization that waits holds up nobody else.

mod backoff;
mod batch;
mod client;
mod consumer;
mod credentials;
mod delivery;
mod forwarder;
mod neighbours;
mod proto;
mod queue;
mod settings;

pub use client::{Answer, Client, ClientError};
pub use forwarder::Forwarder;
pub use proto::{Label, Sample, TimeSeries, WriteRequest};
pub use settings::{RemoteWriteSettings, SettingsError, Stamp};
