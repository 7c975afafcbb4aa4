//! Which aggregator serves which partition: leases in the bucket `leases`.
//!
//! Every aggregator writes a heartbeat; every aggregator computes from the same bucket who should
//! serve what ([`plan`]), gives back what it should no longer have, once it is checkpointed, and
//! takes what is free or was left by the dead. A lease is taken by compare-and-set and every owner
//! has a higher epoch, so one of two contenders wins.
//!
//! Leases decide who works, not what is right: a paused owner may wake up and go on for a moment
//! beside its successor. That both emit every value once is the business of [`crate::partition`].

mod board;
mod keeper;
mod plan;
mod record;

pub use keeper::{Keeper, Setup, Share};
