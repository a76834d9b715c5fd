//! How it travels: the only crate that knows NATS.
//!
//! | module | what it does |
//! |---|---|
//! | [`topology`] | every stream, subject, consumer and permission, as data |
//! | [`connect`] | a connection, its events, core messages and requests |
//! | [`ensure`], [`admin`] | makes streams and consumers; purges, pauses, looks |
//! | [`publish`] | confirmed publishing, at most 1024 un-acked |
//! | [`fetch`], [`delivery`] | reads inboxes, tasks, queues and tails; acks |
//! | [`latest`] | the last word on a subject, replaced where nobody else did meanwhile |
//! | [`dead`] | what nobody could take, with its reason |
//! | [`bench`] | the raw bus: what a step costs when nothing is decided |
//!
//! **Invariant:** no decision rests on delivery counts, dedupe windows or sequence numbers; they
//! are optimisations and hints. [`latest`] is the one exception: there the server itself compares.

pub mod admin;
mod api;
pub mod bench;
pub mod connect;
pub mod dead;
pub mod delivery;
pub mod ensure;
pub mod fetch;
pub mod latest;
pub mod publish;
mod ready;
mod requests;
pub mod topology;

pub use api::Error as ApiError;
pub use topology::subject::Subject;
