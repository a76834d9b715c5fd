//! A frame on a terminal, drawn over the one before it. No alternate screen: the last one stays.

use std::fmt::Write as _;

use crossterm::Command;
use crossterm::cursor::MoveToPreviousLine;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate,
};

/// What is on the screen now.
#[derive(Debug, Default)]
pub struct Screen {
    drawn: Vec<String>,
}

impl Screen {
    /// The terminal's columns and lines; 80 by 24 where it does not say.
    pub fn size() -> (usize, usize) {
        match crossterm::terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => (width.into(), height.into()),
            _ => (80, 24),
        }
    }

    /// What to write so that these lines take the place of the ones before; empty where they are
    /// the same. Ends at the start of the line below.
    pub fn draw(&mut self, lines: Vec<String>) -> String {
        let mut out = String::new();
        if lines == self.drawn {
            return out;
        }
        put(&mut out, BeginSynchronizedUpdate);
        put(&mut out, DisableLineWrap);
        if let Ok(up) = u16::try_from(self.drawn.len())
            && up > 0
        {
            put(&mut out, MoveToPreviousLine(up));
        }
        for line in &lines {
            out.push_str(line);
            put(&mut out, Clear(ClearType::UntilNewLine));
            out.push_str("\r\n");
        }
        put(&mut out, Clear(ClearType::FromCursorDown));
        put(&mut out, EnableLineWrap);
        put(&mut out, EndSynchronizedUpdate);
        self.drawn = lines;
        out
    }
}

fn put(out: &mut String, command: impl Command) {
    // Writing to a text cannot fail; a command that has no sequence writes nothing.
    let mut sequence = String::new();
    if command.write_ansi(&mut sequence).is_ok() {
        let _ = out.write_str(&sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_frame_goes_over_the_first_and_the_same_one_costs_nothing() {
        let mut screen = Screen::default();
        let first = screen.draw(vec!["one".into(), "two".into()]);
        assert!(first.contains("one\u{1b}[K\r\ntwo"));
        assert!(!first.contains("\u{1b}[2F"));
        assert_eq!(screen.draw(vec!["one".into(), "two".into()]), "");
        assert!(screen.draw(vec!["three".into()]).contains("\u{1b}[2Fthree"));
    }
}
