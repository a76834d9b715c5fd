//! Collection: objects that nothing kept names, and that are older than any attempt may take, are
//! deleted.
//!
//! The coordinator's collector calls it: it fills a [`Reachable`] with what committed rows name,
//! goes through what is [`unnamed`], and has it [deleted](delete_old) page by page. Never deleted
//! are an object that is named, one below a named tree, and one written since the given time:
//! between the storing of an object and the commit that names it lies less than [`KEPT`] / 2, and
//! whoever finds it there already makes it young again.
//!
//! More may be named than memory should hold. So a collection looks at a [`Share`] of all digests
//! at a time, and what is named beyond a limit is an error: there must be more shares.
//!
//! [`KEPT`]: crate::store::KEPT

use std::collections::HashSet;
use std::time::SystemTime;

use futures::{Stream, StreamExt, TryStreamExt};
use maestro_schemas::artifact::TreeEntryKind;
use maestro_schemas::digest::Digest;

use crate::store::{self, ArtifactStore, Object};
use crate::tree::{self, Limits};

/// How many objects are deleted at once.
const DELETED_AT_ONCE: usize = 16;

/// A part of all digests, so chosen that shares are about equally large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    index: u32,
    of: u32,
}

impl Share {
    /// All digests as this many shares; at least one.
    pub fn split(of: u32) -> impl Iterator<Item = Self> {
        let of = of.max(1);
        (0..of).map(move |index| Self { index, of })
    }

    /// Whether a digest belongs to it.
    pub fn holds(self, digest: Digest) -> bool {
        let [first, second, third, fourth, ..] = *digest.as_bytes();
        u32::from_be_bytes([first, second, third, fourth]) % self.of == self.index
    }
}

/// Why it is not known what is named.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// More is named than may be held in memory.
    #[error("more than {limit} objects are named")]
    TooMany {
        /// The most that may be held.
        limit: usize,
    },
}

/// What is named: the objects of a share that a collection leaves alone.
#[derive(Debug, Clone)]
pub struct Reachable {
    share: Share,
    limit: usize,
    objects: HashSet<Digest>,
    /// Trees that have been read, of any share: many rows name the same.
    trees: HashSet<Digest>,
    unreadable: u64,
}

impl Reachable {
    /// Nothing yet. Holds at most `limit` objects, and as many trees.
    pub fn of(share: Share, limit: usize) -> Self {
        Self { share, limit, objects: HashSet::new(), trees: HashSet::new(), unreadable: 0 }
    }

    /// Names an object.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn add(&mut self, digest: Digest) -> Result<(), Error> {
        if !self.share.holds(digest) || self.objects.contains(&digest) {
            return Ok(());
        }
        if self.objects.len() >= self.limit {
            return Err(Error::TooMany { limit: self.limit });
        }
        self.objects.insert(digest);
        Ok(())
    }

    /// Names a tree and every file in it.
    ///
    /// Where the tree is missing or not readable as one, its files cannot be used by anybody, and
    /// only the tree itself is named.
    ///
    /// # Errors
    /// Where storage fails: then nothing may be collected by what was gathered so far.
    pub async fn add_tree(&mut self, store: &ArtifactStore, digest: Digest) -> Result<(), Error> {
        self.add(digest)?;
        if self.trees.len() >= self.limit {
            // Some are read twice; nothing else depends on it.
            self.trees.clear();
        }
        if !self.trees.insert(digest) {
            return Ok(());
        }
        let tree = match tree::get(store, digest, Limits::default()).await {
            Ok(tree) => tree,
            Err(tree::Error::Store(error)) if !is_no_tree(&error) => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%digest, %error, "what is named as a directory is none");
                self.unreadable += 1;
                return Ok(());
            }
        };
        tree.entries.iter().try_for_each(|entry| match entry.kind {
            TreeEntryKind::File { digest, .. } => self.add(digest),
            TreeEntryKind::Link { .. } => Ok(()),
        })
    }

    /// Whether an object is named, or is of another share.
    pub fn spares(&self, digest: Digest) -> bool {
        !self.share.holds(digest) || self.objects.contains(&digest)
    }

    /// How many objects are named.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// How many named trees are missing or are no trees.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

/// What is lost, spoiled or larger than any tree is none, whatever is tried again.
fn is_no_tree(error: &store::Error) -> bool {
    error.lost().is_some() || matches!(error, store::Error::TooLarge { .. })
}

/// The objects that nothing names and that were last written before `before`, in no order.
pub fn unnamed(
    store: &ArtifactStore,
    reachable: &Reachable,
    before: SystemTime,
) -> impl Stream<Item = Result<Object, store::Error>> {
    store.list().try_filter(move |object| {
        let dead = object.written_at < before && !reachable.spares(object.digest);
        std::future::ready(dead)
    })
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many objects.
    pub objects: u64,
    /// How many bytes that made free.
    pub bytes: u64,
}

/// Deletes those of `digests` that are there and were last written before `before`.
///
/// Each is looked at again just before: somebody may have put it anew since it was listed. Every
/// deletion has ended when this returns, also where one failed.
///
/// # Errors
/// The first failure; what else could be deleted is.
pub async fn delete_old(
    store: &ArtifactStore,
    digests: &[Digest],
    before: SystemTime,
) -> Result<Deleted, store::Error> {
    let deleting = digests.iter().map(|digest| delete_if_old(store, *digest, before));
    let ends: Vec<Result<Option<u64>, store::Error>> =
        futures::stream::iter(deleting).buffer_unordered(DELETED_AT_ONCE).collect().await;
    ends.into_iter().try_fold(Deleted::default(), |sum, end| {
        let freed = end?;
        let objects = sum.objects + u64::from(freed.is_some());
        Ok(Deleted { objects, bytes: sum.bytes + freed.unwrap_or(0) })
    })
}

/// Answers how many bytes were made free, where the object was old.
async fn delete_if_old(
    store: &ArtifactStore,
    digest: Digest,
    before: SystemTime,
) -> Result<Option<u64>, store::Error> {
    match store.object(digest).await? {
        Some(object) if object.written_at < before => {
            store.delete(digest).await?;
            Ok(Some(object.size))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
