//! The aggregator process on a real NATS server, fed and checked from outside.

mod chaos;
mod clocks;
mod configuration;
mod crowd;
mod demotion;
mod edit;
mod fleet;
mod forward;
mod gateway;
mod load;
mod malformed;
mod observe;
mod output;
mod process;
mod reconnect;
mod refusal;
mod restart;
mod server;
mod spread;
mod stage;
mod swap;
mod takeover;
mod throughput;
mod traces;
mod traffic;
mod trust;
