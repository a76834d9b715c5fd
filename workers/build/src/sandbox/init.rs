//! The first process of a sandbox: starts the step, waits for it, and takes up what it leaves.
//!
//! In its place bubblewrap's own program would be within reach of the step, which is the same user: its
//! memory could be written and its file's mode be changed, both outside of the sandbox. This one lets
//! nobody look into it or open what it is made of.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

/// The word that makes the program this one.
pub(super) const WORD: &str = "__init";

/// Before the reason why there is no step, in the last line of what it says.
pub(super) const NO_PROGRAM: &str = "maestro: cannot start: ";

/// The exit codes of a shell that finds no program, or none that it may start.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;
/// Added to the number of the signal that ended the step.
const BY_SIGNAL: i32 = 128;

/// Runs the step: `words` are the program and its arguments.
pub(super) fn run(words: &[OsString]) -> ExitCode {
    let Some((program, args)) = words.split_first() else { return ExitCode::FAILURE };
    if prctl::set_dumpable(false).is_err() {
        return ExitCode::FAILURE;
    }
    match start(program, args) {
        Ok(step) => until_ended(step),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{NO_PROGRAM}{error}");
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            ExitCode::from(if is_missing { NOT_FOUND } else { NOT_STARTED })
        }
    }
}

fn start(program: &OsStr, args: &[OsString]) -> io::Result<Pid> {
    let child = Command::new(program).args(args).spawn()?;
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Pid::from_raw(id))
}

/// All that has no parent any more is this process' child: it is waited for too.
fn until_ended(step: Pid) -> ExitCode {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(id, code)) if id == step => {
                return ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(id, signal, _)) if id == step => {
                let code = BY_SIGNAL + signal as i32;
                return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return ExitCode::FAILURE,
        }
    }
}
