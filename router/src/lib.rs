//! The routing decision: which of two models a question goes to, so that it costs less at a score
//! that is as good. `maestro route` calls it.
//!
//! | what the shell does | what this crate does |
//! |---|---|
//! | reads files of outcomes | [`outcome`]: makes rows of their text, or says which place is wrong |
//! | takes prices from the command line | [`price`]: what a question costs with either model |
//! | | [`belief`]: what a topic is likely to lose with the weak model, learnt from outcomes |
//! | | [`policy`]: the decision for one question |
//! | gives goals and a seed | [`choice`]: the policy's setting, by cross-validation on the training rows |
//! | prints the report | [`replay`]: what policies cost and score on rows that were not learnt from |
//! | | [`bound`], [`shuffle`]: intervals and seeded order |
//! | gives a text and the configuration's terms | [`tags`]: what of it must not go everywhere |
//!
//! What must stay true: pure. No I/O, clock or randomness; the seed is an argument, and the same
//! arguments give the same report (`tests/replay.rs`).

pub mod belief;
pub mod bound;
pub mod choice;
pub mod outcome;
pub mod policy;
pub mod price;
pub mod replay;
pub mod shuffle;
pub mod tags;
