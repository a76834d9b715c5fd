//! What is known of an artifact for sure: its run's evidence, verified anew, as facts for policies.
//!
//! | module | what it does |
//! |---|---|
//! | [`proof`] | the run's signed manifest, and files that it names |
//! | `chain` | the artifact's statement, and those of what it was made from |
//! | `ends` | how each step of the run ended, by its signed records |
//! | [`bill`] | what the SBOMs say that came with the artifact |
//! | [`line`] | how many such proofs are under way at once |
//!
//! [`crate::app::promote`] calls it. What must stay true: nothing here is a row's word alone. What is told
//! was read from bytes whose digest a key of the list has signed; rows say only where those are.

pub mod bill;
mod chain;
mod ends;
pub mod line;
pub mod proof;

use maestro_evidence::key::ring::Trust;
use maestro_evidence::moment::Moment;
use maestro_evidence::statement::run::RunEvidence;
use maestro_evidence::statement::{Descriptor, Subject};
use maestro_evidence::store::ArtifactStore;
use maestro_policies::input::{Evidenced, Made, Now, Promotion};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use sqlx::PgPool;

use crate::store;
use proof::Proof;

const WEEKDAYS: [&str; 7] =
    ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"];

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

/// What is to be promoted, and who wants that.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The artifact.
    pub artifact: Digest,
    /// The run by whose evidence.
    pub run: RunId,
    /// Where it is to go.
    pub environment: String,
    /// Who asks.
    pub by: String,
}

/// What is known for sure.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The artifact, as its statement names it.
    pub subject: Subject,
    /// What was read: the manifest, then statements.
    pub read: Vec<Descriptor>,
    /// What policies are asked.
    pub asked: Promotion,
}

impl Archive<'_> {
    /// Verifies the evidence of an artifact in a run. It reads and verifies much at a time: call it where one
    /// may block.
    ///
    /// # Errors
    /// The first link that is missing or does not hold.
    pub async fn prove(&self, wanted: &Wanted, now: Moment) -> Result<Proven, Unproven> {
        let Wanted { artifact, run, environment, by } = wanted;
        let proof = Proof::open(*self, *run).await?;
        if !proof.names(*artifact) {
            let what = format!(
                "the evidence of {run} names no artifact {artifact}; name the run that made it, or took it over"
            );
            return Err(Unproven::broken(what));
        }
        let chain = chain::of(&proof, *artifact).await?;
        let mut read = vec![proof.descriptor()];
        read.extend(chain.read);
        let mut keys = chain.keys;
        keys.insert(proof.key.to_string());
        let asked = Promotion {
            project: self.project.to_string(),
            environment: environment.clone(),
            by: by.clone(),
            now: spoken(now),
            artifact: Made { age_hours: hours(now, chain.made_on), ..chain.artifact },
            run: evidenced(&proof.manifest.predicate),
            keys,
            builders: chain.builders,
            sources: chain.sources.into_iter().collect(),
            steps: ends::of(&proof).await?,
            sbom: bill::read(self.objects, &chain.bills).await?,
        };
        Ok(Proven { subject: chain.subject, read, asked })
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

/// A time as policies compare it. The first day of 1970 was a Thursday.
fn spoken(now: Moment) -> Now {
    let day = usize::try_from(now.as_ms() / 86_400_000).unwrap_or_default();
    let text = now.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
    let weekday = WEEKDAYS.get(day % WEEKDAYS.len()).copied().unwrap_or_default();
    Now { date: part(0, 10), weekday: weekday.to_owned(), time: part(11, 16) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spoken_in_utc() {
        let now = spoken("2026-11-27T16:05:09.123Z".parse().unwrap());
        let expected = ("2026-11-27", "friday", "16:05");
        assert_eq!((now.date.as_str(), now.weekday.as_str(), now.time.as_str()), expected);
        assert_eq!(spoken(Moment::from_ms(0)).weekday, "thursday");
    }
}
