//! The key that signs now. A rotation is seen without a restart.

use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::key::home::Home;
use maestro_evidence::key::next::Next;
use maestro_evidence::key::ring::Trust;
use maestro_evidence::key::{Error, Signer};
use maestro_evidence::moment::Moment;
use maestro_schemas::digest::Digest;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::store::key_ring::List;

/// How long the key of a local stack is valid.
const LOCAL_VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// A directory of keys and the passphrase of those that sign. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    home: Home,
    passphrase: Arc<Zeroizing<String>>,
    /// Whether keys are made where there are none.
    makes: bool,
    /// The key that is open, and the list that named it.
    open: Arc<Mutex<Option<Open>>>,
}

/// A key that signs, and a time at which it is good by the list of keys.
pub(crate) struct Pen {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) trust: Trust,
    pub(crate) at: Moment,
}

/// The list's digest, and the key.
type Open = (Digest, Arc<dyn Signer>);

impl Keys {
    /// Keys of a directory. The passphrase may be empty where a key service keeps them.
    pub fn of(home: Home, passphrase: Zeroizing<String>) -> Self {
        Self { home, passphrase: Arc::new(passphrase), makes: false, open: Arc::default() }
    }

    /// The same, made when the first signature is wanted and there are none: for a local stack, whose
    /// root nobody else knows.
    pub fn made_when_missing(mut self) -> Self {
        self.makes = true;
        self
    }

    /// The newest key that is valid now. Opening one takes a moment on purpose, so it stays open until
    /// the list changes.
    pub(crate) async fn signer(&self) -> Result<Arc<dyn Signer>, Error> {
        let mut open = self.open.lock().await;
        if self.makes && !self.home.is_made() {
            let first = Next::made(&self.passphrase)?;
            self.home.init(&self.passphrase, &first, LOCAL_VALIDITY).await?;
        }
        let list = Digest::of(&self.home.ring_bytes()?);
        if let Some((of, signer)) = &*open
            && *of == list
            && self.is_valid(signer.as_ref())
        {
            return Ok(signer.clone());
        }
        let (home, passphrase) = (self.home.clone(), self.passphrase.clone());
        let opened = tokio::task::spawn_blocking(move || home.signer(&passphrase)).await;
        let signer = opened.map_err(|error| Error::Holder(error.to_string()))??;
        *open = Some((list, signer.clone()));
        Ok(signer)
    }

    /// The digest of the list's file, by which a change is seen; absent where there are no keys yet.
    pub(super) fn file(&self) -> Result<Option<Digest>, Error> {
        match self.home.is_made() {
            true => Ok(Some(Digest::of(&self.home.ring_bytes()?))),
            false => Ok(None),
        }
    }

    /// The list of keys as it is now; absent where none were made yet.
    ///
    /// # Errors
    /// Where the file cannot be read, or is not what its root signed.
    pub fn list(&self) -> Result<Option<List>, Error> {
        if !self.home.is_made() {
            return Ok(None);
        }
        let bytes = self.home.ring_bytes()?;
        Ok(Some(List { trust: Trust::open(&bytes, None)?, bytes }))
    }

    /// The key that signs now. The time is taken last, so that no key signs for a time before its own,
    /// whenever it was made.
    pub(crate) async fn pen(&self) -> Result<Pen, Error> {
        let signer = self.signer().await?;
        let (trust, at) = (self.home.trust()?, Moment::now());
        trust.key_at(&signer.public().id(), at).map_err(Error::Ring)?;
        Ok(Pen { signer, trust, at })
    }

    /// Whether they are a local stack's own, which whoever runs it can read.
    pub(crate) const fn are_local(&self) -> bool {
        self.makes
    }

    fn is_valid(&self, signer: &dyn Signer) -> bool {
        let now = Moment::now();
        let trust = self.home.trust();
        trust.is_ok_and(|trust| trust.key_at(&signer.public().id(), now).is_ok())
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("home", &self.home).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "correct horse";

    #[tokio::test]
    async fn a_key_is_good_at_the_time_that_comes_with_it_however_lately_it_was_made() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("keys"));
        let keys = Keys::of(home.clone(), Zeroizing::new(PASSPHRASE.to_owned()));
        let keys = keys.made_when_missing();
        let first = keys.pen().await.unwrap();
        let next = Next::made(PASSPHRASE).unwrap();
        home.rotate(PASSPHRASE, &next, LOCAL_VALIDITY, Duration::from_secs(60)).await.unwrap();
        let second = keys.pen().await.unwrap();
        assert_ne!(second.signer.public(), first.signer.public());
        for pen in [&first, &second] {
            let id = pen.signer.public().id();
            assert!(second.trust.key_at(&id, pen.at).is_ok(), "{id} at {}", pen.at);
        }
        let lost = second.signer.public().fingerprint().to_hex();
        home.revoke(PASSPHRASE, &lost, "lost").await.unwrap();
        assert_eq!(keys.pen().await.unwrap().signer.public(), first.signer.public());
    }
}
