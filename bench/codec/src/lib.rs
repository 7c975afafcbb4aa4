//! Decoders side by side, natively and as a guest: the codec against what one would use instead.
//!
//! A [`Contestant`] decodes [`Item`]s, which are messages or StreamVByte runs. The same code is
//! timed in a guest, which is what counts, and natively, for comparison. Of the project's code only
//! this crate and `guest/api` are unsafe: a reader that trusts its input needs it, and so does the
//! guest's side of the world.

mod block;
mod columns;
mod contestant;
mod every;
#[cfg(target_arch = "wasm32")]
mod guest;
mod runs;
mod unverified;

pub use block::{parse, write, Item, SLACK};
pub use columns::Part;
pub use contestant::{Contestant, Task};
pub use every::every_control_byte;
