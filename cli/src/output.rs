//! The only writer to standard output and standard error: data on the one, talk on the other.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::Error;
use crate::view::clean::clean;
use crate::view::paint::Paint;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// Where the stream is a terminal that can, and NO_COLOR is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where a command's words go. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    paint: Paint,
    paint_talk: Paint,
    live: bool,
    is_terminal: bool,
}

impl Output {
    /// Looks at the streams and the environment.
    pub fn new(json: bool, color: Color) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let refused =
            std::env::var_os(crate::env_vars::NO_COLOR).is_some_and(|value| !value.is_empty());
        let paints = |terminal: bool| match color {
            Color::Always => Paint::ON,
            Color::Auto if terminal && !dumb && !refused => Paint::ON,
            Color::Auto | Color::Never => Paint::OFF,
        };
        let talks_to_terminal = io::stderr().is_terminal();
        Self {
            json,
            paint: paints(io::stdout().is_terminal()),
            paint_talk: paints(talks_to_terminal),
            live: talks_to_terminal && !dumb && !json,
            is_terminal: io::stdout().is_terminal(),
        }
    }

    /// Whether data is to be JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a view may redraw itself on standard error.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The colours of standard output.
    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// The colours of standard error.
    pub fn paint_talk(&self) -> Paint {
        self.paint_talk
    }

    /// A line, or several, of data.
    pub fn data(&self, text: &str) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Error::Stdout)
    }

    /// A text from elsewhere: as it is to a program, without what could steer it to a terminal.
    pub fn text(&self, text: &str) -> Result<(), Error> {
        if self.is_terminal {
            return self.data(&text.lines().map(clean).collect::<Vec<_>>().join("\n"));
        }
        self.bytes(text.as_bytes())
    }

    /// Data as it is.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Error::Stdout)
    }

    /// A document, indented.
    pub fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        self.data(&serde_json::to_string_pretty(value)?)
    }

    /// One line of JSON lines.
    pub fn json_line<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        self.data(&serde_json::to_string(value)?)
    }

    /// A document where `--json` asks for it, else the text.
    pub fn show<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        if self.json { self.json(value) } else { self.data(&text()) }
    }

    /// Words to people. What nobody can read any more is lost without an error.
    pub fn talk(&self, text: &str) {
        self.draw(&format!("{text}\n"));
    }

    /// Escape sequences and words to people, as they are.
    pub fn draw(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// An error, to people or to programs.
    pub fn error(&self, error: &Error) {
        if self.json {
            return self.talk(&error.json().to_string());
        }
        let text = error.render();
        match text.split_once(": ") {
            Some((head, rest)) => self.talk(&format!("{}: {rest}", self.paint_talk.bad(head))),
            None => self.talk(&text),
        }
    }
}
