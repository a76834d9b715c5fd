//! Why there is no document: what, where, what was expected, and what to do about it.

use std::fmt;
use std::io;

/// The longest text from a file that a message repeats, in characters.
const FOUND_CHARS_MAX: usize = 80;

/// The kinds of refusal. Each has a page `MAE-….md` that says what it means and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A file is not in the form that its name speaks of.
    Malformed,
    /// A file is in a version of its form that is not read.
    Version,
    /// A file, or what comes of all, is larger than allowed.
    Limit,
    /// A file refers to one outside of the tree, or to one that is not there.
    Reference,
    /// The directory cannot be read.
    Unreadable,
    /// No file tells of packages.
    Nothing,
}

impl Code {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "MAE-7020",
            Self::Version => "MAE-7021",
            Self::Limit => "MAE-7022",
            Self::Reference => "MAE-7023",
            Self::Unreadable => "MAE-7024",
            Self::Nothing => "MAE-7025",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Malformed => "have the tool that owns the file write it anew",
            Self::Version => "have a newer version of the tool that owns the file write it anew",
            Self::Limit => "describe a smaller directory",
            Self::Reference => "put the file into the directory, or take the line out",
            Self::Unreadable => "name a directory that can be read",
            Self::Nothing => "which files are read stands in docs/sbom.md",
        }
    }
}

/// Where in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    #[default]
    Whole,
    /// A line, counted from 1.
    Line(usize),
    /// A line and a column, counted from 1.
    Column(usize, usize),
    /// The way from the file's root to a value.
    Entry(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, ":{line}"),
            Self::Column(line, column) => write!(f, ":{line}:{column}"),
            Self::Entry(entry) if entry.is_empty() => Ok(()),
            Self::Entry(entry) => write!(f, ": {entry}"),
        }
    }
}

/// Why there is no document.
#[derive(Debug)]
pub struct Error(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    code: Code,
    path: String,
    place: Place,
    message: String,
    expected: Option<String>,
    source: Option<io::Error>,
}

impl Error {
    /// A refusal of `path`, or of something at a place in it.
    pub(crate) fn new(code: Code, path: &str, place: Place, message: impl Into<String>) -> Self {
        let path = cut(path);
        let message = message.into();
        Self(Box::new(Refusal { code, path, place, message, expected: None, source: None }))
    }

    /// A file that is not in its form.
    pub(crate) fn malformed(path: &str, place: Place, message: impl Into<String>) -> Self {
        Self::new(Code::Malformed, path, place, message)
    }

    /// What the system said of a path.
    pub(crate) fn unreadable(path: &str, source: io::Error) -> Self {
        let mut error = Self::new(Code::Unreadable, path, Place::Whole, "cannot be read");
        error.0.source = Some(source);
        error
    }

    /// Adds what was expected.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    /// Of nothing that tells of packages.
    pub fn nothing(path: &str) -> Self {
        Self::new(Code::Nothing, path, Place::Whole, "no file tells of packages")
    }

    /// Its stable name, which has a page in `docs/errors/`.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The file, below the directory.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Where in the file.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.0.code.hint()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { path, place, message, expected, .. } = &*self.0;
        write!(f, "{path}{place}: {message}")?;
        match expected {
            Some(expected) => write!(f, "; expected {expected}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// A text from a file as a message repeats it: short, and without anything that steers a terminal.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(FOUND_CHARS_MAX).collect()
}
