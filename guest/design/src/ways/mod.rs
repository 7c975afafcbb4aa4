//! Ways to aggregate under rules as data, for messages of every shape: filters as bits over the
//! tag-sets of a metric where these are few, lists of them where they are many. All of them work on
//! one [`Plan`], made once, and on one [`View`] of a message, which decodes what is asked for.

mod accumulators;
mod bits;
mod lists;
mod masks;
mod partition;
mod plan;
mod resolve;
mod view;

pub use bits::Bits;
pub use lists::Wide;
pub use masks::{Choice, Masks};
pub use plan::Plan;
pub use view::View;
