//! `maestro`, the command line: a client of the API, and every role of the system in one binary.
//!
//! | module | what it holds |
//! |---|---|
//! | [`args`], [`commands`] | the command line; one file for each command |
//! | [`exit`], [`error`], [`output`], [`env_vars`] | exit codes, errors, the only writer, the environment |
//! | [`client`], [`target`] | the API over HTTP; which server is meant |
//! | [`source`], [`compile`], [`submit`] | the working directory; a pipeline made a plan, and begun |
//! | [`absent`] | what a plan names that its project does not have |
//! | [`bench`] | what a step costs, measured |
//! | [`follow`], [`view`] | a run's stream of events; what of it is shown, and how |
//! | [`demo`] | a story of a real build, in processes of its own |
//! | [`local`], [`up`] | the local stack's servers; the same with every role |
//!
//! What must stay true: data goes to standard output and talk to standard error; every wait has a
//! limit or a way out by Ctrl-C; whatever came from a server is cleaned before a terminal sees it.

pub mod absent;
pub mod args;
pub mod bench;
pub mod client;
pub mod commands;
pub mod compile;
pub mod demo;
pub mod env_vars;
pub mod error;
pub mod exit;
pub mod follow;
pub mod local;
pub mod output;
pub mod service;
pub mod source;
pub mod submit;
pub mod target;
pub mod up;
pub mod view;

use std::ffi::OsString;

use clap::Parser as _;

use crate::args::Args;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// Does what the command line says.
pub fn main(words: impl IntoIterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(refused) => {
            let _ = refused.print();
            return if refused.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    let output = Output::new(args.global.json, args.global.color);
    match perform(args, output) {
        Ok(exit) => exit,
        Err(error) if error.is_broken_pipe() => Exit::Ok,
        Err(error) => {
            output.error(&error);
            error.exit()
        }
    }
}

fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    // For object storage and key services, whose clients take the process's own; a second time is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System { action: "start the runtime", source })?;
    let exit = runtime.block_on(args.command.perform(&args.global, output));
    // A thread that still waits for a key or a file must not keep the process.
    runtime.shutdown_background();
    exit
}
