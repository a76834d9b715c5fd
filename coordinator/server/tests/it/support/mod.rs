//! What the tests stand on.

pub mod nats;
pub mod postgres;
pub mod rows;
pub mod stack;
