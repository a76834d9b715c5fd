//! What is said: the messages, plans and API bodies of Maestro, as data.
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`], [`name`], [`digest`] | identities: typed ids, names that fit a subject token, content digests |
//! | [`pipeline`], [`plan`] | the author's definition; the same compiled to a graph |
//! | [`task`], [`report`], [`outcome`], [`heartbeat`], [`control`] | what coordinators and workers tell each other |
//! | [`command`], [`event`] | what people ask of a run; what happened to it |
//! | [`route`], [`call`] | what is asked of the router and what it answers; what became of a call |
//! | [`secret`] | names of secrets, and how a value gets to one execution |
//! | [`verdict`] | what policies answer, and why |
//! | [`action`], [`artifact`], [`prompt`] | the catalogue of what can be run; bytes by digest; names of prompts |
//! | [`beside`], [`service`], [`tested`] | what stands beside a step's command; what its tests said |
//! | [`codec`] | the envelope on the wire: MessagePack with named fields, versioned |
//! | [`sse`] | server-sent events, read from bytes |
//! | [`api`] | bodies of the HTTP API, one file per resource |
//!
//! Nothing here does I/O, and nothing here decides.

pub mod action;
pub mod api;
pub mod artifact;
pub mod audit;
pub mod beside;
pub mod call;
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
pub mod prompt;
pub mod report;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod service;
pub mod sse;
pub mod step;
pub mod submit;
pub mod task;
pub mod tested;
pub mod verdict;
