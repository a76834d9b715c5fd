//! What a build worker keeps its steps in, as its host and its command line have it.

use std::path::{Path, PathBuf};

use maestro_build::sandbox::host::Search;
use maestro_build::{BuildPool, Host, Settings};
use maestro_kit::action::Handler;
use maestro_schemas::sandbox::Level;

use crate::env_vars;
use crate::error::Error;
use crate::local::tools;

/// How steps of the build pool are kept apart from this host.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SandboxArgs {
    /// The strongest sandbox that steps run in; the strongest that works where nothing is said.
    #[arg(long, env = env_vars::SANDBOX, value_name = "LEVEL", value_parser = level)]
    sandbox: Option<Level>,
    /// What steps may read besides the system and its toolchains; may be given several times.
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    sandbox_read: Vec<PathBuf>,
}

impl SandboxArgs {
    /// What the environment says, for a stack that takes no such arguments.
    pub fn of_environment() -> Result<Self, Error> {
        let said = std::env::var(env_vars::SANDBOX).ok().filter(|text| !text.is_empty());
        let refuse = |hint| Error::usage(format!("{} names no sandbox", env_vars::SANDBOX), hint);
        let sandbox = said.map(|text| level(&text)).transpose().map_err(refuse)?;
        Ok(Self { sandbox, sandbox_read: Vec::new() })
    }

    /// The build pool, in the best sandbox that works here.
    pub async fn pool(&self, settings: Settings) -> BuildPool {
        match self.probe(&settings).await {
            Ok(host) => {
                let offered = host.offered();
                let (level, reason) = (offered.level.as_str(), offered.reason);
                tracing::info!(
                    level,
                    limits_by = offered.limits_by.as_str(),
                    reason,
                    "steps run in a sandbox"
                );
                BuildPool::new(settings).within(host)
            }
            Err(reason) => {
                tracing::warn!(reason, "steps run without a sandbox and without limits");
                BuildPool::new(settings)
            }
        }
    }

    /// Looks what works here.
    pub async fn probe(&self, settings: &Settings) -> Result<Host, String> {
        let helper = std::env::current_exe()
            .map_err(|error| format!("this program does not find itself: {error}"))?;
        let search = Search {
            helper,
            bubblewrap: tools::bubblewrap(Path::new(".")),
            most: self.sandbox,
            readable: self.sandbox_read.clone(),
        };
        Host::probe(search, settings).await
    }
}

/// Whether steps that ask for the strict pool can be served.
pub fn serves_strict(handler: &dyn Handler) -> bool {
    handler.sandbox().is_some_and(|offered| offered.level == Level::Bubblewrap)
}

fn level(text: &str) -> Result<Level, String> {
    let levels = [Level::Bubblewrap, Level::Landlock, Level::Plain];
    let found = levels.into_iter().find(|level| level.as_str() == text);
    found.ok_or_else(|| "expected bubblewrap, landlock or plain".to_owned())
}

/// A path that is one from wherever the program was started, and not the whole host.
pub fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() && path.parent().is_some() {
        Ok(path)
    } else {
        Err("expected an absolute path, and not the root".to_owned())
    }
}
