//! A directory as an object: a [`Tree`] names the files below it by path and digest.
//!
//! Its bytes are JSON with sorted keys, sorted by path, so that equal directories are one object.
//! A tree that comes from storage or the network is hostile until [`check`] has passed it: no path
//! and no link of a checked tree leads out of the directory that it is put into.

mod check;
mod materialise;
mod place;
mod snapshot;

use std::path::PathBuf;

use bytes::Bytes;
use maestro_schemas::artifact::Tree;
use maestro_schemas::digest::Digest;

use crate::store::{self, ArtifactStore, Stored};

pub use check::check;
pub use materialise::materialise;
pub use place::Placer;
pub use snapshot::{Snapshot, snapshot};

/// The longest path of an entry and the longest target of a link, in bytes.
pub const PATH_BYTES_MAX: usize = 1024;

/// The deepest that an entry may lie: the most names in its path.
pub const DEPTH_MAX: usize = 64;

/// The most bytes of a tree's own JSON.
pub const TREE_BYTES_MAX: u64 = 64 << 20;

/// How large a directory may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most files and links.
    pub entries_max: usize,
    /// The most bytes of all files together.
    pub total_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries_max: 200_000, total_bytes_max: 64 << 30 }
    }
}

/// Why a directory and a tree could not be turned into each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes could not be stored or read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The object is not a tree.
    #[error("object {digest} is no tree")]
    NoTree {
        /// The object.
        digest: Digest,
        /// What is wrong with its JSON.
        source: serde_json::Error,
    },
    /// The tree has no form as JSON.
    #[error("the tree cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
    /// A path that is absolute, leads upwards, is too long or holds what no path may hold.
    #[error("path {path:?} is refused: {problem}")]
    Path {
        /// The path, cut to 120 characters.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A symbolic link that would lead out of the directory.
    #[error("link {path:?} leads out of its directory, to {target:?}")]
    Escape {
        /// The link.
        path: String,
        /// What it says, cut to 120 characters.
        target: String,
    },
    /// More entries than allowed.
    #[error("more than {limit} files")]
    TooMany {
        /// The most allowed.
        limit: usize,
    },
    /// More bytes than allowed.
    #[error("the files are larger than {limit} bytes together")]
    TooLarge {
        /// The most allowed.
        limit: u64,
    },
    /// Something that is no directory stands where one is needed, or the reverse.
    #[error("{problem}: {}", path.display())]
    Blocked {
        /// What is in the way.
        problem: &'static str,
        /// Where.
        path: PathBuf,
    },
}

impl Error {
    pub(crate) fn path(path: &str, problem: &'static str) -> Self {
        Self::Path { path: path.chars().take(120).collect(), problem }
    }

    /// The object that whoever made it has to make again, where that is what this says.
    pub fn lost(&self) -> Option<Digest> {
        match self {
            Self::Store(error) => error.lost(),
            // What says to be a tree and is none was never a directory's snapshot.
            _ => None,
        }
    }

    /// Whether the same call may succeed later, with nothing else done.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// The tree's bytes: JSON with sorted keys and no spaces.
pub fn encode(tree: &Tree) -> Result<Bytes, serde_json::Error> {
    Ok(serde_json::to_value(tree)?.to_string().into())
}

/// Stores a tree; its files are expected to be stored already.
pub async fn put(store: &ArtifactStore, tree: &Tree) -> Result<Stored, Error> {
    let bytes = encode(tree).map_err(Error::Unwritable)?;
    Ok(store.put(bytes).await?)
}

/// Reads a tree and checks it.
pub async fn get(store: &ArtifactStore, digest: Digest, limits: Limits) -> Result<Tree, Error> {
    let bytes = store.get(digest, TREE_BYTES_MAX).await?;
    let tree: Tree =
        serde_json::from_slice(&bytes).map_err(|source| Error::NoTree { digest, source })?;
    check(&tree, limits)?;
    Ok(tree)
}

#[cfg(test)]
mod tests;
