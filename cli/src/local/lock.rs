//! One stack per directory: a file lock that the kernel drops with its owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Error;
use super::paths::Paths;

const PERIOD: Duration = Duration::from_millis(10);

/// The right to run the stack of a directory. Whoever holds it is the only one; it ends with
/// the value or with the process, however that ends, so it can never be stale.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, trying for `patience` while another process (one that is just ending, say) has it.
    ///
    /// # Errors
    /// [`Error::Held`] when it is still another's then.
    pub async fn take(paths: &Paths, patience: Duration) -> Result<Self, Error> {
        let until = Instant::now() + patience;
        loop {
            match Self::attempt(paths)? {
                Some(lock) => return Ok(lock),
                None if Instant::now() < until => sleep(PERIOD).await,
                None => return Err(Error::Held { dir: paths.root().to_owned() }),
            }
        }
    }

    fn attempt(paths: &Paths) -> Result<Option<Self>, Error> {
        let path = paths.lock();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::file("lock", &path)(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_owner_is_refused_until_the_first_ends() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::of_project(dir.path()).unwrap();
        let first = Lock::take(&paths, Duration::ZERO).await.unwrap();
        let refused = Lock::take(&paths, Duration::from_millis(30)).await.unwrap_err();
        assert!(matches!(refused, Error::Held { .. }));
        drop(first);
        Lock::take(&paths, Duration::ZERO).await.unwrap();
    }
}
