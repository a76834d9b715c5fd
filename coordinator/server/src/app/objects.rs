//! Bytes by digest, for those whose project has a claim on them: somebody of it uploaded them, or a
//! step of its runs made them.
//!
//! What was uploaded is kept for a while, and from when a plan names it for as long as the plan is.
//! To whom it is said here that an object is there, it stays there for at least half of [`KEPT`]:
//! its row is made young first, and then it is looked for (see [`project_object`]).

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::Stream;
use maestro_evidence::store::{KEPT, Reader};
use maestro_schemas::artifact::{Tree, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;

use super::act::{self, Done};
use super::{App, Asker, Error};
use crate::store::project_object;

/// The most digests that are asked about at once.
pub const ASKED_MAX: usize = 10_000;

/// The largest directory whose entries are noted as the project's.
const TREE_BYTES_MAX: u64 = 64 << 20;

impl App {
    /// Which of these objects somebody of the project must upload. What another project uploaded
    /// is missing too, so that nobody learns what others have.
    pub async fn missing_objects(
        &self,
        project: &ProjectName,
        digests: Vec<Digest>,
    ) -> Result<Vec<Digest>, Error> {
        if digests.len() > ASKED_MAX {
            let message =
                format!("found {}, at most {ASKED_MAX} are asked about at once", digests.len());
            return Err(Error::invalid("digests", message));
        }
        project_object::renew(&self.pool, project, &digests, KEPT / 2).await?;
        let held = project_object::held(&self.pool, project, &digests).await?;
        let lost: BTreeSet<Digest> = self.objects.missing(&held).await?.into_iter().collect();
        let there: BTreeSet<Digest> =
            held.into_iter().filter(|digest| !lost.contains(digest)).collect();
        Ok(digests.into_iter().filter(|digest| !there.contains(digest)).collect())
    }

    /// Takes an object's bytes, which must have the digest that was named.
    pub async fn put_object(
        &self,
        asker: &Asker,
        named: Digest,
        bytes: impl Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    ) -> Result<(), Error> {
        let stored = self.objects.put_stream(bytes).await?;
        if stored.digest != named {
            return Err(Error::Mismatch { found: stored.digest, named });
        }
        let mut transaction = self.begin().await?;
        project_object::hold(&mut *transaction, &asker.project, &[(named, stored.size)]).await?;
        let done = Done::to("object.put", format!("{} bytes", stored.size));
        let done = Done { request: Some(named), ..done };
        act::keep(&mut transaction, asker, done).await?;
        act::end(transaction).await?;
        match self.objects.exists(named).await? {
            true => Ok(()),
            // It was there, too old to be kept, and was deleted while nobody held it.
            false => {
                Err(Error::Unavailable("the object was collected while it came; send it again"))
            }
        }
    }

    /// Opens an object that the project has a claim on. Who reads a directory that a step of its
    /// made may read what is in it from then on.
    pub async fn read_object(
        &self,
        project: &ProjectName,
        digest: Digest,
    ) -> Result<Reader, Error> {
        let claim = project_object::claim(&self.pool, project, digest).await?;
        let claim = claim.ok_or_else(|| Error::not_found("object", digest))?;
        if claim.is_made_tree {
            self.hold_entries(project, digest).await?;
        }
        match self.objects.reader(digest).await {
            Err(error) if error.lost().is_some() => Err(Error::not_found("object", digest)),
            opened => Ok(opened?),
        }
    }

    async fn hold_entries(&self, project: &ProjectName, digest: Digest) -> Result<(), Error> {
        let Ok(bytes) = self.objects.get(digest, TREE_BYTES_MAX).await else { return Ok(()) };
        let Ok(tree) = serde_json::from_slice::<Tree>(&bytes) else { return Ok(()) };
        let files = tree.entries.into_iter().filter_map(|entry| match entry.kind {
            TreeEntryKind::File { digest, size, .. } => Some((digest, size)),
            TreeEntryKind::Link { .. } => None,
        });
        let files: Vec<(Digest, u64)> = files.collect();
        for part in files.chunks(ASKED_MAX) {
            project_object::hold(&self.pool, project, part).await?;
        }
        Ok(())
    }
}
