//! Whether a directory of evidence holds what was signed: offline, with nothing but its files; or what
//! is attached to an image.
//!
//! | module | what it asks |
//! |---|---|
//! | [`files`] | is each file what the manifest says, and is there no other |
//! | [`records`] | what do the records say of the run and of its attempts |
//! | [`chain`] | is each artifact the subject of a good statement, back to the sources |
//! | [`promotions`] | where may which artifact go, by summaries that were signed later |
//! | [`audit`] | what was asked of the run, by entries of the audit log with their proofs |
//! | [`image`] | the same of an image, by what is attached to it in a registry |
//! | [`expect`] | is it what somebody expected of it |
//!
//! First the list of keys by its root, then the manifest by a key of the list, then the rest by the
//! manifest. Each failure names its file; what was established is said in words.

pub mod audit;
pub mod chain;
pub mod expect;
mod files;
pub mod image;
pub mod promotions;
mod records;

use std::path::Path;

use maestro_schemas::digest::Digest;
use serde::Serialize;

use crate::dsse::{BUNDLE_BYTES_MAX, STATEMENT_TYPE, Sealed};
use crate::key::ring::Trust;
use crate::key::{KeyId, PublicKey};
use crate::moment::Moment;
use crate::statement::Statement;
use crate::statement::run::{RunEvidence, file};
use audit::Logged;
use chain::Link;
use expect::Expectation;
use promotions::Promoted;

/// The most failures that are told.
pub const FAILURES_MAX: usize = 50;

/// What is to be verified, and how strictly.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The fingerprint of the root that must have signed the list of keys; absent means that the
    /// list's own word is taken.
    pub root: Option<Digest>,
    /// A signed list of keys that somebody has beside: the newest of its root counts.
    pub keys: Option<Vec<u8>>,
    /// The one artifact that is asked about; absent means all.
    pub artifact: Option<Digest>,
    /// What must hold besides.
    pub expect: Expectation,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Finding {
    /// Whether all of it holds.
    pub verified: bool,
    /// The image that was asked about, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Digest>,
    /// The root's fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// Whether the root is the one that was asked for, and not only the directory's own word.
    pub root_is_known: bool,
    /// When the list of keys was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_made_on: Option<Moment>,
    /// The key that signed the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the manifest says of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunEvidence>,
    /// How many files are what was signed.
    pub files: usize,
    /// How many statements hold.
    pub statements: usize,
    /// How the artifact that was asked about was made, back to its sources; where none was asked
    /// about, how each was.
    pub chain: Vec<Link>,
    /// How many links there are beside those of `chain`, which are a thousand then; only where no one
    /// artifact was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links_untold: Option<usize>,
    /// Where artifacts may go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<Promoted>,
    /// What was asked of the run, as far as it is proven to stand in the audit log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Logged>,
    /// What does not hold, the first link first; at most [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// A stable code.
    pub code: &'static str,
    /// The file, relative to the directory; or what of it.
    pub file: String,
    /// What does not hold, in words.
    pub what: String,
}

impl Finding {
    fn fail(&mut self, code: &'static str, file: impl Into<String>, what: impl Into<String>) {
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(Failure { code, file: file.into(), what: what.into() });
        }
    }
}

/// What cannot be believed, because its signature does not hold.
pub const SIGNATURE: &str = "MAE-7090";
/// A file that is not what was signed.
pub const CHANGED: &str = "MAE-7091";
/// A file that nobody signed.
pub const UNLISTED: &str = "MAE-7092";
/// A statement and a record that contradict each other.
pub const CONTRADICTION: &str = "MAE-7093";
/// An artifact, or what it was made from, that no statement is about.
pub const BROKEN: &str = "MAE-7094";
/// A promotion that cannot be believed.
pub const PROMOTION: &str = "MAE-7097";
/// An entry of the audit log that cannot be believed.
pub const AUDIT: &str = "MAE-7098";
/// Something else than was expected.
pub const UNEXPECTED: &str = "MAE-7095";

/// Verifies a directory.
pub fn directory(directory: &Path, question: &Question) -> Finding {
    let mut finding = Finding::default();
    if let Some(manifest) = opened(directory, question, &mut finding) {
        let listing = files::check(directory, &manifest, &mut finding);
        let records = records::read(directory, &listing, &manifest.statement, &mut finding);
        let statements = chain::statements(directory, &listing, &manifest.trust, &mut finding);
        finding.statements = statements.len();
        records.compare(&statements, &mut finding);
        finding.chain = match question.artifact {
            Some(digest) => chain::links_of(digest, &statements, &mut finding),
            None => {
                let (links, more) = chain::links(listing.made(), &statements, &mut finding);
                finding.links_untold = (more > 0).then_some(more);
                links
            }
        };
        let of = (&listing, question.artifact);
        promotions::check(directory, &manifest, of, &mut finding);
        audit::check(directory, &manifest, &records.commands, &mut finding);
        question.expect.of_run(&manifest.statement, &records, &mut finding);
        let all: Vec<&chain::Stated> = statements.iter().collect();
        question.expect.of_statements(&all, &mut finding);
        finding.run = Some(manifest.statement.predicate);
    }
    finding.verified = finding.failures.is_empty();
    finding
}

/// The list of keys and the manifest, both verified.
struct Manifest {
    /// Of its bundle.
    digest: Digest,
    trust: Trust,
    statement: Statement<RunEvidence>,
}

fn opened(directory: &Path, question: &Question, finding: &mut Finding) -> Option<Manifest> {
    let read = |name: &str| {
        files::read(&directory.join(name), BUNDLE_BYTES_MAX as u64)
            .map_err(|error| (name.to_owned(), format!("cannot be read: {error}")))
    };
    let (keys, manifest) = match read(file::KEYS).and_then(|keys| Ok((keys, read(file::MANIFEST)?)))
    {
        Ok(read) => read,
        Err((name, what)) => {
            finding.fail(SIGNATURE, name, what);
            return None;
        }
    };
    let trust = trusted(&keys, question, finding)?;
    if !files::is_root(directory, trust.root()) {
        finding.fail(CHANGED, file::ROOT, "it is not the root of the list of keys");
    }
    let trust = newest(trust, question, finding)?;
    finding.keys_made_on = Some(trust.ring().made_at);
    let signed = |statement: &Statement<RunEvidence>| Some(statement.predicate.signed_on);
    match verified(&manifest, &trust, signed) {
        Ok((key, statement)) => {
            finding.key = Some(key.to_string());
            Some(Manifest { digest: Digest::of(&manifest), trust, statement })
        }
        Err(what) => {
            finding.fail(SIGNATURE, file::MANIFEST, what);
            None
        }
    }
}

/// The list of keys, where its root is the one that is asked for.
fn trusted(keys: &[u8], question: &Question, finding: &mut Finding) -> Option<Trust> {
    let trust = match Trust::open(keys, None) {
        Ok(trust) => trust,
        Err(error) => {
            finding.fail(SIGNATURE, file::KEYS, error.to_string());
            return None;
        }
    };
    let root = trust.root().fingerprint();
    finding.root = Some(root);
    finding.root_is_known = question.root.is_some();
    if let Some(expected) = question.root.filter(|expected| *expected != root) {
        finding.fail(SIGNATURE, file::KEYS, format!("its root is {root}; expected {expected}"));
        return None;
    }
    Some(trust)
}

/// The directory's list, or the one that somebody has beside where that is newer.
fn newest(own: Trust, question: &Question, finding: &mut Finding) -> Option<Trust> {
    let Some(beside) = &question.keys else { return Some(own) };
    match Trust::open(beside, Some(own.root())) {
        Ok(beside) if beside.is_newer_than(&own) => Some(beside),
        Ok(_) => Some(own),
        Err(error) => {
            finding.fail(SIGNATURE, file::KEYS, format!("the one that was given: {error}"));
            None
        }
    }
}

/// A statement whose signature holds, by a key that was good when the statement says it was signed.
///
/// # Errors
/// What does not hold, in words.
pub fn verified<P: crate::statement::Predicate>(
    bundle: &[u8],
    trust: &Trust,
    signed_on: impl Fn(&Statement<P>) -> Option<Moment>,
) -> Result<(KeyId, Statement<P>), String> {
    let sealed = Sealed::parse(bundle).map_err(|error| error.to_string())?;
    let id = sealed.key().clone();
    let said = Statement::<P>::read(sealed.unverified())?;
    let at = signed_on(&said).ok_or("it does not say when it was signed")?;
    let key: &PublicKey = trust.key_at(&id, at)?;
    let payload = sealed.open(key, STATEMENT_TYPE).map_err(|error| error.to_string())?;
    Ok((id, Statement::read(&payload)?))
}

#[cfg(test)]
mod tests;
