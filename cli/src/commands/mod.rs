//! The commands, one file for each: its arguments, its examples, and what it does.

pub mod artifacts;
pub mod audit;
pub mod bench;
pub mod completions;
pub mod coordinator;
pub mod cost;
pub mod demo;
pub mod doctor;
pub mod evidence;
pub mod init;
pub mod keys;
pub mod logs;
pub mod plan;
pub mod policy;
pub mod pools;
pub mod prompts;
pub mod route;
pub mod router;
pub mod run;
pub mod runs;
pub mod sbom;
pub mod tests;
pub mod up;
pub mod validate;
pub mod verify;
pub mod worker;
