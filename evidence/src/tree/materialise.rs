//! From a tree to a directory.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;

use super::place::Placer;
use super::{Error, Limits, check};
use crate::store::{self, ArtifactStore};

/// How many files are written at once.
const FILES_AT_ONCE: usize = 8;

struct File {
    place: PathBuf,
    digest: Digest,
    executable: bool,
}

/// Writes a tree's files below `directory`, which must exist; every file is verified.
///
/// What else stands there stays; a file at an entry's path is replaced, and no link is followed.
/// Files are copies: whoever works there may change them. Nothing else may change the directory
/// meanwhile.
pub async fn materialise(
    store: &ArtifactStore,
    tree: Tree,
    directory: &Path,
    limits: Limits,
) -> Result<(), Error> {
    let mut placer = Placer::new(directory);
    let prepare = move || {
        check(&tree, limits)?;
        places(tree.entries, &mut placer)
    };
    let (files, links) =
        tokio::task::spawn_blocking(prepare).await.map_err(|_| store::Error::ShuttingDown)??;
    futures::stream::iter(files)
        .map(|file| write(store, file))
        .buffer_unordered(FILES_AT_ONCE)
        .try_collect::<()>()
        .await?;
    // Last, so that nothing was written through one.
    tokio::task::spawn_blocking(move || links.into_iter().try_for_each(make_link))
        .await
        .map_err(|_| store::Error::ShuttingDown)?
}

/// A link's place and what it says.
type Link = (PathBuf, String);

fn places(entries: Vec<TreeEntry>, placer: &mut Placer) -> Result<(Vec<File>, Vec<Link>), Error> {
    let mut files = Vec::with_capacity(entries.len());
    let mut links = Vec::new();
    for entry in entries {
        let place = placer.file(&entry.path)?;
        match entry.kind {
            TreeEntryKind::File { digest, executable, .. } => {
                files.push(File { place, digest, executable })
            }
            TreeEntryKind::Link { target } => links.push((place, target)),
        }
    }
    Ok((files, links))
}

async fn write(store: &ArtifactStore, file: File) -> Result<(), Error> {
    store.get_to_file(file.digest, &file.place).await?;
    if file.executable {
        tokio::fs::set_permissions(&file.place, Permissions::from_mode(0o755))
            .await
            .map_err(|source| store::Error::file("cannot make executable", &file.place, source))?;
    }
    Ok(())
}

fn make_link((place, target): Link) -> Result<(), Error> {
    std::os::unix::fs::symlink(target, &place)
        .map_err(|source| store::Error::file("cannot make the link", &place, source).into())
}
