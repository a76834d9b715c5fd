//! Shows what was signed of a run.

use maestro_schemas::api::evidence::{EvidenceStanding, MadeBy};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::store::{evidence, run};

impl App {
    /// Where the evidence of a run stands.
    pub async fn show_evidence(
        &self,
        project: &ProjectName,
        id: RunId,
    ) -> Result<EvidenceStanding, Error> {
        run::head(&self.pool, project, id).await?.ok_or_else(|| Error::not_found("run", id))?;
        let standing = evidence::standing(&self.pool, project, id).await?;
        let standing =
            standing.ok_or_else(|| Error::not_found("evidence of a run that has ended", id))?;
        Ok(EvidenceStanding {
            manifest: standing.manifest.map(|(digest, _)| digest),
            files: standing.manifest.map_or(0, |(_, files)| files),
            problem: standing.problem,
        })
    }

    /// A statement or record of a run.
    pub async fn read_evidence(
        &self,
        project: &ProjectName,
        id: RunId,
        digest: Digest,
    ) -> Result<Vec<u8>, Error> {
        run::head(&self.pool, project, id).await?.ok_or_else(|| Error::not_found("run", id))?;
        let body = evidence::file(&self.pool, id, digest).await?;
        body.ok_or_else(|| Error::not_found("file of evidence", digest))
    }

    /// Which run's evidence says how something was made.
    pub async fn made_by(&self, project: &ProjectName, made: Digest) -> Result<MadeBy, Error> {
        let about = evidence::about(&self.pool, project, made).await?;
        let (run, _) = about.ok_or_else(|| Error::not_found("statement about", made))?;
        Ok(MadeBy { run })
    }

    /// The list of keys, as its root signed it.
    pub async fn list_keys(&self) -> Result<Vec<u8>, Error> {
        let ring = evidence::ring(&self.pool).await?;
        ring.ok_or_else(|| Error::not_found("list of keys", "this server has signed nothing yet"))
    }
}
