//! Plans: compiled from a pipeline, keyed, checked, printed.
//!
//! | module | what it does |
//! |---|---|
//! | [`compile`] | a pipeline to a plan |
//! | [`sources`] | what a compilation reads beside the pipeline's text |
//! | [`key`] | step keys, and the parts that differ between two |
//! | [`differ`] | the same with digests and with the steps that the parts come from |
//! | [`answer`] | cached, runs, depends: what a run would do now, and why |
//! | [`print`] | as a tree of lines, as Mermaid |
//! | [`check`] | whether a plan that came over the network can be trusted |
//!
//! The engine runs a [`CheckedPlan`] and nothing else.

pub mod answer;
pub mod check;
pub mod compile;
pub mod differ;
pub mod key;
pub mod print;
pub mod sources;

pub use check::CheckedPlan;
pub use compile::{Compiled, Request, UNKNOWN_DURATIONS, compile};
