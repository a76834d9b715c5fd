//! From an artifact back to its sources, by statements that hold.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use maestro_evidence::moment::Moment;
use maestro_evidence::sbom;
use maestro_evidence::statement::begun::{Link, begun};
use maestro_evidence::statement::provenance::{MADE_PREFIX, Provenance};
use maestro_evidence::statement::summary::STATEMENT_URI;
use maestro_evidence::statement::{Descriptor, Digests, Statement, Subject};
use maestro_evidence::verify::verified;
use maestro_policies::input::{Made, Source};
use maestro_schemas::digest::Digest;
use serde_json::Value;

use super::Unproven;
use super::proof::Proof;
use crate::store::evidence;

/// The most things that steps made for one artifact.
const LINKS_MAX: usize = 1_000;

/// The most statements about those, and the most bytes of them all.
const STATEMENTS_MAX: u32 = 10_000;
const BYTES_MAX: usize = 128 << 20;

/// What the statements say.
pub(super) struct Chain {
    pub(super) subject: Subject,
    pub(super) artifact: Made,
    pub(super) made_on: Moment,
    pub(super) keys: BTreeSet<String>,
    pub(super) builders: BTreeSet<String>,
    pub(super) sources: BTreeSet<Source>,
    /// The SBOMs that came along.
    pub(super) bills: BTreeSet<Digest>,
    /// The statements.
    pub(super) read: Vec<Descriptor>,
}

/// Follows an artifact by every statement of the run's manifest about it and about what it was made from:
/// several steps may have made the same, and one may have it from another.
pub(super) async fn of(proof: &Proof<'_>, artifact: Digest) -> Result<Chain, Unproven> {
    let known = statements(proof, artifact).await?;
    let begun = begun(known.values().map(|stated| &stated.link), &BTreeSet::new());
    if !begun.contains(&artifact) {
        let what = format!(
            "the statements about {artifact} say that it was made from itself, and none in the evidence of {} says what made it first",
            proof.run
        );
        return Err(Unproven::broken(what));
    }
    Ok(Chain::of(known, artifact))
}

async fn statements(
    proof: &Proof<'_>,
    artifact: Digest,
) -> Result<BTreeMap<Digest, Stated>, Unproven> {
    let signed = proof.statements();
    let broken = |what: String| Unproven::broken(format!("{artifact} was made {what}"));
    let mut known: BTreeMap<Digest, Stated> = BTreeMap::new();
    let (mut seen, mut wanted) = (BTreeSet::new(), BTreeSet::from([artifact]));
    let (mut count, mut bytes) = (0, 0);
    while !wanted.is_empty() {
        seen.extend(wanted.iter().copied());
        if seen.len() > LINKS_MAX {
            return Err(broken(format!("from more than {LINKS_MAX} artifacts")));
        }
        let found = about(proof, &signed, &wanted).await?;
        count += found.len();
        if count > STATEMENTS_MAX as usize {
            return Err(broken(format!("as more than {STATEMENTS_MAX} statements say")));
        }
        let mut next = BTreeSet::new();
        for (made, digest) in found {
            let stated = match known.entry(digest) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let bundle = proof.bytes("a statement", digest).await?;
                    bytes += bundle.len();
                    if bytes > BYTES_MAX {
                        return Err(broken(format!("as more than {BYTES_MAX} bytes say")));
                    }
                    entry.insert(Stated::read(proof, digest, &bundle)?)
                }
            };
            if !stated.link.made.contains(&made) {
                let what = format!("the statement that should be about {made} is not");
                return Err(Unproven::broken(what));
            }
            next.extend(stated.link.from.difference(&seen).copied());
        }
        wanted = next;
    }
    Ok(known)
}

/// The manifest's statements about each of some things: the thing and the statement.
async fn about(
    proof: &Proof<'_>,
    signed: &BTreeSet<Digest>,
    wanted: &BTreeSet<Digest>,
) -> Result<Vec<(Digest, Digest)>, Unproven> {
    let archive = &proof.archive;
    let (pool, count_max) = (archive.pool, STATEMENTS_MAX + 1);
    let found =
        evidence::statements_about(pool, archive.project, wanted, signed, count_max).await?;
    let named: BTreeSet<Digest> = found.iter().map(|(made, _)| *made).collect();
    // Of too many some are left out.
    let is_whole = found.len() <= STATEMENTS_MAX as usize;
    match wanted.difference(&named).next().filter(|_| is_whole) {
        None => Ok(found),
        Some(made) => Err(Unproven::broken(format!(
            "no statement in the evidence of {} is about {made}",
            proof.run
        ))),
    }
}

/// A statement whose signature holds.
struct Stated {
    key: String,
    statement: Statement<Provenance>,
    link: Link,
}

impl Stated {
    fn read(proof: &Proof<'_>, digest: Digest, bundle: &[u8]) -> Result<Self, Unproven> {
        let signed_on = |statement: &Statement<Provenance>| {
            Some(statement.predicate.build_definition.internal_parameters.signed_on)
        };
        let (key, statement) = verified(bundle, proof.archive.trust, signed_on)
            .map_err(|what| Unproven::broken(format!("the statement {digest}: {what}")))?;
        let is_nameless = |from: &&Descriptor| from.digest.as_sha256().is_none();
        if let Some(from) = statement.predicate.from_steps().find(is_nameless) {
            return Err(Unproven::broken(format!("{} has no SHA-256", from.uri)));
        }
        let link = Link::of(&statement);
        Ok(Self { key: key.to_string(), statement, link })
    }

    fn finished_on(&self) -> Moment {
        self.statement.predicate.run_details.metadata.finished_on
    }
}

impl Chain {
    /// What was made first counts as the artifact.
    fn of(known: BTreeMap<Digest, Stated>, artifact: Digest) -> Self {
        let about = known.values().filter(|stated| stated.link.made.contains(&artifact));
        let first = about.min_by_key(|stated| stated.finished_on());
        let named = first.and_then(|stated| {
            let mut subject = stated.statement.subject.iter();
            subject.find(|one| one.digest.as_sha256() == Some(artifact)).cloned()
        });
        let subject = named
            .unwrap_or_else(|| Subject { name: String::new(), digest: Digests::sha256(artifact) });
        let step = first.map(|stated| &stated.statement.predicate.build_definition);
        let step = step.map(|it| it.external_parameters.step.clone()).unwrap_or_default();
        let role = subject.name.clone();
        let mut chain = Self {
            artifact: Made { digest: artifact, step, role, age_hours: 0.0 },
            subject,
            made_on: first.map_or(Moment::from_ms(0), Stated::finished_on),
            keys: BTreeSet::new(),
            builders: BTreeSet::new(),
            sources: BTreeSet::new(),
            bills: BTreeSet::new(),
            read: Vec::new(),
        };
        for (digest, stated) in known {
            chain.take(digest, stated);
        }
        chain
    }

    /// Notes what a statement says.
    fn take(&mut self, digest: Digest, stated: Stated) {
        let Stated { key, statement, .. } = stated;
        let (uri, digest) = (STATEMENT_URI.to_owned(), Digests::sha256(digest));
        self.read.push(Descriptor { uri, digest, ..Descriptor::default() });
        self.keys.insert(key);
        self.builders.insert(statement.predicate.run_details.builder.id);
        let bills = statement.subject.iter().filter(|one| one.name == sbom::ROLE);
        self.bills.extend(bills.filter_map(|one| one.digest.as_sha256()));
        let from = statement.predicate.build_definition.resolved_dependencies;
        let from = from.iter().filter(|it| !it.uri.starts_with(MADE_PREFIX) && it.name == "source");
        self.sources.extend(from.map(source));
    }
}

fn source(from: &Descriptor) -> Source {
    let text = |name: &str| from.annotations.get(name).and_then(Value::as_str).map(str::to_owned);
    Source {
        uri: from.uri.clone(),
        branch: text("branch"),
        tag: text("tag"),
        commit: from.digest.0.get("gitCommit").cloned().unwrap_or_default(),
        dirty: from.annotations.get("dirty").and_then(Value::as_bool).unwrap_or(false),
    }
}
