//! What follows from what happened: one file for each input, each a pure function from the run and
//! the facts to events.

pub mod begin;
pub mod cancel;
pub mod lapse;
pub mod lost;
pub mod report;
mod retry;
pub mod set_aside;

/// What a decision may know beside the run.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The shard's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// The owner's epoch.
    pub epoch: u64,
}
