//! Independent evidence: what the proofs say of the codec is checked against code that knows
//! nothing of it, namely other crates and a reader and writer made from `guest/README.md` alone.
//!
//! The proofs stand on written specifications of the formats, and these could be wrong. Here each
//! format meets implementations of other people, in both directions, and every message meets
//! [`naive`]: `validate` accepts it if and only if the naive reader does, and then the decoders
//! give what that reader gives, value by value. The messages come from both writers, from writers
//! that err on purpose, and from mutations of their bytes; [`fuzz`] makes as many as one wants.
//! `guest/README.md` says how to run it for longer and how to repeat a failure.

mod agreement;
mod corpus;
mod faults;
mod fuzz;
mod integers;
mod limits;
mod messages;
mod naive;

use proptest::test_runner::{Config, RngSeed};
use std::env::var_os;

/// Where the random numbers start unless PROPTEST_RNG_SEED says otherwise.
const SEED: u64 = 4;

/// So many cases, always the same ones, unless PROPTEST_CASES and PROPTEST_RNG_SEED say otherwise.
fn config(cases: u32) -> Config {
    let given = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let is_set = |name| var_os(name).is_some();
    Config {
        cases: match is_set("PROPTEST_CASES") {
            true => given.cases,
            false => cases,
        },
        rng_seed: match is_set("PROPTEST_RNG_SEED") {
            true => given.rng_seed,
            false => RngSeed::Fixed(SEED),
        },
        ..given
    }
}
