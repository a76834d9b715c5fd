//! What a process tells of itself: its own log, and figures at `/metrics`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`logging`] | the log on standard error, as text or JSON |
//! | [`event`] | events that are logged and counted in one |
//! | [`metrics`] | every metric's name, unit and labels, and their Prometheus text |
//!
//! Standard output is never written to: it belongs to data.

pub mod event;
pub mod logging;
pub mod metrics;
