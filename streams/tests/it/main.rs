//! The bus as it really behaves: every test has a nats-server of its own.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod handover;
mod latest;
mod making;
mod measuring;
mod permitted;
mod publishing;
mod reading;
mod server;
mod support;
