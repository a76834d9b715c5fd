//! Bytes by digest: what steps are given and what they leave behind.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | objects by SHA-256 in a local directory or a bucket; verified on read |
//! | [`tree`] | a directory as an object: snapshot, check, materialise |
//! | [`secret`] | values at rest, wrapped keys, and values on their way to one execution |
//! | [`collect`] | deletion of what nothing kept names any more |
//!
//! Workers, the coordinator's api and the command line call it. An object never changes: its name
//! is the digest of its bytes, and who reads it takes the digest anew.

pub mod collect;
pub mod secret;
pub mod store;
pub mod tree;
