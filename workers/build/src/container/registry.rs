//! A registry's images, by the distribution specification 1.1.
//!
//! | module | what it does |
//! |---|---|
//! | `client` | one request: where to, and how often |
//! | `authorize`, `answer` | what is shown to a registry; what its answers hold |
//! | `challenge` | what a registry says that it wants to see |
//! | `blob`, `manifest` | parts of an image: are they there, put, get |
//! | `image` | a whole image: push a layout, pull one |
//! | `referrers` | what goes with an image, where the registry lists it and where it does not |
//!
//! The client is our own, and thin, because a registry is hostile input: each answer has a limit, a
//! redirect loses the credentials, and nothing but a registry on this very machine is spoken to
//! without TLS.

mod answer;
mod authorize;
mod blob;
mod challenge;
mod client;
mod error;
mod image;
mod manifest;
mod referrers;

pub(super) use client::is_loopback;
pub use client::{Client, Repository};
pub use error::Error;
pub use image::{Pushed, pull, push};
pub use referrers::{Attached, Attachment, attach, attached, referrers};
