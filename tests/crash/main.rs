//! Processes that are killed in the middle of a run: every run ends as if nothing had happened.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bus;
mod coordinators;
mod database;
mod hostile;
mod scale_in;
mod scene;
mod secrets;
mod workers;
