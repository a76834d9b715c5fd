//! Parts together, on real servers.

#![cfg(test)]

mod collected;
mod jobs;
mod ledger;
mod lost;
mod runs;
mod set_aside;
