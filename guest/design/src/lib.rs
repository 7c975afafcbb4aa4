//! What designs of aggregations are built on: rules as tables, a message's columns as these rules
//! look at them, group-bys as trees, and a general way that takes every message.
//!
//! A tenant module has its tables as constants; the fleet module makes them of the blob. Both see
//! the same [`Spec`], so that one text serves both.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod accept;
mod circuit;
mod extreme;
mod forest;
mod front;
mod known;
mod lists;
mod literals;
mod passes;
mod sieve;
mod spec;
mod tables;
mod text;
mod time;
mod twins;
mod ways;

pub use circuit::{Circuit, Gate, Operation};
pub use extreme::Extreme;
pub use forest::{Forest, Member, Node, Tree};
pub use front::Front;
pub use known::{Grid, Known};
pub use lists::Lists;
pub use literals::{Map, Recognise, Search, Table};
pub use passes::Passes;
pub use sieve::Sieve;
pub use spec::{KeyUse, Kind, Loose, Rule, Spec, Test};
pub use spec::{AND, ARGUMENT, NOT, OR, STACK_MAX, TEST, TRUE};
pub use text::{hash, head};
pub use time::single_window;
use time::{key_of, value_of};
pub use twins::Twins;
pub use ways::{Bits, Choice, Masks, Plan, View, Wide};

/// Stands for nothing, and for what was not looked up yet, where a number is expected.
pub const NONE: u32 = u32::MAX;
pub const UNSEEN: u32 = NONE - 1;
/// A tag-set without the key.
pub const ABSENT: u32 = 0;
