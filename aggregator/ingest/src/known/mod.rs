//! Requests of series that came before, made into messages without looking at their texts again.
//!
//! Agents send the same series over and over. A [`Catalog`] recognises a series by the bytes of its
//! labels, which it parsed and checked once; a [`Composer`] writes messages of such series by
//! number, or from the last message of the same ones. What comes out is, byte for byte, what the
//! codec's builder makes of the same points, so it does not depend on what was seen before, and a
//! request that comes again has the same name. A request that is more than that (a sample to
//! refuse, a histogram, hours apart) goes the usual way.

mod catalog;
mod columns;
mod compose;
mod shelf;
mod templates;
mod texts;

pub use catalog::{Catalog, Secret};
pub use compose::{Composer, Misfit};
pub use shelf::Shelf;
