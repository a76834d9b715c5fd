//! Parts together, on real servers.

#![cfg(test)]

mod jobs;
mod lost;
mod runs;
