//! What interrupted writes leave behind: unfinished large objects, and, in a directory, the files
//! that `object_store` writes beside their place before it renames them (their names hold a `#`).

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path as Location;
use uuid::Uuid;

use super::{ArtifactStore, Error};

const STAGING: &str = "staging";

/// A new place for a large object whose digest is not known yet.
pub(super) fn staged_location() -> Location {
    Location::from_iter([STAGING, &Uuid::now_v7().simple().to_string()])
}

impl ArtifactStore {
    /// Removes what interrupted writes left before `before`; returns how many.
    pub async fn remove_unfinished(&self, before: SystemTime) -> Result<u64, Error> {
        let mut removed = 0;
        let mut staged = self.objects.list(Some(&Location::from(STAGING)));
        let failed = |source| Error::storage("removing unfinished objects", source);
        while let Some(meta) = staged.try_next().await.map_err(failed)? {
            if SystemTime::from(meta.last_modified) < before {
                self.objects.delete(&meta.location).await.map_err(failed)?;
                removed += 1;
            }
        }
        let Some(root) = self.root.clone() else {
            return Ok(removed);
        };
        let partial = tokio::task::spawn_blocking(move || remove_partial(&root, before))
            .await
            .map_err(|_| Error::ShuttingDown)??;
        Ok(removed + partial)
    }
}

fn remove_partial(root: &Path, before: SystemTime) -> Result<u64, Error> {
    let mut removed = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in children(&folder)? {
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            let partial = path.file_name().is_some_and(|name| name.to_string_lossy().contains('#'));
            if meta.is_dir() {
                folders.push(path);
            } else if partial && meta.modified().is_ok_and(|at| at < before) {
                std::fs::remove_file(&path)
                    .map_err(|source| Error::file("cannot remove", &path, source))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|source| Error::file("cannot list the directory", folder, source))
}
