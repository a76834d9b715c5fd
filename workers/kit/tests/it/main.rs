//! A worker on a real bus: every test has a nats-server of its own.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bus;
mod ending;
mod failing;
#[path = "../../../../streams/tests/it/server.rs"]
#[expect(dead_code, reason = "shared with the tests of the streams, which need all of it")]
mod server;
mod succeeding;
