//! maestro-server
pub mod api;
pub mod app;
pub mod background;
pub mod coordinator;
mod fold;
pub mod intake;
pub mod routing;
pub mod rpc;
pub mod store;
