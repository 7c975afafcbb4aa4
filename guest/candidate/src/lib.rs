//! A tenant module: the aggregation of one organization's configuration.
//!
//! This file is the same in every one. `spec.rs` is generated from the configuration;
//! `aggregate.rs` is what evolution edits. Those beside it are the smallest example.

#![no_std]

extern crate alloc;

mod aggregate;
mod spec;

pub use aggregate::Aggregator;

ratchet_api::guest!(aggregate::Aggregator);
