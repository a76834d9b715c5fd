//! Reconcilers: each takes no input, looks at the rows, and does what is missing.

pub mod auditor;
pub mod books;
pub mod collector;
pub mod notices;
pub mod retention;
