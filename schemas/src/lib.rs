//! What is said: the messages, plans and API bodies of Maestro, as data.
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`], [`name`], [`digest`] | identities: typed ids, names that fit a subject token, content digests |
//! | [`pipeline`], [`plan`] | the author's definition; the same compiled to a graph |
//! | [`task`], [`report`], [`outcome`], [`heartbeat`], [`control`] | what coordinators and workers tell each other |
//! | [`command`], [`event`] | what people ask of a run; what happened to it |
//! | [`verdict`] | what policies answer, and why |
//! | [`action`], [`artifact`] | the catalogue of what can be run; bytes by digest |
//! | [`codec`] | the envelope on the wire: MessagePack with named fields, versioned |
//! | [`api`] | bodies of the HTTP API, one file per resource |
//!
//! Nothing here does I/O, and nothing here decides.

pub mod action;
pub mod api;
pub mod artifact;
pub mod codec;
pub mod command;
mod compact;
pub mod control;
pub mod digest;
pub mod event;
pub mod heartbeat;
pub mod id;
pub mod name;
pub mod outcome;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod step;
pub mod submit;
pub mod task;
pub mod verdict;
