//! What the tests share: real servers, and plans in few words.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod harness;
