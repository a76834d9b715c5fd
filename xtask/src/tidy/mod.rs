//! The laws of the house that no compiler knows, checked over `cargo metadata` and the text.
//!
//! | module | what it refuses |
//! |---|---|
//! | [`direction`] | a dependency that points the wrong way; I/O in the engine |
//! | [`literal`] | a subject or stream spelled outside the topology; run tables written outside the store |
//! | [`size`] | files, functions and parameter lists that grew too large |
//! | [`name`] | file names that say nothing; ignored tests; notes of work undone |
//! | [`place`] | paths and hosts of one machine in what everybody gets |
//! | [`page`] | an error code without its page, a page without its code |
//! | [`supply`] | licences and sources that are not on the list; unexplained duplicates |
//!
//! There is no list of exceptions but for duplicates, where each has its reason.

mod direction;
mod function;
mod lexer;
mod licence;
mod literal;
mod metadata;
mod name;
mod page;
mod place;
mod size;
mod source;
mod supply;

use crate::checkout;
use crate::error::Error;
use metadata::Metadata;
use source::Source;

/// Something that breaks a law.
pub struct Finding {
    /// `path:line`, or the name of a package.
    pub place: String,
    /// What was found and what was expected.
    pub what: String,
}

impl Finding {
    /// A finding at a place.
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

/// Checks everything, says what it finds on standard error, and answers whether that was nothing.
pub fn run() -> Result<bool, Error> {
    let files = checkout::files()?;
    let sources = sources(&files)?;
    let metadata = Metadata::load()?;
    let mut findings = Vec::new();
    direction::check(&metadata, &mut findings);
    direction::check_text(&sources, &mut findings);
    literal::check(&sources, &files, &mut findings);
    size::check(&sources, &mut findings);
    name::check(&files, &sources, &mut findings);
    place::check(&files, &mut findings)?;
    page::check(&files, &sources, &mut findings);
    supply::check(&metadata, &mut findings);
    for finding in &findings {
        eprintln!("{}: {}", finding.place, finding.what);
    }
    eprintln!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(findings.is_empty())
}

fn sources(files: &[String]) -> Result<Vec<Source>, Error> {
    files
        .iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| Ok(Source::new(path, &checkout::read(path)?)))
        .collect()
}
