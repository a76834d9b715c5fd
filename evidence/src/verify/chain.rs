//! From each artifact back to its sources, by statements whose signatures hold.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::Path;

use maestro_schemas::digest::Digest;
use serde::Serialize;

use super::files::{Listing, read};
use super::{BROKEN, Finding, SIGNATURE, verified};
use crate::dsse::BUNDLE_BYTES_MAX;
use crate::key::ring::Trust;
use crate::statement::provenance::Provenance;
use crate::statement::run::file;
use crate::statement::{Descriptor, Statement, begun};

/// The most links that are told; what one artifact was made from has no more.
pub(super) const LINKS_MAX: usize = 1_000;

/// A statement whose signature holds.
#[derive(Debug)]
pub(super) struct Stated {
    /// Its file.
    pub(super) path: String,
    /// The digest of its bundle.
    pub(super) bundle: Digest,
    pub(super) key: String,
    pub(super) statement: Statement<Provenance>,
}

impl Stated {
    /// What it calls something that it says how it was made; nothing where it does not.
    pub(super) fn made_as(&self, made: Digest) -> impl Iterator<Item = &str> {
        let subjects = self.statement.subject.iter();
        let about = subjects.filter(move |subject| subject.digest.as_sha256() == Some(made));
        about.map(|subject| subject.name.as_str())
    }

    pub(super) fn provenance(&self) -> &Provenance {
        &self.statement.predicate
    }
}

/// How something was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The step's id, and the artifact's role there.
    pub made: String,
    /// Its digest.
    pub digest: Digest,
    /// The project of the run that made it.
    pub project: String,
    /// That run's pipeline.
    pub pipeline: String,
    /// The run, the step and the execution that made it.
    pub by: String,
    /// Who keeps steps apart there.
    pub builder: String,
    /// The statement's file.
    pub statement: String,
    /// The key that signed it.
    pub key: String,
    /// What it was made from.
    pub from: Vec<String>,
}

/// Every statement whose signature holds; the others are failures.
pub(super) fn statements(
    directory: &Path,
    listing: &Listing,
    trust: &Trust,
    finding: &mut Finding,
) -> Vec<Stated> {
    let mut stated = Vec::new();
    for path in listing.below(file::STATEMENTS) {
        let bytes = read(&directory.join(path), BUNDLE_BYTES_MAX as u64).unwrap_or_default();
        let signed_on = |statement: &Statement<Provenance>| {
            Some(statement.predicate.build_definition.internal_parameters.signed_on)
        };
        match verified(&bytes, trust, signed_on) {
            Ok((key, statement)) => {
                let (path, bundle) = (path.clone(), Digest::of(&bytes));
                stated.push(Stated { path, bundle, key: key.to_string(), statement });
            }
            Err(what) => finding.fail(SIGNATURE, path, what),
        }
    }
    stated
}

/// The links from one artifact back to its sources; where there are more than are told, that is a failure.
pub(super) fn links_of(
    artifact: Digest,
    statements: &[Stated],
    finding: &mut Finding,
) -> Vec<Link> {
    let (links, more) = links([(artifact.to_string(), artifact)], statements, finding);
    if more > 0 {
        finding.fail(BROKEN, artifact.to_string(), format!("more than {LINKS_MAX} links"));
    }
    links
}

/// The links from these artifacts, each by its name, back to their sources, and how many there are beside
/// those that are told; what is missing between them is a failure. Who copies an artifact states it too: all
/// statements about one are links.
pub(super) fn links(
    artifacts: impl IntoIterator<Item = (String, Digest)>,
    statements: &[Stated],
    finding: &mut Finding,
) -> (Vec<Link>, usize) {
    let mut about: HashMap<Digest, Vec<&Stated>> = HashMap::new();
    for stated in statements {
        let subjects = stated.statement.subject.iter();
        let digests: BTreeSet<Digest> =
            subjects.filter_map(|subject| subject.digest.as_sha256()).collect();
        for digest in digests {
            about.entry(digest).or_default().push(stated);
        }
    }
    let all: Vec<begun::Link> =
        statements.iter().map(|stated: &Stated| begun::Link::of(&stated.statement)).collect();
    let begun = begun::begun(&all, &BTreeSet::new());
    let mut wanted: VecDeque<(String, Digest)> = artifacts.into_iter().collect();
    let (mut seen, mut links, mut more) = (BTreeSet::new(), Vec::new(), 0);
    while let Some((name, digest)) = wanted.pop_front() {
        if !seen.insert(digest) {
            continue;
        }
        let Some(made) = about.get(&digest) else {
            finding.fail(BROKEN, name, format!("no statement here is about {digest}"));
            continue;
        };
        if !begun.contains(&digest) {
            finding.fail(BROKEN, name, format!("no statement here says what made {digest} first"));
        }
        for stated in made {
            match links.len() < LINKS_MAX {
                true => links.push(stated.link(digest)),
                false => more += 1,
            }
            for source in stated.provenance().from_steps() {
                match source.digest.as_sha256() {
                    Some(digest) => wanted.push_back((source.uri.clone(), digest)),
                    None => finding.fail(BROKEN, &*stated.path, "a source without a SHA-256"),
                }
            }
        }
    }
    (links, more)
}

impl Stated {
    fn link(&self, digest: Digest) -> Link {
        let definition = &self.provenance().build_definition;
        let role = self.made_as(digest).next().unwrap_or_default();
        Link {
            made: format!("{}#{role}", definition.external_parameters.step),
            digest,
            project: definition.internal_parameters.project.clone(),
            pipeline: definition.external_parameters.pipeline.clone(),
            by: self.provenance().run_details.metadata.invocation_id.clone(),
            builder: self.provenance().run_details.builder.id.clone(),
            statement: self.path.clone(),
            key: self.key.clone(),
            from: definition.resolved_dependencies.iter().map(spoken).collect(),
        }
    }
}

/// A source, as people read it.
fn spoken(source: &Descriptor) -> String {
    let name = if source.uri.is_empty() { &source.name } else { &source.uri };
    let digest = source.digest.0.iter().map(|(kind, hex)| format!("{kind}:{hex}"));
    let digest: Vec<String> = digest.collect();
    format!("{name} {}", digest.join(" "))
}
