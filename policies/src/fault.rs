//! What is wrong with a bundle: the place, what was found there, what was expected, and a hint.

use serde::Serialize;

/// A text of the policy's is no Rego.
pub const SYNTAX: &str = "MAE-5001";
/// The text is Rego v0 and does not say so.
pub const UNMARKED: &str = "MAE-5002";
/// A function is called that there is not, or that policies may not call.
pub const FUNCTION: &str = "MAE-5003";
/// The text is Rego, but means nothing: variables, recursion, fields that no hook has.
pub const MEANING: &str = "MAE-5004";
/// The bundle's files cannot be read, or are too many or too large.
pub const FILES: &str = "MAE-5005";
/// A policy could not be evaluated.
pub const EVALUATION: &str = "MAE-5006";

/// So much of what stands at a wrong place is shown, in characters.
const SHOWN: usize = 40;

/// A place of a bundle, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct Fault {
    /// A stable code with a page in `docs/errors/`.
    pub code: &'static str,
    /// The file, below the bundle's directory.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What stands at the place.
    pub found: Option<Box<str>>,
    /// What could stand there.
    pub expected: Option<Box<str>>,
    /// What a person can do about it.
    pub hint: Option<Box<str>>,
}

impl Fault {
    /// A fault at a place.
    pub fn at(code: &'static str, file: &str, place: (u32, u32), what: impl Into<String>) -> Self {
        Self {
            code,
            file: file.to_owned(),
            line: place.0,
            column: place.1,
            what: what.into(),
            found: None,
            expected: None,
            hint: None,
        }
    }

    /// A fault of a file as a whole.
    pub fn of_file(file: &str, what: impl Into<String>) -> Self {
        Self::at(FILES, file, (1, 1), what)
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what was expected.
    pub fn expected(mut self, expected: impl Into<Box<str>>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// The same with what stands at the place in `text`.
    pub fn found_in(mut self, text: &str) -> Self {
        let line = text.lines().nth(self.line.saturating_sub(1) as usize).unwrap_or_default();
        let rest: String = line.chars().skip(self.column.saturating_sub(1) as usize).collect();
        let found: String = rest.trim().chars().take(SHOWN).collect();
        let end = "the end of the line";
        self.found = Some(if found.is_empty() { end.into() } else { found.into() });
        self
    }
}

/// Makes a fault of what the interpreter says: `--> file:line:column`, an excerpt, `error: what`.
pub(crate) fn from_interpreter(code: &'static str, file: &str, error: &str) -> Fault {
    let what = error
        .split_once("error: ")
        .map_or(error, |(_, what)| what)
        .split("\n-->")
        .next()
        .unwrap_or(error)
        .trim();
    let (file, line, column) = place(error).unwrap_or_else(|| (file.to_owned(), 1, 1));
    Fault::at(code, &file, (line, column), what)
}

fn place(error: &str) -> Option<(String, u32, u32)> {
    let line = error.lines().find_map(|line| line.trim().strip_prefix("--> "))?;
    let mut parts = line.rsplitn(3, ':');
    let column = parts.next()?.trim().parse().ok()?;
    let row = parts.next()?.parse().ok()?;
    Some((parts.next()?.to_owned(), row, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_interpreter_says_becomes_a_place_and_a_sentence() {
        let said = "\n--> a/b.rego:4:7\n  |\n4 | x if\n  | ^\nerror: expecting expression";
        let fault = from_interpreter(SYNTAX, "?", said).found_in("1\n2\n3\n0123456789\n");
        assert_eq!(fault.to_string(), "a/b.rego:4:7: expecting expression");
        assert_eq!(fault.found.as_deref(), Some("6789"));
        assert_eq!(
            from_interpreter(FILES, "c.rego", "too long").to_string(),
            "c.rego:1:1: too long"
        );
    }

    #[test]
    fn a_place_at_the_end_of_its_line_is_told_as_that() {
        let fault = Fault::at(SYNTAX, "a", (9, 9), "x").found_in("short");
        assert_eq!(fault.found.as_deref(), Some("the end of the line"));
    }
}
