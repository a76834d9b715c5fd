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
//! | `services` | servers beside the step's commands |
//! | `caches` | directories that are kept for the project's steps |
//! | `process` | one process group from its start to its last process' end |
//! | [`sandbox`] | how a step is kept apart from its host, and within limits |
//! | `outputs` | what a step says and leaves behind: `$MAESTRO_OUTPUT`, declared artifacts |
//! | `plain` | files that are ones, where a step may have put anything |
//! | `reports` | what the step's tests said |
//! | [`container`] | images of containers: built, kept, pushed |
//! | `attempt` | one execution, from task to outcome |
//!
//! The kit calls [`BuildPool`] through [`Handler`]. Nothing is decided here about a run: what went
//! wrong is reported with its class. Whatever happens, no process of an execution outlives it that
//! has stayed in its process group.

mod attempt;
mod caches;
mod catalogue;
mod command;
pub mod container;
mod environment;
mod error;
mod outputs;
mod parameters;
mod plain;
mod preset;
mod process;
mod reports;
pub mod sandbox;
mod secret_files;
mod services;
pub mod settings;
mod workspace;

use std::sync::Arc;

use maestro_kit::action::{Carried, Execution, Handler};
use maestro_schemas::action::ActionInfo;

use maestro_schemas::sandbox::Offered;

pub use maestro_schemas::sandbox::STRICT_POOL;
pub use sandbox::Host;
pub use settings::Settings;

/// The name of the pool.
pub const POOL: &str = "build";

/// The actions `shell`, `build.<toolchain>`, `test.<suite>` and `container.build`.
#[derive(Debug, Clone)]
pub struct BuildPool {
    settings: Arc<Settings>,
    host: Option<Arc<Host>>,
}

impl BuildPool {
    /// A pool whose steps get what `settings` say of their host. They run in no sandbox and without
    /// limits, until there is [`Self::within`]; a step that asks for one is refused.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), host: None }
    }

    /// The same, with steps in the sandboxes of `host`.
    pub fn within(mut self, host: Host) -> Self {
        self.host = Some(Arc::new(host));
        self
    }
}

impl Handler for BuildPool {
    fn actions(&self) -> Vec<ActionInfo> {
        catalogue::actions()
    }

    fn takes_secrets(&self, action: &str) -> bool {
        action != container::NAME
    }

    fn sandbox(&self) -> Option<Offered> {
        self.host.as_ref().map(|host| host.offered())
    }

    fn carry_out(&self, execution: Execution) -> Carried {
        let host = self.host.clone();
        Box::pin(attempt::carry_out(self.settings.clone(), host, execution))
    }
}

#[cfg(test)]
mod tests;
