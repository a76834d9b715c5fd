//! The last lines of an output, for the message of a failure.

use std::collections::VecDeque;

use maestro_kit::redact::{Redactor, Stream};

const BYTES_MAX: usize = 2048;
const LINES_MAX: usize = 15;

/// The end of what has been pushed.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    /// What is cut could not be told from a word that is no secret.
    clean: Option<Stream>,
}

impl Tail {
    /// One that never holds a secret, nor the end of one.
    pub(crate) fn without_secrets(redactor: &Redactor) -> Self {
        Self { bytes: VecDeque::new(), clean: Some(redactor.stream()) }
    }

    /// Appends bytes and forgets what is further back than is kept.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match self.clean.as_mut().map(|clean| clean.push(bytes)) {
            Some(clean) => self.keep(&clean),
            None => self.keep(bytes),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let start = bytes.len().saturating_sub(BYTES_MAX);
        self.bytes.extend(bytes.get(start..).unwrap_or_default());
        let excess = self.bytes.len().saturating_sub(BYTES_MAX);
        self.bytes.drain(..excess);
    }

    /// The last lines, without what a terminal would obey.
    pub(crate) fn text(&mut self) -> String {
        if let Some(last) = self.clean.as_mut().map(Stream::finish) {
            self.keep(&last);
        }
        let (front, back) = self.bytes.as_slices();
        let text = String::from_utf8_lossy(&[front, back].concat()).into_owned();
        let clean: String = without_escapes(&text);
        let lines: Vec<&str> = clean.trim_end().lines().collect();
        let start = lines.len().saturating_sub(LINES_MAX);
        lines.get(start..).unwrap_or_default().join("\n")
    }
}

fn without_escapes(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // A control sequence ends at its first letter, as in `ESC [ 3 1 m`.
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                while characters.next().is_some_and(|part| !('@'..='~').contains(&part)) {}
            }
            '\n' | '\t' => clean.push(character),
            _ if character.is_control() => {}
            _ => clean.push(character),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_colours_are_not() {
        let mut tail = Tail::default();
        for line in 0..10_000 {
            tail.push(format!("line {line}\n").as_bytes());
        }
        tail.push(b"\x1b[31mred\x1b[0m\r\n");
        let text = tail.text();
        assert!(text.ends_with("line 9999\nred"), "{text}");
        assert_eq!(text.lines().count(), LINES_MAX);
        assert!(tail.bytes.len() <= BYTES_MAX);
    }

    #[test]
    fn a_secret_at_the_cut_leaves_no_end_of_itself() {
        let redactor = Redactor::default();
        redactor.register([b"hunter2-hunter3".as_slice()]).unwrap();
        let mut tail = Tail::without_secrets(&redactor);
        tail.push(b"hunter2-hunter3");
        tail.push(&[b'x'; BYTES_MAX - 4]);
        assert!(!tail.text().contains("unter3"));
    }
}
