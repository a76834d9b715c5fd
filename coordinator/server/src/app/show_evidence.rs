//! Shows what was signed of a run.

use maestro_evidence::key;
use maestro_schemas::api::evidence::{EvidenceStanding, MadeBy};
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::notary::is_made;
use crate::notary::keys::Keys;
use crate::store::{evidence, key_ring, run, unsigned};

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

    /// Which run's evidence says how something was made, or will once it is signed.
    pub async fn made_by(&self, project: &ProjectName, made: Digest) -> Result<MadeBy, Error> {
        let about = evidence::about(&self.pool, project, made).await?;
        if let Some((run, _)) = about {
            return Ok(MadeBy { run, unsigned: false });
        }
        let unsigned = unsigned::made(&self.pool, project, made).await?;
        let is_it = |artifact: &Artifact| artifact.digest == made && is_made(artifact);
        let by = unsigned.into_iter().find(|(_, artifacts)| artifacts.iter().any(is_it));
        let (run, _) = by.ok_or_else(|| Error::not_found("statement about", made))?;
        Ok(MadeBy { run, unsigned: true })
    }

    /// The list of keys as it is now, as its root signed it: of this process' own and the one that a
    /// coordinator has kept, the newer one.
    pub async fn list_keys(&self) -> Result<Vec<u8>, Error> {
        let own = self.keys.as_ref().map(Keys::list).transpose().map_err(unread)?.flatten();
        let kept = key_ring::find(&self.pool).await?;
        let newer = match (own, kept) {
            (Some(own), Some(kept)) if kept.trust.is_newer_than(&own.trust) => Some(kept),
            (own, kept) => own.or(kept),
        };
        let newer = newer.ok_or_else(|| {
            Error::not_found("list of keys", "this server has signed nothing yet")
        })?;
        Ok(newer.bytes)
    }
}

/// An older list may lack a revocation, so none is given in its place.
fn unread(error: key::Error) -> Error {
    tracing::warn!(%error, "the list of keys cannot be read");
    Error::Unavailable("the list of keys cannot be read now; the server's log says why")
}
