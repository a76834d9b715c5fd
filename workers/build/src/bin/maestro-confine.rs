//! The helper alone, for the tests of this crate; elsewhere it is the binary `maestro`.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    maestro_build::sandbox::confine::enter(&words).unwrap_or(ExitCode::FAILURE)
}
