//! The program against a real local stack: nats-server, Postgres, coordinator, API and worker, as
//! `maestro run --local` starts them in an empty directory.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects is to stop there"
)]

mod audit;
mod end;
mod evidence;
mod promote;
mod prompts;
mod reuse;
mod secrets;
mod services;
mod session;
mod start;
mod tested;
mod view;
