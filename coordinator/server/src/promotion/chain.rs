//! From an artifact back to its sources, by statements that hold.

use std::collections::{BTreeSet, VecDeque};

use maestro_evidence::moment::Moment;
use maestro_evidence::sbom;
use maestro_evidence::statement::provenance::{MADE_PREFIX, Provenance};
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

/// Follows an artifact.
pub(super) async fn of(proof: &Proof<'_>, artifact: Digest) -> Result<Chain, Unproven> {
    let signed = proof.statements();
    let (first, key, digest) = about(proof, &signed, artifact).await?;
    let mut chain = Chain::begin(&first, artifact);
    let mut wanted = VecDeque::from(chain.take(&first, key, digest)?);
    let mut seen = BTreeSet::from([artifact]);
    while let Some(next) = wanted.pop_front() {
        if !seen.insert(next) {
            continue;
        }
        if seen.len() > LINKS_MAX {
            let what = format!("{artifact} was made from more than {LINKS_MAX} artifacts");
            return Err(Unproven::broken(what));
        }
        let (statement, key, digest) = about(proof, &signed, next).await?;
        wanted.extend(chain.take(&statement, key, digest)?);
    }
    Ok(chain)
}

/// The statement about something that the run's manifest names.
async fn about(
    proof: &Proof<'_>,
    signed: &BTreeSet<Digest>,
    made: Digest,
) -> Result<(Statement<Provenance>, String, Digest), Unproven> {
    let archive = &proof.archive;
    let all = evidence::statements_about(archive.pool, archive.project, made).await?;
    let found = all.into_iter().find(|digest| signed.contains(digest));
    let digest = found.ok_or_else(|| {
        Unproven::broken(format!("no statement in the evidence of {} is about {made}", proof.run))
    })?;
    let bundle = proof.bytes("a statement", digest).await?;
    let signed_on = |statement: &Statement<Provenance>| {
        Some(statement.predicate.build_definition.internal_parameters.signed_on)
    };
    let (key, statement) = verified(&bundle, archive.trust, signed_on)
        .map_err(|what| Unproven::broken(format!("the statement about {made}: {what}")))?;
    let is_about = statement.subject.iter().any(|one| one.digest.as_sha256() == Some(made));
    match is_about {
        true => Ok((statement, key.to_string(), digest)),
        false => Err(Unproven::broken(format!("the statement that should be about {made} is not"))),
    }
}

impl Chain {
    fn begin(statement: &Statement<Provenance>, artifact: Digest) -> Self {
        let subject = statement.subject.iter();
        let mut subject = subject.filter(|one| one.digest.as_sha256() == Some(artifact)).cloned();
        let provenance = &statement.predicate;
        let subject = subject
            .next()
            .unwrap_or_else(|| Subject { name: String::new(), digest: Digests::sha256(artifact) });
        Self {
            artifact: Made {
                digest: artifact,
                step: provenance.build_definition.external_parameters.step.clone(),
                role: subject.name.clone(),
                age_hours: 0.0,
            },
            subject,
            made_on: provenance.run_details.metadata.finished_on,
            keys: BTreeSet::new(),
            builders: BTreeSet::new(),
            sources: BTreeSet::new(),
            bills: BTreeSet::new(),
            read: Vec::new(),
        }
    }

    /// Notes what a statement says; what steps made for it comes back.
    fn take(
        &mut self,
        statement: &Statement<Provenance>,
        key: String,
        digest: Digest,
    ) -> Result<Vec<Digest>, Unproven> {
        let known = Some(Digests::sha256(digest));
        if !self.read.iter().any(|one| Some(&one.digest) == known.as_ref()) {
            let name = "statement".to_owned();
            let digest = Digests::sha256(digest);
            self.read.push(Descriptor { name, digest, ..Descriptor::default() });
        }
        self.keys.insert(key);
        self.builders.insert(statement.predicate.run_details.builder.id.clone());
        let bills = statement.subject.iter().filter(|one| one.name == sbom::ROLE);
        self.bills.extend(bills.filter_map(|one| one.digest.as_sha256()));
        let mut made = Vec::new();
        for from in &statement.predicate.build_definition.resolved_dependencies {
            if from.uri.starts_with(MADE_PREFIX) {
                let digest = from.digest.as_sha256();
                made.push(
                    digest
                        .ok_or_else(|| Unproven::broken(format!("{} has no SHA-256", from.uri)))?,
                );
            } else if from.name == "source" {
                self.sources.insert(source(from));
            }
        }
        Ok(made)
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
