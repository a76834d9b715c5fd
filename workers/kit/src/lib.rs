//! What every pool shares: a worker's life between its first heartbeat and its last.
//!
//! | module | what it does |
//! |---|---|
//! | [`action`] | what a pool implements: [`action::Handler`] |
//! | [`session`] | a worker process: its pools, from start to drained |
//! | `take` | reads tasks, refuses what is none, gives each a slot |
//! | `capacity` | what the host has, against what a step takes up |
//! | `carry` | one execution: runs the handler, renews the delivery, keeps the deadline |
//! | `report` | sends reports until the inbox has them, then acks their tasks |
//! | `registry` | what is in hand, and what was cancelled lately |
//! | `cancel`, `heartbeat` | what the pool is told; what the worker says of itself |
//! | [`log`], [`scratch`], [`ledger`] | an execution's output; its directory; what it spent |
//! | [`directory`] | trees that steps wrote, reached through no link |
//! | [`secrets`] | the values that the step declares, for one execution |
//! | [`redact`] | keeps an execution's secrets out of all that leaves the worker as text |
//! | [`account`], [`announced`] | what the attempt may still spend, over all its executions; calls that are written down before it is known what they will be |
//! | [`router`] | which model a call goes to, asked over the bus |
//! | [`drain`] | ending on SIGTERM without losing an attempt |
//!
//! **Invariants:** a worker decides nothing about a run; a task is acked only after the inbox has
//! its report; nothing here retries an action.

pub mod account;
pub mod action;
pub mod announced;
mod cancel;
mod capacity;
mod carry;
pub mod directory;
pub mod drain;
mod heartbeat;
pub mod ledger;
pub mod log;
mod outcome;
pub mod redact;
mod registry;
mod report;
pub mod router;
pub mod scratch;
pub mod secrets;
pub mod session;
mod solitude;
mod take;

/// Where bytes are kept; what a pool knows of it, it knows from here.
pub use maestro_evidence as evidence;
