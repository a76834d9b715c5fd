//! `maestro bench`: what a step costs, measured on real processes and real servers.
//!
//! | file | what it holds |
//! |---|---|
//! | [`noop`] | the pool `bench`: one action that does nothing |
//! | [`shape`] | the plans that are measured |
//! | [`fleet`] | servers, a coordinator and a worker, each a process, and what they used |
//! | [`load`] | submits runs and waits for their ends |
//! | [`figures`] | what was measured, and how it is printed |
//!
//! The clock of a measurement runs from the first submission to the last run's end, creation
//! included. The raw bus is measured in the same run, in turn with the rounds, on streams of the
//! same configuration.

pub mod figures;
pub mod fleet;
pub mod load;
pub mod noop;
pub mod shape;
pub mod usage;
