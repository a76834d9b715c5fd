//! What is known of an artifact for sure: its run's evidence, verified anew, as facts for policies.
//!
//! | module | what it does |
//! |---|---|
//! | [`proof`] | the run's signed manifest, and files that it names |
//! | `chain` | the artifact's statement, and those of what it was made from |
//! | `ends` | how each step of the run ended, by its signed records |
//! | [`bill`] | what the SBOMs say that came with the artifact |
//!
//! [`crate::app::promote`] calls it. What must stay true: nothing here is a row's word alone. What is told
//! was read from bytes whose digest a key of the list has signed.

pub mod bill;
mod chain;
mod ends;
pub mod proof;

use std::collections::BTreeSet;

use maestro_evidence::key::ring::Trust;
use maestro_evidence::moment::Moment;
use maestro_evidence::statement::run::RunEvidence;
use maestro_evidence::statement::{Descriptor, Subject};
use maestro_evidence::store::ArtifactStore;
use maestro_policies::input::{Bills, Evidenced, Made, Source, StepEnd};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use sqlx::PgPool;

use crate::store;
use proof::Proof;

/// Where evidence is, and whose signatures count.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// Where statements and records are.
    pub pool: &'a PgPool,
    /// Where artifacts are.
    pub objects: &'a ArtifactStore,
    /// The keys.
    pub trust: &'a Trust,
    /// The tenant.
    pub project: &'a ProjectName,
}

/// Why nothing is known for sure.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Something is not there, or does not hold.
    #[error("{0}")]
    Broken(String),
}

impl Unproven {
    fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }
}

/// What is known for sure.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The artifact, as its statement names it.
    pub subject: Subject,
    /// The artifact, as policies see it.
    pub artifact: Made,
    /// The run.
    pub run: Evidenced,
    /// The keys that signed.
    pub keys: BTreeSet<String>,
    /// The builders.
    pub builders: BTreeSet<String>,
    /// The sources.
    pub sources: Vec<Source>,
    /// How the run's steps ended.
    pub steps: Vec<StepEnd>,
    /// What SBOMs say.
    pub sbom: Bills,
    /// What was read: the manifest, then statements.
    pub read: Vec<Descriptor>,
}

impl Archive<'_> {
    /// Verifies the evidence of an artifact in a run.
    ///
    /// # Errors
    /// The first link that is missing or does not hold.
    pub async fn prove(
        &self,
        artifact: Digest,
        run: RunId,
        now: Moment,
    ) -> Result<Proven, Unproven> {
        let proof = Proof::open(*self, run).await?;
        if !proof.names(artifact) {
            let what = format!(
                "the evidence of {run} names no artifact {artifact}; name the run that made it, or took it over"
            );
            return Err(Unproven::broken(what));
        }
        let mut read = vec![proof.descriptor()];
        let chain = chain::of(&proof, artifact).await?;
        read.extend(chain.read.iter().cloned());
        let mut keys = chain.keys;
        keys.insert(proof.key.to_string());
        let sbom = bill::read(self.objects, &chain.bills).await?;
        let made = Made { age_hours: hours(now, chain.made_on), ..chain.artifact };
        Ok(Proven {
            subject: chain.subject,
            artifact: made,
            run: evidenced(&proof.manifest.predicate),
            keys,
            builders: chain.builders,
            sources: chain.sources.into_iter().collect(),
            steps: ends::of(&proof).await?,
            sbom,
            read,
        })
    }
}

fn evidenced(said: &RunEvidence) -> Evidenced {
    Evidenced { id: said.run.clone(), pipeline: said.pipeline.clone(), state: said.state.clone() }
}

/// In steps of a hundredth.
fn hours(now: Moment, then: Moment) -> f64 {
    let ms = now.as_ms().saturating_sub(then.as_ms());
    (ms / 36_000) as f64 / 100.0
}
