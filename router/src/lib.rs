//! The routing decision: which model a question goes to, so that it costs less at a score that is as
//! good.
//!
//! | what the shell does | what this crate does |
//! |---|---|
//! | reads files of outcomes, prints the report | [`simulate`]: learns on recorded outcomes, and judges on others |
//!
//! What must stay true: pure. No I/O, clock or randomness; a seed is an argument, and the same
//! arguments give the same answer. (tidy)

pub mod simulate;
