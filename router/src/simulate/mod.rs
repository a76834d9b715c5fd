//! Which of two models a question goes to, learnt from recorded outcomes. `maestro route simulate`
//! calls it.
//!
//! | what the shell does | what this module does |
//! |---|---|
//! | reads files of outcomes | [`outcome`]: makes rows of their text, or says which place is wrong |
//! | takes prices from the command line | [`price`]: what a question costs with either model |
//! | | [`belief`]: what a topic is likely to lose with the weak model, learnt from outcomes |
//! | | [`policy`]: the decision for one question |
//! | gives goals and a seed | [`choice`]: the policy's setting, by cross-validation on the training rows |
//! | prints the report | [`replay`]: what policies cost and score on rows that were not learnt from |
//! | | [`bound`], [`shuffle`]: intervals and seeded order |
//!
//! What must stay true: the same arguments give the same report (`tests/replay.rs`).

pub mod belief;
pub mod bound;
pub mod choice;
pub mod outcome;
pub mod policy;
pub mod price;
pub mod replay;
pub mod shuffle;
