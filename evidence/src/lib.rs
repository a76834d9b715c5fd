//! Bytes by digest: what steps are given and what they leave behind.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | objects by SHA-256 in a local directory or a bucket; verified on read |
//! | [`tree`] | a directory as an object: snapshot, check, materialise |
//! | [`sbom`] | what something is made of, as CycloneDX |
//! | [`image`] | container images as directories, made without a daemon |
//! | [`secret`] | values at rest, wrapped keys, and values on their way to one execution |
//! | [`collect`] | deletion of what nothing kept names any more |
//! | `kms` | keys that stay in AWS KMS, in a build that has it |
//! | [`key`] | keys that sign, the list of those that were good when |
//! | [`dsse`] | signed bytes: an envelope in a Sigstore bundle |
//! | [`statement`] | what is said about artifacts: in-toto statements |
//! | [`verify`] | whether a directory of evidence holds what was signed |
//! | [`moment`] | points in time as evidence writes them |
//! | [`log`] | a log that can only grow: its tree, proofs, tiles and signed heads |
//!
//! Workers, the coordinator's api and the command line call it. An object never changes: its name
//! is the digest of its bytes, and who reads it takes the digest anew.

pub mod collect;
pub mod dsse;
pub mod image;
pub mod key;
#[cfg(feature = "kms")]
pub mod kms;
pub mod log;
pub mod moment;
pub mod sbom;
pub mod secret;
pub mod statement;
pub mod store;
pub mod tree;
pub mod verify;
