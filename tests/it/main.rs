//! Parts together, on real servers.

#![cfg(test)]

mod jobs;
mod ledger;
mod lost;
mod runs;
