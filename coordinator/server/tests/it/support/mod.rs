//! What the tests stand on.

pub mod fleet;
pub mod nats;
pub mod postgres;
pub mod question;
pub mod rows;
pub mod stack;
