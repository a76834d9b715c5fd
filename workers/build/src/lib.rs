//! The build pool: commands in a workspace of their own.
//!
//! | module | what it does |
//! |---|---|
//! | [`settings`] | what the worker's host gives to every step: search path, proxies, caches |
//! | `parameters`, `catalogue` | what a step may say in `with`, for serde and for the catalogue |
//! | `command` | a program and its arguments |
//! | `preset` | which commands build or test a project of a toolchain |
//! | `workspace` | fills a directory from a git commit, a tree and input artifacts |
//! | `environment` | the variables of a step's processes: these and no others |
//! | `secret_files` | the step's secrets: variables, and files that are wiped |
//! | `process` | one process group from its start to its last process' end |
//! | `outputs` | what a step says and leaves behind: `$MAESTRO_OUTPUT`, declared artifacts |
//! | `attempt` | one execution, from task to outcome |
//!
//! The kit calls [`BuildPool`] through [`Handler`]. Nothing is decided here about a run: what went
//! wrong is reported with its class. Whatever happens, no process of an execution outlives it that
//! has stayed in its process group.

mod attempt;
mod catalogue;
mod command;
mod environment;
mod error;
mod outputs;
mod parameters;
mod preset;
mod process;
mod secret_files;
pub mod settings;
mod workspace;

use std::sync::Arc;

use maestro_kit::action::{Carried, Execution, Handler};
use maestro_schemas::action::ActionInfo;

pub use settings::Settings;

/// The name of the pool.
pub const POOL: &str = "build";

/// The actions `shell`, `build.<toolchain>` and `test.<suite>`.
#[derive(Debug, Clone)]
pub struct BuildPool {
    settings: Arc<Settings>,
}

impl BuildPool {
    /// A pool whose steps get what `settings` say of their host.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }
}

impl Handler for BuildPool {
    fn actions(&self) -> Vec<ActionInfo> {
        catalogue::actions()
    }

    fn takes_secrets(&self) -> bool {
        true
    }

    fn carry_out(&self, execution: Execution) -> Carried {
        Box::pin(attempt::carry_out(self.settings.clone(), execution))
    }
}

#[cfg(test)]
mod tests;
