//! Output on a real NATS server: what is published as an aggregator would comes out at receivers
//! and in answers.

mod forwarding;
mod limits;
mod publish;
mod queries;
mod receiver;
// Shared with the aggregator's own tests, which use all of it.
#[allow(dead_code)]
#[path = "../../../tests/live/server.rs"]
mod server;
