//! The command line as types: what every command knows, and the list of commands.

use clap::{Parser, Subcommand};
use maestro_schemas::name::ProjectName;

use crate::commands;
use crate::env_vars;
use crate::error::Error;
use crate::exit::{self, Exit};
use crate::output::{Color, Output};

/// Maestro conducts builds: it turns maestro.yaml into runs on fleets of workers.
#[derive(Debug, Parser)]
#[command(name = "maestro", version, after_help = exit::HELP, max_term_width = 100)]
pub struct Args {
    /// What every command knows.
    #[command(flatten)]
    pub global: Global,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command knows.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// The server, as https://maestro.example.org; without it the local stack of this directory.
    #[arg(long, global = true, env = env_vars::SERVER, value_name = "URL", hide_env_values = true)]
    pub server: Option<String>,
    /// Use the local stack of this directory, and start it where it is not running.
    #[arg(long, global = true)]
    pub local: bool,
    /// The project.
    #[arg(long, global = true, env = env_vars::PROJECT, value_name = "NAME", default_value = "default")]
    pub project: ProjectName,
    /// Print data as JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: Color,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Begin a pipeline in this directory.
    Init(commands::init::Args),
    /// Check a pipeline without running anything.
    Validate(commands::validate::Args),
    /// Show what a run would do: what runs, what is cached, and why.
    Plan(commands::plan::Args),
    /// Run a pipeline and watch it to its end.
    Run(commands::run::Args),
    /// Keep the local stack of this directory running.
    Up(commands::up::Args),
    /// List, show, watch, cancel and repeat runs.
    Runs(commands::runs::Args),
    /// Print what steps wrote.
    Logs(commands::logs::Args),
    /// Show what the tests of a run said.
    Tests(commands::tested::Args),
    /// List and fetch what steps made.
    Artifacts(commands::artifacts::Args),
    /// Write out what was signed of a run.
    Evidence(commands::evidence::Args),
    /// Check that evidence, or an artifact, is what was signed.
    Verify(commands::verify::Args),
    /// Let an artifact go to an environment, where its evidence holds and policies permit it.
    Promote(commands::promote::Args),
    /// List which artifact may go where.
    Promotions(commands::promotions::Args),
    /// Make, list, rotate and revoke the keys that sign.
    Keys(commands::keys::Args),
    /// Say what a directory's project is made of, as a CycloneDX document.
    Sbom(commands::sbom::Args),
    /// Show what calls of models cost.
    Cost(commands::cost::Args),
    /// Show the pools and their workers.
    Pools(commands::pools::Args),
    /// Run a coordinator: fold runs, serve the API.
    Coordinator(commands::coordinator::Args),
    /// Run a worker: carry out the steps of pools.
    Worker(commands::worker::Args),
    /// Try, repeat and measure which model a prompt goes to, and tag texts.
    Route(commands::route::Args),
    /// Show what the gateway is started with.
    Router(commands::router::Args),
    /// Keep, compare, render and label prompts.
    Prompts(commands::prompts::Args),
    /// Set, list, rotate and revoke values that steps get and nobody reads back.
    Secrets(commands::secrets::Args),
    /// List, prove and verify what was done.
    Audit(commands::audit::Args),
    /// Test, check, explain and replay policies.
    Policy(commands::policy::Args),
    /// Tell the story of a real build, and of parts of the system that die in it.
    Demo(commands::demo::Args),
    /// Check what Maestro needs, here and at the server.
    Doctor(commands::doctor::Args),
    /// Measure what a step costs on this machine.
    Bench(commands::bench::Args),
    /// Print a completion script for a shell.
    Completions(commands::completions::Args),
}

impl Command {
    /// Does it.
    pub async fn perform(self, global: &Global, output: Output) -> Result<Exit, Error> {
        match self {
            Self::Init(args) => commands::init::perform(args, output),
            Self::Validate(args) => commands::validate::perform(args, output),
            Self::Plan(args) => commands::plan::perform(args, global, output).await,
            Self::Run(args) => commands::run::perform(args, global, output).await,
            Self::Up(args) => commands::up::perform(args, output).await,
            Self::Runs(args) => commands::runs::perform(args, global, output).await,
            Self::Logs(args) => commands::logs::perform(args, global, output).await,
            Self::Tests(args) => commands::tested::perform(args, global, output).await,
            Self::Artifacts(args) => commands::artifacts::perform(args, global, output).await,
            Self::Evidence(args) => commands::evidence::perform(args, global, output).await,
            Self::Verify(args) => commands::verify::perform(args, global, output).await,
            Self::Promote(args) => commands::promote::perform(args, global, output).await,
            Self::Promotions(args) => commands::promotions::perform(args, global, output).await,
            Self::Keys(args) => commands::keys::perform(args, output).await,
            Self::Sbom(args) => commands::sbom::perform(&args, output),
            Self::Cost(args) => commands::cost::perform(args, global, output).await,
            Self::Pools(args) => commands::pools::perform(args, global, output).await,
            Self::Coordinator(args) => commands::coordinator::perform(args, output).await,
            Self::Worker(args) => commands::worker::perform(args, output).await,
            Self::Route(args) => commands::route::perform(args, global, output).await,
            Self::Router(args) => commands::router::perform(args, output),
            Self::Prompts(args) => commands::prompts::perform(args, global, output).await,
            Self::Secrets(args) => commands::secrets::perform(args, global, output).await,
            Self::Audit(args) => commands::audit::perform(args, global, output).await,
            Self::Policy(args) => commands::policy::perform(args, global, output).await,
            Self::Demo(args) => commands::demo::perform(args, output).await,
            Self::Doctor(args) => commands::doctor::perform(args, global, output).await,
            Self::Bench(args) => commands::bench::perform(args, output).await,
            Self::Completions(args) => commands::completions::perform(args, output),
        }
    }
}
