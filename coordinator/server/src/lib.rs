//! maestro-server
pub mod api;
pub mod app;
pub mod background;
mod clock;
pub mod coordinator;
mod fold;
pub mod intake;
pub mod notary;
pub mod promotion;
pub mod recent;
pub mod routing;
pub mod rpc;
pub mod store;
