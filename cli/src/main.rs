//! The binary `maestro`.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    match maestro_build::sandbox::confine::enter(&words) {
        Some(code) => code,
        None => maestro_cli::main(words).into(),
    }
}
