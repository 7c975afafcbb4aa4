//! What an aggregation is made of: the trait that it implements, the records that it writes, and
//! the exports that make it a guest.
//!
//! This is the only guest crate with `unsafe` code, and all of it is in [`wasm`]: the component
//! model's canonical ABI by hand, and the allocator. Natively the same aggregation runs as an
//! oracle, by [`run_native`] or [`Native`].

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod meaning;
mod native;
mod records;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use native::{run_native, Native, NativeError};
pub use ratchet_codec::{payload, payload::Message, DecodeError};
pub use records::{Record, Records};

/// Turns messages into partial records, under the rules of one configuration.
///
/// The state behind `&mut self` may only be scratch space: the same message gives the same bytes
/// in any order of messages, on a fresh or a used instance. An `Err` or a panic ends the guest
/// with a trap; the message is then processed by the baseline.
pub trait Aggregate: Sized {
    /// Prepares for the rules of `rules`, a rules blob.
    fn new(rules: &[u8]) -> Result<Self, Refusal>;

    /// Writes the partial records of one message: at most one a (rule, group, window).
    fn process(&mut self, message: &mut Message<'_>, out: &mut Records) -> Result<(), DecodeError>;
}

/// Why an aggregation does not serve a rules blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "rules refused: {}", self.0)
    }
}

impl core::error::Error for Refusal {}

/// Makes the crate a guest: exports the functions of the world for a type that implements
/// [`Aggregate`]. Elsewhere than on wasm32 it expands to nothing.
#[macro_export]
macro_rules! guest {
    ($aggregate:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static GUEST: $crate::wasm::Guest<$aggregate> = $crate::wasm::Guest::new();

            #[export_name = "init"]
            extern "C" fn init(rules: *mut u8, len: usize) {
                GUEST.init(rules, len)
            }

            #[export_name = "process"]
            extern "C" fn process(
                len: u32,
                prefix: u32,
                strings: u32,
                keys: u32,
                sets: u32,
                points: u32,
                min_ts: i64,
                max_ts: i64,
            ) -> *const [usize; 2] {
                GUEST.process($crate::payload::Header {
                    len,
                    prefix,
                    strings,
                    keys,
                    sets,
                    points,
                    min_ts,
                    max_ts,
                })
            }
        };
    };
}
