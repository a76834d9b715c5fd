//! The API over HTTP: one method for each request, one file for each resource.
//!
//! Called by the commands, through [`crate::target`]. What must stay true: every answer has a
//! size that it may not pass and every request a time, but for streams, whose reader decides;
//! a server's bytes are checked before they are believed.

pub mod address;
pub mod artifacts;
pub mod audit;
pub mod cost;
pub mod error;
pub mod events;
pub mod evidence;
pub mod logs;
pub mod objects;
pub mod plans;
pub mod pools;
pub mod promotions;
pub mod prompts;
pub mod request;
pub mod route;
pub mod runs;
pub mod secrets;
pub mod tested;

pub use error::Error;
pub use request::Client;
