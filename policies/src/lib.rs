//! Policies: bundles of Rego, evaluated in process, and what they answer at Maestro's hooks.
//! The server, the workers' kit and `maestro policy` call it.
//!
//! | what the shell does | what this crate does |
//! |---|---|
//! | names a directory | [`bundle`]: reads it within limits, and takes its digest |
//! | shows faults to people | [`fault`], [`check`]: what is wrong with a bundle, where, and what to write instead |
//! | | [`dialect`]: whether a file is Rego v1 or says that it is v0 |
//! | | [`negation`]: makes `not` over all elements mean none of them |
//! | fills in a step's declared part | [`input`]: what each hook sees |
//! | asks | [`engine`], [`verdict`]: the answer, with reasons that name the rule |
//! | calls `poll` each second or so | [`reload`]: versions of bundles, and which one holds |
//! | | [`trial`]: runs the tests that lie beside the policies |
//!
//! What must stay true: fail closed. Where there is no bundle, where a policy cannot be evaluated or
//! takes too long, or where its file is gone, the answer is a denial that says so
//! (`tests/it/closed.rs`). And a policy sees its input, its data, and nothing else: no clock, no network,
//! no chance, no environment (`tests/it/sandbox.rs`).

pub mod bundle;
pub mod check;
pub mod dialect;
pub mod engine;
pub mod fault;
pub mod input;
pub mod negation;
pub mod reload;
pub mod trial;
pub mod verdict;
mod walk;
