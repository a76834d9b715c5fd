//! Bytes by digest: what steps are given and what they leave behind.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | objects by SHA-256 in a local directory or a bucket; verified on read |
//! | [`tree`] | a directory as an object: snapshot, check, materialise |
//! | [`sbom`] | what something is made of, as CycloneDX |
//! | [`collect`] | deletion of what nothing kept names any more |
//!
//! Workers, the coordinator's api and the command line call it. An object never changes: its name
//! is the digest of its bytes, and who reads it takes the digest anew.

pub mod collect;
pub mod sbom;
pub mod store;
pub mod tree;
