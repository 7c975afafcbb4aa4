//! The fleet module: generic aggregation, rules as data, for every organization that has no better.
//!
//! Made as a tenant module is, of the same root, so that one build serves both: `spec.rs` is fixed,
//! for it makes the tables of whatever rules the blob has; `aggregate.rs` is what evolution edits.
//! The one beside it is the first form, as `evolver/specialise.ts` writes it.

#![no_std]

extern crate alloc;

mod aggregate;
mod spec;

pub use aggregate::Aggregator;

ratchet_api::guest!(aggregate::Aggregator);
