//! The binary `maestro`.

use std::process::ExitCode;

fn main() -> ExitCode {
    maestro_cli::main(std::env::args_os()).into()
}
