//! What to do: the pure heart of the coordinator.
//!
//! Nothing here does I/O, reads a clock, draws a random number or logs: time, ids, capacity and
//! answers are arguments. `cargo xtask tidy` holds it to that.
//!
//! | module | what it decides |
//! |---|---|
//! | [`pipeline`], [`plan`], [`expression`] | what an author's text means, and what will run |
//! | [`run`], [`decide`], [`event`] | what becomes of a run when something happens |
//! | [`forecast`] | what a run would do now, as far as results that are known tell |
//! | [`schedule`], [`share`] | what is released next, and how much room there is |
//! | [`shard`] | what is committed, published, acked and asked, and when |

pub mod decide;
pub mod event;
pub mod expression;
pub mod forecast;
pub mod pipeline;
pub mod plan;
pub mod run;
pub mod schedule;
pub mod shard;
pub mod share;
