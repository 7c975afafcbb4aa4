//! The sandbox against real modules: hostile ones by hand, right ones from the guest kit, and right
//! ones made wrong.

mod bench;
mod compare;
mod compilations;
mod evaluate;
mod fuzz;
mod guests;
mod instructions;
mod oracle;
mod policy;
mod runner;
mod traffic;
mod wasi;
