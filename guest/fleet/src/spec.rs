//! The rules as data: tables made of the blob, whatever it says.
#![forbid(unsafe_code)]
#![allow(unused_imports)]

use ratchet_api::Refusal;
pub use ratchet_design::*;

/// The tables of a blob's rules.
pub fn of(rules: &[u8]) -> Result<&'static Spec, Refusal> {
    Spec::of(rules).map_err(|error| Refusal(error.problem.reason()))
}
