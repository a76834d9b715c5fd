//! One process owns a directory's stack; others attach to it over a Unix socket.
//!
//! `maestro up` serves the socket. `maestro run --local` connects, and starts a detached owner
//! first where there is none. A connection is an attachment: it carries one line of JSON from
//! the owner, and then its being open is all it says. So a client that is killed is detached by
//! the kernel, and an owner that is killed is noticed by its clients.
//!
//! Two clients that start at once both start an owner; the lock lets one of them live, and both
//! clients end at its socket.

mod client;
mod server;
mod socket;

pub use client::{Attachment, connect, connect_or_spawn};
pub use server::{Attachments, Server};
pub use socket::path;

use serde::{Deserialize, Serialize};

/// The exit code of an owner that found the directory taken, so that its client looks for the
/// other owner's socket instead of giving up (EX_TEMPFAIL).
pub const EXIT_HELD: u8 = 75;

/// The longest line, in bytes.
const LINE_MAX: usize = 64 << 10;

/// The owner's one line. `T` is what a client needs to know: the API's URL and a token, say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// The stack is up.
    Ready(T),
    /// It could not be started; the owner is about to end.
    Error(Refusal),
}

/// Why there is no stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What went wrong.
    pub message: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
