//! The gateway from outside: what each protocol's points become, on a real NATS server.

mod attributes;
mod call;
mod client;
mod counters;
mod gateway;
mod grpc;
mod kinds;
mod known;
mod limits;
mod prometheus;
mod refusals;
mod remote_write;
mod round_trips;
mod samples;
#[path = "../../../tests/live/server.rs"]
#[expect(dead_code, reason = "the tests of the aggregator need more of it")]
mod server;
mod storage;
