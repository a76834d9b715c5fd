//! An execution's own directory: made when it is first asked for, removed when it is over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maestro_schemas::id::ExecutionId;
use tokio::sync::OnceCell;

use crate::directory::Directory;

/// A directory of one execution's own. Clones share it.
#[derive(Debug, Clone)]
pub struct Scratch {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    made: OnceCell<()>,
}

impl Scratch {
    /// Below `root`, once somebody asks for it.
    pub fn below(root: &Path, execution: ExecutionId) -> Self {
        Self {
            place: Arc::new(Place {
                path: root.join(execution.to_string()),
                made: OnceCell::new(),
            }),
        }
    }

    /// The directory; empty when it is asked for the first time.
    pub async fn path(&self) -> io::Result<PathBuf> {
        let path = self.place.path.clone();
        self.place
            .made
            .get_or_try_init(|| async { tokio::fs::create_dir_all(&path).await })
            .await?;
        Ok(path)
    }

    /// Removes it with all that is in it; what cannot be removed is told and left.
    pub(crate) async fn remove(&self) {
        if !self.place.made.initialized() {
            return;
        }
        let path = self.place.path.clone();
        let removed = tokio::task::spawn_blocking(move || remove_all(&path)).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::warn!(path = %self.place.path.display(), "a scratch directory is left behind");
        }
    }
}

/// Some tools make their caches read-only, so a refused removal is tried again after unlocking.
fn remove_all(path: &Path) -> io::Result<()> {
    match (std::fs::remove_dir_all(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name))
            if error.kind() == io::ErrorKind::PermissionDenied =>
        {
            Directory::open(parent)?.remove(name)
        }
        (removed, ..) => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_made_when_asked_for_and_removed_with_read_only_parts() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = std::env::temp_dir().join(ExecutionId::generate().to_string());
        let scratch = Scratch::below(&root, ExecutionId::generate());
        assert!(!root.exists());
        let path = scratch.path().await.unwrap();
        let locked = path.join("cache");
        std::fs::create_dir(&locked).unwrap();
        std::fs::write(locked.join("file"), "x").unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
        scratch.remove().await;
        assert!(!path.exists());
        std::fs::remove_dir(&root).unwrap();
    }
}
