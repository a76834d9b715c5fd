//! From a directory to a tree, with its files stored.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};

use super::{Error, Limits, check, put};
use crate::store::{self, ArtifactStore, Stored};

/// How many files are hashed and stored at once.
const FILES_AT_ONCE: usize = 4;

/// A directory as it was stored.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The tree.
    pub tree: Tree,
    /// The tree's own object.
    pub stored: Stored,
}

impl Snapshot {
    /// The bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        let sizes = self.tree.entries.iter().map(|entry| match entry.kind {
            TreeEntryKind::File { size, .. } => size,
            TreeEntryKind::Link { .. } => 0,
        });
        sizes.sum()
    }
}

enum Found {
    File { path: PathBuf, executable: bool },
    Link { target: String },
}

/// Stores the files below `directory` and the tree that names them.
///
/// `keep` is asked for each path below the directory, with whether it is a directory itself; what
/// it refuses is left out, a directory with all below it. Sockets, pipes, devices and empty
/// directories are left out; links are kept as links and never followed, and one that leads out is
/// refused. Files that change meanwhile are taken as they are read.
pub async fn snapshot<K>(
    store: &ArtifactStore,
    directory: &Path,
    keep: K,
    limits: Limits,
) -> Result<Snapshot, Error>
where
    K: Fn(&str, bool) -> bool + Send + 'static,
{
    let root = directory.to_owned();
    let found = tokio::task::spawn_blocking(move || walk(&root, &keep, limits))
        .await
        .map_err(|_| store::Error::ShuttingDown)??;
    let mut entries: Vec<TreeEntry> = futures::stream::iter(found)
        .map(|(path, found)| entry(store, path, found))
        .buffer_unordered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let tree = Tree { entries };
    check(&tree, limits)?;
    let stored = put(store, &tree).await?;
    Ok(Snapshot { tree, stored })
}

async fn entry(store: &ArtifactStore, path: String, found: Found) -> Result<TreeEntry, Error> {
    let kind = match found {
        Found::Link { target } => TreeEntryKind::Link { target },
        Found::File { path: file, executable } => {
            let stored = store.put_file(&file).await?;
            TreeEntryKind::File { digest: stored.digest, size: stored.size, executable }
        }
    };
    Ok(TreeEntry { path, kind })
}

fn walk(
    root: &Path,
    keep: &dyn Fn(&str, bool) -> bool,
    limits: Limits,
) -> Result<Vec<(String, Found)>, Error> {
    let mut found = Vec::new();
    let mut total = 0u64;
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for (name, path, meta) in children(&folder)? {
            let below = format!("{prefix}{name}");
            if !keep(&below, meta.is_dir()) {
                continue;
            }
            if meta.is_dir() {
                folders.push((path, format!("{below}/")));
                continue;
            }
            total = total.saturating_add(if meta.is_file() { meta.len() } else { 0 });
            found.extend(look(path, &meta)?.map(|entry| (below, entry)));
            if found.len() > limits.entries_max {
                return Err(Error::TooMany { limit: limits.entries_max });
            }
            if total > limits.total_bytes_max {
                return Err(Error::TooLarge { limit: limits.total_bytes_max });
            }
        }
    }
    Ok(found)
}

fn look(path: PathBuf, meta: &Metadata) -> Result<Option<Found>, Error> {
    if meta.is_file() {
        let executable = meta.mode() & 0o100 != 0;
        return Ok(Some(Found::File { path, executable }));
    }
    if !meta.is_symlink() {
        return Ok(None);
    }
    let target = std::fs::read_link(&path)
        .map_err(|source| store::Error::file("cannot read the link", &path, source))?;
    match target.into_os_string().into_string() {
        Ok(target) => Ok(Some(Found::Link { target })),
        Err(target) => Err(Error::path(&target.to_string_lossy(), "a link's target is not UTF-8")),
    }
}

fn children(folder: &Path) -> Result<Vec<(String, PathBuf, Metadata)>, Error> {
    let failed = |source| store::Error::file("cannot list the directory", folder, source);
    let mut children = Vec::new();
    for child in std::fs::read_dir(folder).map_err(failed)? {
        let child = child.map_err(failed)?;
        let path = child.path();
        let name = child
            .file_name()
            .into_string()
            .map_err(|name| Error::path(&name.to_string_lossy(), "its name is not UTF-8"))?;
        match std::fs::symlink_metadata(&path) {
            Ok(meta) => children.push((name, path, meta)),
            // Removed since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(store::Error::file("cannot look at", &path, source).into());
            }
        }
    }
    Ok(children)
}
