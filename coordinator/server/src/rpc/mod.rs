//! What others may ask over the bus, beside the API: each question is answered by one process.
//!
//! | file | what may be asked |
//! |---|---|
//! | [`route`] | which model a call goes to; what became of calls, and how good answers were |
//! | [`secrets`] | the secrets of a step, for the execution that carries it out |
//!
//! Only reads, and what is learnt of providers; what changes a run goes through its inbox.

pub mod route;
pub mod secrets;
