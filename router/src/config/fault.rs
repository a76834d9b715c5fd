//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

use serde::Serialize;

/// The most faults that are told at once.
pub const FAULTS_MAX: usize = 50;

/// A found text is cut to so many characters.
const FOUND_CHARS_MAX: usize = 80;
/// A longer word is not compared with names.
const WORD_BYTES_MAX: usize = 64;
/// The most names that are spelt out.
const LISTED_MAX: usize = 12;

/// A place in a file, counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Position {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// The kinds of fault. Each has a page `MAE-….md` that says what it means and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Code {
    /// The file is not YAML, or larger than it may be.
    #[serde(rename = "MAE-4005")]
    Syntax,
    /// A key that the configuration does not have in this place.
    #[serde(rename = "MAE-4006")]
    UnknownKey,
    /// A key is missing.
    #[serde(rename = "MAE-4007")]
    MissingKey,
    /// A value that its key does not take.
    #[serde(rename = "MAE-4008")]
    InvalidValue,
    /// A name that nothing has.
    #[serde(rename = "MAE-4009")]
    UnknownName,
    /// A name or a key that stands twice.
    #[serde(rename = "MAE-4010")]
    Doubled,
}

impl Code {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "MAE-4005",
            Self::UnknownKey => "MAE-4006",
            Self::MissingKey => "MAE-4007",
            Self::InvalidValue => "MAE-4008",
            Self::UnknownName => "MAE-4009",
            Self::Doubled => "MAE-4010",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The kind of fault.
    pub code: Code,
    /// Where it is.
    #[serde(flatten)]
    pub at: Position,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What may stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// A fault that says what is wrong and nothing else.
    pub fn new(code: Code, at: Position, message: impl Into<String>) -> Self {
        Self { code, at, message: message.into(), found: None, expected: None, hint: None }
    }

    /// Says what stands there, cut to 80 characters.
    pub fn found(mut self, found: impl AsRef<str>) -> Self {
        let shown = |one: char| if one.is_control() { ' ' } else { one };
        let mut short: String = found.as_ref().chars().take(FOUND_CHARS_MAX).map(shown).collect();
        if short.len() < found.as_ref().len() {
            short.push('…');
        }
        self.found = Some(short);
        self
    }

    /// Says what may stand there.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what stands there and which names may, and which of them was probably meant.
    pub fn among<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let mut fault = self.found(word).expected(list(&known));
        fault.hint = nearest(word, &known).map(|near| format!("did you mean {near:?}?"));
        fault
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.at;
        write!(f, "{line}:{column}: {} {}", self.code.as_str(), self.message)?;
        for (label, text) in
            [("found", &self.found), ("expected", &self.expected), ("hint", &self.hint)]
        {
            if let Some(text) = text {
                write!(f, "\n  {label}: {text}")?;
            }
        }
        Ok(())
    }
}

/// Everything that is wrong with a file, in its order, at most [`FAULTS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// The file, as it was named to the reader.
    pub file: String,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{fault}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The one of `known` that is near enough to `word` to be meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(word, name), *name));
    near.filter(|(distance, name)| *distance <= name.len().max(word.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// Names in a row.
fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [all @ .., last] if names.len() <= LISTED_MAX => format!("{} or {last}", all.join(", ")),
        _ => {
            let first: Vec<&str> = names.iter().take(LISTED_MAX).copied().collect();
            format!("{}, …", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_tells_place_code_and_what_was_meant() {
        let at = Position { line: 3, column: 5 };
        let fault = Fault::new(Code::UnknownName, at, "no model has this name")
            .among("gtp-4o", ["gpt-4o", "sonnet-3.7"]);
        assert_eq!(
            fault.to_string(),
            "3:5: MAE-4009 no model has this name\n  found: gtp-4o\n  expected: gpt-4o or \
             sonnet-3.7\n  hint: did you mean \"gpt-4o\"?"
        );
    }

    #[test]
    fn what_is_near_nothing_gets_no_guess() {
        assert_eq!(nearest("llama", &["gpt-4o", "sonnet-3.7"]), None);
        assert_eq!(nearest(&"a".repeat(100), &["a"]), None);
    }
}
