//! What is wrong with a pipeline, where, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most faults that are told at once.
pub const DIAGNOSTICS_MAX: usize = 50;

/// A place in a file, counted from 1; the column in characters.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// The kinds of fault. Each has a page `MAE-….md` that says what it means and what to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $number)] $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, as `MAE-1004`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $number,)*
                }
            }
        }
    };
}

codes! {
    /// The file is not YAML.
    Syntax = "MAE-1001";
    /// The file is too large, too deep, or repeats too much by aliases.
    FileLimit = "MAE-1002";
    /// A key stands twice in the same place.
    DuplicateKey = "MAE-1003";
    /// A key that the language does not have in this place.
    UnknownKey = "MAE-1004";
    /// A key is missing.
    MissingKey = "MAE-1005";
    /// A value is of another kind than its key takes.
    WrongType = "MAE-1006";
    /// A value is of the right kind and still none that its key takes.
    InvalidValue = "MAE-1007";
    /// Of two keys, both or neither are there.
    Choice = "MAE-1008";
    /// A name that nothing has.
    UnknownReference = "MAE-1010";
    /// A name that several things have.
    AmbiguousReference = "MAE-1011";
    /// Steps wait for each other in a circle.
    Cycle = "MAE-1012";
    /// Two things have the same name.
    DuplicateName = "MAE-1013";
    /// The graph is larger than a plan may be.
    GraphLimit = "MAE-1014";
    /// A `{{ … }}` or a condition does not parse.
    ExpressionSyntax = "MAE-1020";
    /// An expression names something that does not exist.
    UnknownName = "MAE-1021";
    /// An expression has no value.
    ExpressionFailed = "MAE-1022";
    /// An expression reads what is only known in a run, in a place that is decided when planning.
    TooEarly = "MAE-1023";
    /// A value was given for an input that the pipeline does not have.
    UnknownInput = "MAE-1030";
    /// No value was given for an input that has none of its own.
    MissingInput = "MAE-1031";
    /// The value given for an input is not of its type.
    WrongInput = "MAE-1032";
    /// Another pipeline cannot be read.
    MissingFile = "MAE-1040";
    /// Pipelines use each other in a circle, or too deeply.
    Nesting = "MAE-1041";
    /// The parameters are not those that the action takes.
    Parameters = "MAE-1050";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The kind of fault.
    pub code: Code,
    /// The file, as it was named to the compiler.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What may stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {} {}", self.file, self.line, self.column, self.code, self.message)?;
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

/// Everything that is wrong with a pipeline, in the order of the files, at most
/// [`DIAGNOSTICS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{one}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// A fault without its file: what the parts of the reader hand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault.
    pub code: Code,
    /// Where it is.
    pub at: Position,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What stands there.
    pub found: Option<String>,
    /// What may stand there.
    pub expected: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault that says what is wrong and nothing else.
    pub fn new(code: Code, at: Position, message: impl Into<String>) -> Self {
        Self { code, at, message: message.into(), found: None, expected: None, hint: None }
    }

    /// Says what stands there, cut to 80 characters.
    pub fn found(mut self, found: impl AsRef<str>) -> Self {
        let found = found.as_ref();
        let mut short: String =
            found.chars().take(80).map(|one| if one.is_control() { ' ' } else { one }).collect();
        if short.len() < found.len() {
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

    /// Names the one of `known` that `word` was probably meant to be, if any is near.
    pub fn suggest<'a>(mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(near) = nearest(word, known) {
            self.hint = Some(format!("did you mean {near:?}?"));
        }
        self
    }

    /// The fault in its file.
    pub fn in_file(self, file: &str) -> Diagnostic {
        Diagnostic {
            code: self.code,
            file: file.to_owned(),
            line: self.at.line,
            column: self.at.column,
            message: self.message,
            found: self.found,
            expected: self.expected,
            hint: self.hint,
        }
    }
}

/// The most names that are compared with one that is unknown.
const CANDIDATES_MAX: usize = 500;

/// The one of `known` that is nearest to `word`, if any is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .take(CANDIDATES_MAX)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()).div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names in a row, as `a, b and c`, at most 12 of them.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [] => "nothing".into(),
        [one] => (*one).to_owned(),
        [all @ .., end] if names.len() <= 12 => format!("{} {last} {end}", all.join(", ")),
        _ => format!("{}, …", names.iter().take(12).copied().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(nearest("stpes", ["stages", "steps", "needs"]), Some("steps"));
        assert_eq!(nearest("zebra", ["steps", "needs"]), None);
    }
}
