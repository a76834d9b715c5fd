//! `maestro completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro completions bash > ~/.local/share/bash-completion/completions/maestro
  maestro completions zsh > ~/.zfunc/_maestro")]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Args::command(), "maestro", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Ok)
}
