//! A program and its arguments.

use std::fmt;

use crate::error::Error;
use crate::parameters::{Line, ShellKind, Word};

/// What is shown of a command, in characters.
const SHOWN_MAX: usize = 200;

/// A program, its arguments, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// The program.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    shown: String,
    /// Whether appended arguments need `--` before them.
    dashes: bool,
}

impl CommandLine {
    /// A program with arguments.
    pub(crate) fn of(words: &[&str]) -> Self {
        let shown = words.join(" ");
        let mut words = words.iter().map(|word| (*word).to_owned());
        Self {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            shown,
            dashes: false,
        }
    }

    /// Lines for bash, which end at the first command that fails; `$@` is what is appended.
    pub(crate) fn script(text: &str) -> Self {
        let flags = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"];
        let mut line = Self::of(&[&flags[..], &[text, "bash"]].concat());
        line.shown = text.to_owned();
        line
    }

    /// Lines for a shell.
    pub(crate) fn in_shell(kind: ShellKind, text: &str) -> Self {
        match kind {
            ShellKind::Bash => Self::script(text),
            ShellKind::Sh => {
                let mut line = Self::of(&["sh", "-e", "-c", text, "sh"]);
                line.shown = text.to_owned();
                line
            }
        }
    }

    /// What an author wrote, with `args` appended.
    pub(crate) fn from_line(line: &Line, kind: ShellKind, args: &[Word]) -> Result<Self, Error> {
        match line {
            Line::Shell(text) if args.is_empty() => Ok(Self::in_shell(kind, text)),
            Line::Shell(text) => {
                let mut line = Self::in_shell(kind, &format!("{text} \"$@\""));
                line.shown.clone_from(text);
                Ok(line.with_args(args))
            }
            Line::Words(words) => {
                let words: Vec<&str> = words.iter().map(|Word(word)| word.as_str()).collect();
                if words.first().is_none_or(|program| program.is_empty()) {
                    return Err(Error::Parameters("`command` names no program".into()));
                }
                Ok(Self::of(&words).with_args(args))
            }
        }
    }

    /// The same, with what is appended standing behind `--`.
    pub(crate) fn behind_dashes(mut self) -> Self {
        self.dashes = true;
        self
    }

    /// The same with one argument more.
    pub(crate) fn with(self, arg: &str) -> Self {
        self.with_args(&[Word(arg.to_owned())])
    }

    /// The same with arguments appended.
    pub(crate) fn with_args(mut self, args: &[Word]) -> Self {
        if self.dashes && !args.is_empty() {
            self.push("--");
        }
        for Word(arg) in args {
            self.push(arg);
        }
        self
    }

    fn push(&mut self, arg: &str) {
        self.args.push(arg.to_owned());
        self.shown.push(' ');
        self.shown.push_str(arg);
    }
}

impl fmt::Display for CommandLine {
    /// As one would type it, on one line and cut; for people only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.shown.trim().replace('\n', "; ");
        match line.char_indices().nth(SHOWN_MAX) {
            Some((at, _)) => write!(f, "{}…", line.get(..at).unwrap_or_default()),
            None => f.write_str(&line),
        }
    }
}
