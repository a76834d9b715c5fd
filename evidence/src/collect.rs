//! Collection: objects that nothing kept names, and that are older than any attempt may take, are
//! deleted.
//!
//! The coordinator calls it, with what its committed rows name. Never deleted are an object that is
//! named, one below a named tree, and one younger than the given age: between the storing of an
//! object and the commit that names it lies less than that, and whoever finds it there already
//! makes it young again (see [`crate::store::KEPT`]).

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use maestro_schemas::artifact::TreeEntryKind;
use maestro_schemas::digest::Digest;

use crate::store::{self, ArtifactStore};
use crate::tree::{self, Limits};

/// The most objects that one collection deletes; the next goes on.
pub const DELETED_MAX: usize = 100_000;

/// What is named: the objects that a collection leaves alone.
#[derive(Debug, Clone, Default)]
pub struct Reachable {
    objects: HashSet<Digest>,
    unreadable: Vec<Digest>,
}

impl Reachable {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names an object.
    pub fn add(&mut self, digest: Digest) {
        self.objects.insert(digest);
    }

    /// Names a tree and every file in it.
    ///
    /// Where the tree is missing or not readable as one, its files cannot be used by anybody, and
    /// only the tree itself is named. Where storage fails, so does this, and nothing may be
    /// collected by what was gathered so far.
    pub async fn add_tree(
        &mut self,
        store: &ArtifactStore,
        digest: Digest,
    ) -> Result<(), store::Error> {
        if !self.objects.insert(digest) {
            return Ok(());
        }
        match tree::get(store, digest, Limits::default()).await {
            Ok(tree) => {
                self.objects.extend(tree.entries.iter().filter_map(|entry| match entry.kind {
                    TreeEntryKind::File { digest, .. } => Some(digest),
                    TreeEntryKind::Link { .. } => None,
                }))
            }
            Err(tree::Error::Store(error)) if error.lost().is_none() => return Err(error),
            Err(_) => self.unreadable.push(digest),
        }
        Ok(())
    }

    /// How many objects are named.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was deleted.
    pub deleted: Vec<Digest>,
    /// How many bytes that made free.
    pub freed_bytes: u64,
    /// How many objects were left alone.
    pub kept: u64,
    /// How many leftovers of interrupted writes were removed.
    pub unfinished: u64,
    /// Named trees that are missing or are no trees.
    pub unreadable: Vec<Digest>,
    /// Whether it stopped at [`DELETED_MAX`] with more to do.
    pub more: bool,
}

/// Deletes what is not `reachable` and older than `age`, usually [`store::KEPT`].
pub async fn collect(
    store: &ArtifactStore,
    reachable: &Reachable,
    age: Duration,
) -> Result<Report, store::Error> {
    let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut report = Report {
        unreadable: reachable.unreadable.clone(),
        unfinished: store.remove_unfinished(before).await?,
        ..Report::default()
    };
    let mut objects = std::pin::pin!(store.list());
    while let Some(object) = objects.try_next().await? {
        let dead = object.written_at < before && !reachable.objects.contains(&object.digest);
        if !dead || !delete_if_old(store, object.digest, before).await? {
            report.kept += 1;
            continue;
        }
        report.deleted.push(object.digest);
        report.freed_bytes += object.size;
        if report.deleted.len() >= DELETED_MAX {
            report.more = true;
            break;
        }
    }
    Ok(report)
}

/// Looks again just before: the listing may be old, and somebody may have put it anew since.
async fn delete_if_old(
    store: &ArtifactStore,
    digest: Digest,
    before: SystemTime,
) -> Result<bool, store::Error> {
    match store.object(digest).await? {
        Some(object) if object.written_at < before => {
            store.delete(digest).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests;
