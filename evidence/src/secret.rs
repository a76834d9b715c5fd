//! Secrets: at rest in an envelope, on their way sealed to one execution.
//!
//! | file | what it holds |
//! |---|---|
//! | [`kek`] | what wraps data keys: the trait that a key service implements |
//! | [`key_file`] | its implementation over a file of keys |
//! | [`service`] | its implementation over a key service, in a build that has one |
//! | [`envelope`] | a value under a data key of its own, and that key wrapped |
//! | [`seal`] | a value sealed to a public key that an execution made (HPKE, RFC 9180) |
//!
//! The server calls the first three and seals; a worker makes the key and opens. A plain value is
//! wiped from memory when it is dropped.

pub mod envelope;
pub mod kek;
pub mod key_file;
pub mod seal;
pub mod service;

/// A plain value, wiped from memory when it is dropped. It says nothing of itself.
pub use zeroize::{Zeroize, Zeroizing};
