//! The roles that run as services: what each needs from flags and environment, and its start.

pub mod api;
pub mod bus;
pub mod coordinator;
pub mod models;
pub mod passphrase;
pub mod router;
pub mod sandbox;
pub mod stop;
pub mod worker;
