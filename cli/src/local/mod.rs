//! The local stack: a real nats-server and a real Postgres as children of this process.
//!
//! `maestro up`, `maestro run --local`, `maestro doctor`, the demo and the tests' harness call it.
//! There is no second implementation of anything behind it: what runs here is what runs in a
//! cluster, on loopback, with passwords of its own and all state under `.maestro/`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`tools`], [`npm_links`] | where the two programs are, and whether they are new enough |
//! | [`paths`], [`lock`], [`state`], [`credentials`] | the files under `.maestro/` |
//! | [`child`], [`leftover`], [`log_file`] | a program that never outlives us; what a killed predecessor left |
//! | [`nats`], [`nats_config`] | nats-server |
//! | [`postgres`], `postgres_data`, `postgres_launch`, [`run_as`] | Postgres, which refuses root |
//! | [`stack`] | both together, in one directory, once |
//! | [`attach`] | one process owns the stack, others attach to it over a socket |
//!
//! What must stay true: every wait has a limit; no file that holds a secret is readable by
//! others; nothing is signalled that was not recognised as ours; nothing is left running.

pub mod attach;
pub mod child;
pub mod credentials;
pub mod error;
pub mod leftover;
pub mod litellm;
pub mod litellm_config;
pub mod lock;
pub mod log_file;
pub mod nats;
pub mod nats_config;
pub mod npm_links;
pub mod paths;
pub mod postgres;
mod postgres_data;
mod postgres_launch;
pub mod run_as;
pub mod stack;
pub mod state;
pub mod tools;

pub use error::Error;

#[cfg(test)]
mod tests;
