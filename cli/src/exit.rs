//! Exit codes: stable, so that scripts and CI may branch on them.

use std::process::ExitCode;

/// How the process ends. The numbers never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked; a run that was waited for succeeded.
    Ok = 0,
    /// Something went wrong, and no other code says what.
    Error = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// A run that was waited for failed, was cancelled or was quarantined.
    RunFailed = 3,
    /// The token is missing, unknown or may not do this.
    Authentication = 4,
    /// A policy forbids it.
    PolicyDenied = 5,
    /// What was named does not exist.
    NotFound = 6,
    /// The wait ended before the run did; the run goes on.
    TimedOut = 7,
    /// Another process owns the local stack of the directory: for whoever started this one.
    Held = crate::local::attach::EXIT_HELD,
    /// Ctrl-C, or a signal to end.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table that `--help` ends with.
pub const HELP: &str = "\
Exit codes:
  0 ok · 1 error · 2 usage · 3 run failed · 4 authentication · 5 policy denied
  6 not found · 7 timed out · 130 interrupted";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code_that_there_is() {
        for exit in [
            Exit::Ok,
            Exit::Error,
            Exit::Usage,
            Exit::RunFailed,
            Exit::Authentication,
            Exit::PolicyDenied,
            Exit::NotFound,
            Exit::TimedOut,
            Exit::Interrupted,
        ] {
            assert!(HELP.contains(&format!("{} ", exit.code())), "{exit:?} is not in the help");
        }
    }
}
