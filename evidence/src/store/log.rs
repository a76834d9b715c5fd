//! Objects of a log, which are named by their place in it and not by their bytes.
//!
//! They lie at `log/<name of the log>/…`, where no collection looks. What is put survives a power cut.
//! Who reads one believes nothing of it before a checkpoint says so.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::{ArtifactStore, Error};

const FOLDER: &str = "log";

/// The most objects that are listed below one path.
pub const LISTED_MAX: usize = 200_000;

/// The objects of one log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogStore {
    objects: Arc<dyn ObjectStore>,
    place: Location,
}

impl ArtifactStore {
    /// The objects of the log `name`, which may have several parts with `/` between.
    pub fn log(&self, name: &str) -> LogStore {
        let parts = std::iter::once(FOLDER).chain(name.split('/'));
        LogStore { objects: self.durable.clone(), place: Location::from_iter(parts) }
    }
}

impl LogStore {
    fn at(&self, path: &str) -> Location {
        self.place.parts().chain(path.split('/').map(Into::into)).collect()
    }

    /// Puts an object in its place, and what was there goes.
    pub async fn put(&self, path: &str, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let put = self.objects.put(&self.at(path), PutPayload::from_bytes(bytes.into())).await;
        put.map(drop).map_err(|source| Error::storage(format!("storing {path} of a log"), source))
    }

    /// An object's bytes; refused where they are more than `limit`.
    pub async fn get(&self, path: &str, limit: u64) -> Result<Option<Bytes>, Error> {
        let failed = |source| Error::storage(format!("reading {path} of a log"), source);
        let found = match self.objects.get(&self.at(path)).await {
            Ok(found) if found.meta.size > limit => return Err(Error::TooLarge { limit }),
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        found.bytes().await.map(Some).map_err(failed)
    }

    /// The last parts of the paths below one, sorted; at most [`LISTED_MAX`].
    pub async fn list(&self, below: &str) -> Result<Vec<String>, Error> {
        let failed = |source| Error::storage(format!("listing {below} of a log"), source);
        let below = self.at(below);
        let mut listed = self.objects.list(Some(&below));
        let mut names = Vec::new();
        while let Some(meta) = listed.try_next().await.map_err(failed)? {
            names.extend(meta.location.filename().map(str::to_owned));
            if names.len() > LISTED_MAX {
                return Err(Error::TooLarge { limit: LISTED_MAX as u64 });
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Removes all objects below a path; answers how many.
    pub async fn clear(&self, below: &str) -> Result<u64, Error> {
        let mut removed = 0;
        for name in self.list(below).await? {
            match self.objects.delete(&self.at(&format!("{below}/{name}"))).await {
                Ok(()) => removed += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => {
                    return Err(Error::storage(format!("removing {below} of a log"), source));
                }
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_log_puts_is_replaced_listed_and_cleared_and_no_other_logs() {
        let directory = tempfile::tempdir().unwrap();
        let store = ArtifactStore::local(directory.path()).unwrap();
        let (one, other) = (store.log("audit/one"), store.log("audit/other"));
        one.put("tile/0/000.p/1", "a").await.unwrap();
        one.put("tile/0/000.p/2", "ab").await.unwrap();
        one.put("checkpoint", "first").await.unwrap();
        one.put("checkpoint", "second").await.unwrap();
        other.put("tile/0/000.p/1", "x").await.unwrap();
        assert_eq!(one.get("checkpoint", 10).await.unwrap().as_deref(), Some(&b"second"[..]));
        assert!(matches!(one.get("checkpoint", 5).await, Err(Error::TooLarge { limit: 5 })));
        assert_eq!(one.get("tile/0/000", 10).await.unwrap(), None);
        assert_eq!(one.list("tile/0/000.p").await.unwrap(), ["1", "2"]);
        assert_eq!(one.clear("tile/0/000.p").await.unwrap(), 2);
        assert_eq!(one.clear("tile/0/000.p").await.unwrap(), 0);
        assert_eq!(other.list("tile/0/000.p").await.unwrap(), ["1"]);
        assert_eq!(store.list().try_collect::<Vec<_>>().await.unwrap(), []);
    }
}
