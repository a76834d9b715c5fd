//! Bodies of the HTTP API under `/v1`, one file per resource.

pub mod artifacts;
pub mod audit;
pub mod cached;
pub mod cost;
pub mod evidence;
pub mod plans;
pub mod pools;
pub mod problem;
pub mod promotions;
pub mod prompts;
pub mod route;
pub mod runs;
pub mod secrets;
pub mod steps;
pub mod tested;
