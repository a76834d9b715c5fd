//! A run's manifest, verified, and files whose digests it names.

use std::collections::{BTreeMap, BTreeSet};

use maestro_evidence::key::KeyId;
use maestro_evidence::statement::run::{RunEvidence, file};
use maestro_evidence::statement::summary::MANIFEST_NAME;
use maestro_evidence::statement::{Descriptor, Digests, Statement};
use maestro_evidence::verify::verified;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;

use super::{Archive, Unproven};
use crate::store::evidence;

/// The most bytes of a run's records that are read.
const RECORD_BYTES_MAX: usize = 128 << 20;

/// A run's evidence.
pub struct Proof<'a> {
    pub(super) archive: Archive<'a>,
    pub(super) run: RunId,
    pub(super) manifest: Statement<RunEvidence>,
    pub(super) key: KeyId,
    digest: Digest,
    /// The digests of files by path.
    named: BTreeMap<String, Digest>,
    artifacts: BTreeSet<Digest>,
}

impl<'a> Proof<'a> {
    /// Reads and verifies the manifest.
    ///
    /// # Errors
    /// Where it is not there yet, or does not hold.
    pub(super) async fn open(archive: Archive<'a>, run: RunId) -> Result<Self, Unproven> {
        let standing = evidence::standing(archive.pool, archive.project, run).await?;
        let unsigned =
            |why: &str| Unproven::broken(format!("the evidence of {run} is not signed yet{why}"));
        let standing = standing.ok_or_else(|| unsigned(": the run has not ended"))?;
        let Some((digest, _)) = standing.manifest else {
            let why = standing.problem.map(|problem| format!(": {problem}")).unwrap_or_default();
            return Err(unsigned(&why));
        };
        let bundle = body(archive, run, digest, file::MANIFEST).await?;
        let signed_on = |statement: &Statement<RunEvidence>| Some(statement.predicate.signed_on);
        let (key, manifest) = verified(&bundle, archive.trust, signed_on)
            .map_err(|what| Unproven::broken(format!("the manifest of {run}: {what}")))?;
        if manifest.predicate.run != run.to_string()
            || manifest.predicate.project != archive.project.as_str()
        {
            return Err(Unproven::broken(format!("the manifest of {run} is about another run")));
        }
        let listed = manifest.subject.iter();
        let named: BTreeMap<String, Digest> = listed
            .filter_map(|subject| Some((subject.name.clone(), subject.digest.as_sha256()?)))
            .collect();
        let below = format!("{}/", file::ARTIFACTS);
        let artifacts = named.iter().filter(|(path, _)| path.starts_with(&below));
        let artifacts = artifacts.map(|(_, digest)| *digest).collect();
        Ok(Self { archive, run, manifest, key, digest, named, artifacts })
    }

    /// Whether the run made the artifact, or took it over.
    pub(super) fn names(&self, artifact: Digest) -> bool {
        self.artifacts.contains(&artifact)
    }

    /// The manifest, among what was read.
    pub(super) fn descriptor(&self) -> Descriptor {
        let name = MANIFEST_NAME.to_owned();
        Descriptor { name, digest: Digests::sha256(self.digest), ..Descriptor::default() }
    }

    /// The digests of the statements that the manifest names.
    pub(super) fn statements(&self) -> BTreeSet<Digest> {
        self.below(file::STATEMENTS).map(|(_, digest)| digest).collect()
    }

    /// Files below a directory, by path.
    pub(super) fn below(&self, directory: &str) -> impl Iterator<Item = (&str, Digest)> {
        let below = format!("{directory}/");
        let named = self.named.iter().filter(move |(path, _)| path.starts_with(&below));
        named.map(|(path, digest)| (path.as_str(), *digest))
    }

    /// A file's bytes, by the digest that was signed.
    pub(super) async fn bytes(&self, path: &str, digest: Digest) -> Result<Vec<u8>, Unproven> {
        body(self.archive, self.run, digest, path).await
    }

    /// The bytes of the file with this path.
    pub(super) async fn file(&self, path: &str) -> Result<Vec<u8>, Unproven> {
        let digest = self.named.get(path).copied();
        let digest = digest.ok_or_else(|| {
            Unproven::broken(format!("the manifest of {} names no {path}", self.run))
        })?;
        self.bytes(path, digest).await
    }

    /// The lines of all files below a directory.
    pub(super) async fn lines(&self, directory: &str) -> Result<Vec<u8>, Unproven> {
        let mut all = Vec::new();
        for (path, digest) in self.below(directory) {
            all.extend(self.bytes(path, digest).await?);
            if all.len() > RECORD_BYTES_MAX {
                let what = format!(
                    "the {directory} of {} have more than {RECORD_BYTES_MAX} bytes",
                    self.run
                );
                return Err(Unproven::broken(what));
            }
        }
        Ok(all)
    }
}

async fn body(
    archive: Archive<'_>,
    run: RunId,
    digest: Digest,
    path: &str,
) -> Result<Vec<u8>, Unproven> {
    let bytes = evidence::file(archive.pool, run, digest).await?;
    let bytes = bytes.ok_or_else(|| Unproven::broken(format!("{path} of {run} is gone")))?;
    match Digest::of(&bytes) == digest {
        true => Ok(bytes),
        false => Err(Unproven::broken(format!("{path} of {run} is not what was signed"))),
    }
}
