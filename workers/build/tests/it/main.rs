//! The sandbox, with the real helper and what of bubblewrap and Landlock is here.

#![cfg(test)]

mod bench;
mod caches;
mod ending;
mod escape;
mod limits;
mod network;
mod services;
