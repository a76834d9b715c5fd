//! The list of keys that were good when, signed by the root key: what a verifier trusts.
//!
//! The root key signs nothing but this list, so that it can lie in a safe. A key is good for what was
//! signed while it was valid. The time of a signature is its signer's own word, so a key that was
//! revoked, because somebody else may have it, is good for nothing, whenever that was signed.

use serde::{Deserialize, Serialize};

use super::{Error, KeyId, PublicKey, Signer};
use crate::dsse::{self, Sealed};
use crate::moment::Moment;

/// What a signed list bears as its payload's type.
pub const RING_TYPE: &str = "application/vnd.maestro.keys.v1+json";

/// The most keys of a list.
pub const KEYS_MAX: usize = 1_000;

/// The most characters of the reason of a revocation.
pub const REASON_CHARS_MAX: usize = 500;

/// The list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// When it was made.
    pub made_at: Moment,
    /// The root key, in PEM.
    pub root: String,
    /// The keys, the oldest first.
    pub keys: Vec<Entry>,
}

/// A key of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The public key, in PEM.
    pub public_key: String,
    /// From when on its signatures count.
    pub valid_from: Moment,
    /// From when on they do not any more.
    pub valid_until: Moment,
    /// Why it must not be trusted any more, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
}

/// Why a key must not be trusted any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// When that was said.
    pub at: Moment,
    /// Why, in words.
    pub reason: String,
}

/// A list whose signature by its root was verified.
#[derive(Debug, Clone)]
pub struct Trust {
    ring: Ring,
    root: PublicKey,
    keys: Vec<(KeyId, PublicKey)>,
}

impl Ring {
    /// The list, signed by its root.
    ///
    /// # Errors
    /// Where the root's holder does not sign.
    pub async fn signed(&self, root: &dyn Signer) -> Result<Vec<u8>, Error> {
        let payload = serde_json::to_vec(self).map_err(|error| Error::Ring(error.to_string()))?;
        dsse::seal(root, RING_TYPE, &payload).await
    }
}

impl Trust {
    /// Reads a signed list. Whose root it must be is `root`; where nobody says, the list's own word is
    /// taken, and the caller compares [`Trust::root`] with what it knows.
    ///
    /// # Errors
    /// [`Error::Ring`] where the list is not what its root signed, or is signed by another root.
    pub fn open(bytes: &[u8], root: Option<&PublicKey>) -> Result<Self, Error> {
        let not = |what: String| Error::Ring(what);
        let sealed = Sealed::parse(bytes).map_err(|error| not(error.to_string()))?;
        let unverified: Ring =
            serde_json::from_slice(sealed.unverified()).map_err(|error| not(error.to_string()))?;
        let own = PublicKey::from_pem(&unverified.root, "its root")?;
        let root = root.cloned().unwrap_or_else(|| own.clone());
        if own != root {
            let (found, expected) = (own.fingerprint(), root.fingerprint());
            return Err(not(format!("its root is {found}; expected {expected}")));
        }
        let payload = sealed.open(&root, RING_TYPE).map_err(|error| not(error.to_string()))?;
        let ring: Ring =
            serde_json::from_slice(&payload).map_err(|error| not(error.to_string()))?;
        if ring.keys.len() > KEYS_MAX {
            return Err(not(format!("{} keys, more than {KEYS_MAX}", ring.keys.len())));
        }
        let keys = ring
            .keys
            .iter()
            .map(|entry| PublicKey::from_pem(&entry.public_key, "a key of the list"))
            .map(|key| key.map(|key| (key.id(), key)))
            .collect::<Result<_, _>>()?;
        Ok(Self { ring, root, keys })
    }

    /// The root.
    pub fn root(&self) -> &PublicKey {
        &self.root
    }

    /// The list.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The keys that nobody revoked, whenever they were good: for texts that say no time.
    pub fn unrevoked(&self) -> impl Iterator<Item = &PublicKey> {
        let all = self.keys.iter().zip(&self.ring.keys);
        all.filter(|(_, entry)| entry.revoked.is_none()).map(|((_, key), _)| key)
    }

    /// Whether both are lists of one root, and this one was made after the other.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.root == other.root && self.ring.made_at > other.ring.made_at
    }

    /// Whether the list has the key `id`, good or not.
    pub fn has(&self, id: &KeyId) -> bool {
        self.keys.iter().any(|(known, _)| known == id)
    }

    /// The key `id`, where it is good for what says that it was signed at `at`.
    ///
    /// # Errors
    /// Why it is not, in words.
    pub fn key_at(&self, id: &KeyId, at: Moment) -> Result<&PublicKey, String> {
        let found = self.keys.iter().zip(&self.ring.keys).find(|((known, _), _)| known == id);
        let ((_, key), entry) =
            found.ok_or_else(|| format!("key {id} is not in the list of keys"))?;
        if let Some(Revocation { at, reason }) = &entry.revoked {
            return Err(format!("key {id} was revoked at {at}: {reason}"));
        }
        match at >= entry.valid_from && at < entry.valid_until {
            true => Ok(key),
            false => Err(format!(
                "key {id} is valid from {} until {}, and this was signed at {at}",
                entry.valid_from, entry.valid_until
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::local::LocalKey;

    fn at(ms: u64) -> Moment {
        Moment::from_ms(ms)
    }

    fn entry(key: &LocalKey, revoked: Option<Revocation>) -> Entry {
        let valid_until = at(1_000).plus(Duration::from_secs(1));
        Entry { public_key: key.public().pem(), valid_from: at(1_000), valid_until, revoked }
    }

    async fn trust(root: &LocalKey, keys: Vec<Entry>) -> Vec<u8> {
        let ring = Ring { made_at: at(5), root: root.public().pem(), keys };
        ring.signed(root).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_is_good_while_it_is_valid_and_never_once_it_is_revoked() {
        let [root, good, bad] = [(), (), ()].map(|()| LocalKey::generate().unwrap());
        let revoked = Revocation { at: at(1_500), reason: "lost".into() };
        let bytes = trust(&root, vec![entry(&good, None), entry(&bad, Some(revoked))]).await;
        let trust = Trust::open(&bytes, Some(root.public())).unwrap();
        let (good, bad) = (good.public().id(), bad.public().id());
        assert!(trust.key_at(&good, at(1_000)).is_ok());
        assert!(trust.key_at(&good, at(999)).unwrap_err().contains("valid from"));
        assert!(trust.key_at(&good, at(2_000)).unwrap_err().contains("valid from"));
        assert!(trust.key_at(&bad, at(1_200)).unwrap_err().contains("lost"));
        assert!(trust.key_at(&root.public().id(), at(1_200)).unwrap_err().contains("not in"));
    }

    #[tokio::test]
    async fn the_newer_of_two_lists_is_told_of_one_root_only() {
        let [root, other] = [(), ()].map(|()| LocalKey::generate().unwrap());
        let made = async |root: &LocalKey, made_at: Moment| {
            let ring = Ring { made_at, root: root.public().pem(), keys: Vec::new() };
            Trust::open(&ring.signed(root).await.unwrap(), None).unwrap()
        };
        let (former, newer) = (made(&root, at(1)).await, made(&root, at(2)).await);
        assert!(newer.is_newer_than(&former));
        assert!(!former.is_newer_than(&newer) && !newer.is_newer_than(&newer));
        assert!(!made(&other, at(3)).await.is_newer_than(&former));
    }

    #[tokio::test]
    async fn a_list_of_another_root_is_refused() {
        let (root, other) = (LocalKey::generate().unwrap(), LocalKey::generate().unwrap());
        let bytes = trust(&other, Vec::new()).await;
        assert_eq!(Trust::open(&bytes, None).unwrap().root(), other.public());
        let refused = Trust::open(&bytes, Some(root.public())).unwrap_err().to_string();
        assert!(refused.contains("its root is"), "{refused}");
        // Who names a root without having its key is found out.
        let ring = Ring { made_at: at(5), root: root.public().pem(), keys: Vec::new() };
        let forged = ring.signed(&other).await.unwrap();
        assert!(Trust::open(&forged, None).is_err());
    }
}
