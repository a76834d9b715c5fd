//! A directory of keys: `root.key` and one file for each signing key, all encrypted, and `keys.json`,
//! the list that the root signed. Of a key that a key service keeps, the file holds the name.
//!
//! The command line makes and changes it; the coordinator reads it before it signs, so that a
//! rotation needs no restart. Whoever only signs needs neither `root.key` nor its passphrase.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::local::LocalKey;
use super::next::{self, Next};
use super::ring::{Entry, KEYS_MAX, REASON_CHARS_MAX, Revocation, Ring, Trust};
use super::{Error, KeyId, PublicKey, Signer, service};
use crate::moment::Moment;

/// The name of the signed list.
pub const RING_FILE: &str = "keys.json";

/// The name of the root's own file.
pub const ROOT_FILE: &str = "root.key";

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The directory.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// A directory of keys, which need not be there yet.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Whether keys were made in it.
    pub fn is_made(&self) -> bool {
        self.0.join(RING_FILE).is_file()
    }

    /// Makes a root, which `passphrase` opens, and takes in a first signing key, which is valid for
    /// `validity`.
    ///
    /// # Errors
    /// [`Error::Home`] where there are keys already, or the passphrase is too short.
    pub async fn init(
        &self,
        passphrase: &str,
        first: &Next,
        validity: Duration,
    ) -> Result<Trust, Error> {
        if self.is_made() || self.0.join(ROOT_FILE).exists() {
            let place = self.0.display();
            return Err(Error::Home(format!("{place} holds keys already; rotate them instead")));
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|source| file("cannot make", &self.0, source))?;
        let root = LocalKey::generate()?;
        let text = root.to_pem(passphrase)?;
        self.write(ROOT_FILE, text.as_bytes())?;
        self.write(&first.file(), first.text.as_bytes())?;
        let now = Moment::now();
        let keys = vec![entry(&first.public, now, validity)];
        self.seal(&Ring { made_at: now, root: root.public().pem(), keys }, &root).await
    }

    /// Takes in a next signing key; those before it are valid for `grace` more, so that what is being
    /// signed now is still good. `passphrase` opens the root.
    ///
    /// # Errors
    /// [`Error::Home`] where the key is one of them already, [`Error::Passphrase`] where the passphrase
    /// is wrong; and where a file cannot be written.
    pub async fn rotate(
        &self,
        passphrase: &str,
        next: &Next,
        validity: Duration,
        grace: Duration,
    ) -> Result<Trust, Error> {
        let (root, trust) = (self.root(passphrase)?, self.trust()?);
        let now = Moment::now();
        let mut ring = trust.ring().clone();
        if ring.keys.len() >= KEYS_MAX {
            return Err(Error::Home(format!(
                "there are {KEYS_MAX} keys already, which is the most"
            )));
        }
        if ring.keys.iter().any(|former| former.public_key == next.public.pem()) {
            let key = next.public.fingerprint().short();
            return Err(Error::Home(format!("the key {key} is one of them already")));
        }
        for former in &mut ring.keys {
            former.valid_until = former.valid_until.min(now.plus(grace));
        }
        ring.keys.push(entry(&next.public, now, validity));
        ring.made_at = after(&ring, now);
        self.write(&next.file(), next.text.as_bytes())?;
        self.seal(&ring, &root).await
    }

    /// Says that a key must not be trusted any more. `which` is its id, or the beginning of its
    /// fingerprint; `passphrase` opens the root.
    ///
    /// # Errors
    /// [`Error::Home`] where no one key is meant, or the reason is too long.
    pub async fn revoke(
        &self,
        passphrase: &str,
        which: &str,
        reason: &str,
    ) -> Result<Trust, Error> {
        if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
            return Err(Error::Home(format!(
                "the reason must have 1 to {REASON_CHARS_MAX} characters"
            )));
        }
        let (root, trust) = (self.root(passphrase)?, self.trust()?);
        let place = one_of(&trust, which)?;
        let mut ring = trust.ring().clone();
        let now = Moment::now();
        if let Some(entry) = ring.keys.get_mut(place) {
            entry.revoked = Some(Revocation { at: now, reason: reason.to_owned() });
        }
        ring.made_at = after(&ring, now);
        self.seal(&ring, &root).await
    }

    /// The list, verified with the root that it names.
    ///
    /// # Errors
    /// Where the file cannot be read or is not what its root signed.
    pub fn trust(&self) -> Result<Trust, Error> {
        Trust::open(&self.ring_bytes()?, None)
    }

    /// The signed list as it stands in its file.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn ring_bytes(&self) -> Result<Vec<u8>, Error> {
        self.read(RING_FILE)
    }

    /// The newest key that is valid now and whose file is here; one that a key service keeps needs no
    /// passphrase.
    ///
    /// # Errors
    /// [`Error::Home`] where there is none; [`Error::Passphrase`] where the passphrase is wrong.
    pub fn signer(&self, passphrase: &str) -> Result<Arc<dyn Signer>, Error> {
        let (key, name) = self.newest()?;
        let text = zeroize::Zeroizing::new(self.read_text(&name)?);
        if name.ends_with(next::KMS) {
            return service::known(text.trim(), key);
        }
        Ok(Arc::new(LocalKey::from_pem(&text, passphrase, &name)?))
    }

    /// Whether the key that signs now is in a file, which only a passphrase opens.
    ///
    /// # Errors
    /// [`Error::Home`] where there is no key that is valid now.
    pub fn wants_passphrase(&self) -> Result<bool, Error> {
        Ok(!self.newest()?.1.ends_with(next::KMS))
    }

    fn newest(&self) -> Result<(PublicKey, String), Error> {
        let (trust, now) = (self.trust()?, Moment::now());
        for entry in trust.ring().keys.iter().rev() {
            let public = PublicKey::from_pem(&entry.public_key, RING_FILE)?;
            let names = [next::FILE, next::KMS].map(|ending| next::file_of(&public, ending));
            let name = names.into_iter().find(|name| self.0.join(name).is_file());
            if let Some(name) = name.filter(|_| trust.key_at(&public.id(), now).is_ok()) {
                return Ok((public, name));
            }
        }
        let place = self.0.display();
        Err(Error::Home(format!("{place} has no key that is valid now; run `maestro keys rotate`")))
    }

    fn root(&self, passphrase: &str) -> Result<LocalKey, Error> {
        let text = zeroize::Zeroizing::new(self.read_text(ROOT_FILE)?);
        LocalKey::from_pem(&text, passphrase, ROOT_FILE)
    }

    async fn seal(&self, ring: &Ring, root: &LocalKey) -> Result<Trust, Error> {
        let bytes = ring.signed(root).await?;
        let trust = Trust::open(&bytes, Some(root.public()))?;
        self.write(RING_FILE, &bytes)?;
        Ok(trust)
    }

    fn read_text(&self, name: &str) -> Result<String, Error> {
        String::from_utf8(self.read(name)?)
            .map_err(|_| Error::Form { what: name.into(), expected: "a text" })
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.0.join(name);
        let read = || {
            let size = std::fs::metadata(&path)?.len();
            match size <= FILE_BYTES_MAX {
                true => std::fs::read(&path),
                false => Err(io::Error::other(format!("{size} bytes, more than {FILE_BYTES_MAX}"))),
            }
        };
        read().map_err(|source| file("cannot read", &path, source))
    }

    /// The file appears whole or not at all.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (path, draft) = (self.0.join(name), self.0.join(format!(".{name}.draft")));
        let write = || {
            let mut options = std::fs::OpenOptions::new();
            let mut to =
                options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            to.write_all(bytes)?;
            to.sync_all()?;
            std::fs::rename(&draft, &path)
        };
        write().map_err(|source| file("cannot write", &path, source))
    }
}

fn one_of(trust: &Trust, which: &str) -> Result<usize, Error> {
    let means = |entry: &Entry| {
        PublicKey::from_pem(&entry.public_key, RING_FILE).is_ok_and(|key| {
            let fingerprint = key.fingerprint().to_hex();
            key.id() == KeyId(which.to_owned())
                || (which.len() >= 6
                    && fingerprint.starts_with(which.trim_start_matches("sha256:")))
        })
    };
    let keys = trust.ring().keys.iter().enumerate();
    let found: Vec<usize> = keys.filter(|(_, key)| means(key)).map(|(place, _)| place).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Error::Home(format!(
            "{which:?} is none of the keys; `maestro keys list` shows them"
        ))),
        _ => Err(Error::Home(format!("{which:?} begins several fingerprints; give more of it"))),
    }
}

fn entry(key: &PublicKey, from: Moment, validity: Duration) -> Entry {
    Entry {
        public_key: key.pem(),
        valid_from: from,
        valid_until: from.plus(validity),
        revoked: None,
    }
}

/// When the list that follows `former` is made: the newest counts, so it is later, also by a clock that was
/// set back.
fn after(former: &Ring, now: Moment) -> Moment {
    now.max(former.made_at.plus(Duration::from_millis(1)))
}

fn file(what: &str, path: &Path, source: io::Error) -> Error {
    Error::File { what: format!("{what} {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

    const ROOT: &str = "root passphrase";
    const SIGNING: &str = "signing passphrase";

    fn next() -> Next {
        Next::made(SIGNING).unwrap()
    }

    #[tokio::test]
    async fn keys_are_made_rotated_and_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("keys"));
        home.init(ROOT, &next(), YEAR).await.unwrap();
        let first = home.signer(SIGNING).unwrap().public().clone();
        assert!(matches!(home.init(ROOT, &next(), YEAR).await, Err(Error::Home(_))));
        assert!(matches!(home.signer("something else"), Err(Error::Passphrase { .. })));

        let (second, hour) = (next(), Duration::from_secs(3_600));
        home.rotate(ROOT, &second, YEAR, hour).await.unwrap();
        let twice = home.rotate(ROOT, &second, YEAR, hour).await;
        assert!(matches!(twice, Err(Error::Home(_))));
        let second = home.signer(SIGNING).unwrap().public().clone();
        assert_ne!(first, second);
        let trust = home.trust().unwrap();
        assert!(trust.key_at(&first.id(), Moment::now()).is_ok(), "a grace of an hour");
        let later = Moment::now().plus(Duration::from_secs(3_601));
        assert!(trust.key_at(&first.id(), later).is_err());

        let which = second.fingerprint().short();
        home.revoke(ROOT, &which, "a laptop was stolen").await.unwrap();
        let why = home.trust().unwrap().key_at(&second.id(), Moment::now()).unwrap_err();
        assert!(why.contains("stolen"), "{why}");
        assert_eq!(home.signer(SIGNING).unwrap().public(), &first);
        assert!(matches!(home.revoke(ROOT, "000000", "no").await, Err(Error::Home(_))));
    }

    #[tokio::test]
    async fn a_list_is_newer_than_the_one_before_by_a_clock_that_was_set_back_too() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("keys"));
        home.init(ROOT, &next(), YEAR).await.unwrap();
        let mut ahead = home.trust().unwrap().ring().clone();
        ahead.made_at = Moment::now().plus(YEAR);
        let former = home.seal(&ahead, &home.root(ROOT).unwrap()).await.unwrap();
        let rotated = home.rotate(ROOT, &next(), YEAR, YEAR).await.unwrap();
        assert!(rotated.is_newer_than(&former));
        let first = ahead.keys[0].public_key.clone();
        let first = PublicKey::from_pem(&first, "the first").unwrap().fingerprint().to_hex();
        let revoked = home.revoke(ROOT, &first, "lost").await.unwrap();
        assert!(revoked.is_newer_than(&rotated));
    }

    #[tokio::test]
    async fn only_its_owner_may_read_a_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("keys"));
        home.init(ROOT, &next(), YEAR).await.unwrap();
        for found in std::fs::read_dir(directory.path().join("keys")).unwrap() {
            let found = found.unwrap();
            let mode = found.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", found.path());
        }
    }
}
