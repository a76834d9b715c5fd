//! Keys that a log may be signed with: from files, or by the server's list of a root that is known.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use maestro_evidence::key::PublicKey;
use maestro_evidence::key::ring::Trust;
use maestro_evidence::verify::image::spoken;
use maestro_schemas::digest::Digest;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::output::Output;

/// The largest file of keys.
const FILE_BYTES_MAX: usize = 4 << 20;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// What a log may be signed with: keys that were named one by one, and lists that their roots signed.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    named: Vec<PublicKey>,
    /// One of each root.
    lists: Vec<Trust>,
}

impl Trusted {
    /// The keys of some files: public keys in PEM, or lists; with `root`, lists of that root only.
    pub(super) fn read(paths: &[PathBuf], root: Option<Digest>) -> Result<Self, Error> {
        let mut trusted = Self::default();
        for path in paths {
            let text = bounded(path, FILE_BYTES_MAX)?;
            trusted.add(&text, &path.display().to_string())?;
        }
        let other = trusted.roots().find(|own| root.is_some_and(|root| root != *own));
        match (root, other) {
            (Some(root), Some(own)) => Err(Error::usage(
                format!("a list of keys that was given is of the root {own}, and not of {root}"),
                "name a list of that root with --key, or its root with --root",
            )),
            _ => Ok(trusted),
        }
    }

    /// Takes the server's list in, where none was given and its root was.
    ///
    /// # Errors
    /// Where there are no keys then: whose list it is, only the caller can know.
    pub(super) async fn complete(
        &mut self,
        client: &Client,
        root: Option<Digest>,
    ) -> Result<(), Error> {
        if !self.lists.is_empty() || (root.is_none() && !self.named.is_empty()) {
            return Ok(());
        }
        let list = client
            .signed_keys()
            .await
            .map_err(Error::from)
            .and_then(|bytes| Ok(Trust::open(&bytes, None)?));
        let Some(root) = root else { return Err(no_root(list.ok().as_ref())) };
        let list = list?;
        let own = list.root().fingerprint();
        if own != root {
            let message =
                format!("the server's list of keys is of the root {own}, and not of {root}");
            return Err(Error::Audit { message, more: 0, is_head: true });
        }
        self.lists.push(list);
        Ok(())
    }

    /// All keys; of lists those that nobody revoked.
    pub(super) fn keys(&self) -> Vec<PublicKey> {
        let listed = self.lists.iter().flat_map(Trust::unrevoked);
        self.named.iter().chain(listed).cloned().collect()
    }

    /// Says which keys these are, and by whose word.
    pub(super) fn tell(&self, output: Output) {
        if !self.named.is_empty() {
            output.talk(&format!("keys   {}, as they were given", prints(&self.named)));
        }
        for list in &self.lists {
            let (root, on) = (list.root().fingerprint(), list.ring().made_at);
            output.talk(&format!("keys   {}, by their list of {on}", prints(list.unrevoked())));
            output.talk(&format!("root   {root}"));
        }
    }

    /// The same as a document.
    pub(super) fn document(&self) -> Value {
        let keys: Vec<Digest> = self.keys().iter().map(PublicKey::fingerprint).collect();
        let list = |list: &Trust| json!({ "root": list.root().fingerprint(), "made_on": list.ring().made_at });
        json!({ "keys": keys, "lists": self.lists.iter().map(list).collect::<Vec<_>>() })
    }

    fn roots(&self) -> impl Iterator<Item = Digest> {
        self.lists.iter().map(|list| list.root().fingerprint())
    }

    fn add(&mut self, text: &str, what: &str) -> Result<(), Error> {
        if !text.trim_start().starts_with('{') {
            self.named.extend(of_text(text, what)?);
            return Ok(());
        }
        let list = Trust::open(text.as_bytes(), None)?;
        match self.lists.iter_mut().find(|known| known.root() == list.root()) {
            Some(known) if list.is_newer_than(known) => *known = list,
            Some(_) => {}
            None => self.lists.push(list),
        }
        Ok(())
    }
}

/// Some of their fingerprints.
fn prints<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> String {
    spoken(&keys.into_iter().map(PublicKey::fingerprint).collect())
}

fn no_root(list: Option<&Trust>) -> Error {
    let hint = match list {
        Some(list) => format!(
            "compare with the root that you know; the server's list of keys is of {}",
            list.root().fingerprint()
        ),
        None => "whoever keeps the keys knows their root: `maestro keys list`".to_owned(),
    };
    Error::usage("the audit log is verified by a root or by keys: give --root or --key", hint)
}

/// The public keys in a text.
fn of_text(text: &str, what: &str) -> Result<Vec<PublicKey>, Error> {
    // What stands between keys is for people.
    let block = |rest| str::split_inclusive(rest, END).next().unwrap_or_default();
    let blocks: Vec<&str> = text.split(BEGIN).skip(1).map(block).collect();
    // A text without a key is refused with its name.
    let blocks = if blocks.is_empty() { vec![""] } else { blocks };
    let keys = blocks.iter().map(|rest| PublicKey::from_pem(&format!("{BEGIN}{rest}\n"), what));
    keys.collect::<Result<_, _>>().map_err(failed)
}

fn failed(source: maestro_evidence::key::Error) -> Error {
    Error::service("read the key of the audit log", source)
}

/// Reads a file, or standard input for `-`, of at most so many bytes.
pub(super) fn bounded(path: &Path, most: usize) -> Result<String, Error> {
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(Error::file("read", path))?;
        file.take(limit).read_to_string(&mut text)
    };
    match read {
        Ok(count) if count <= most => Ok(text),
        Ok(_) => {
            let larger = std::io::Error::other(format!("it has more than {most} bytes"));
            Err(Error::file("read", path)(larger))
        }
        Err(source) => Err(Error::file("read", path)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_evidence::key::Signer as _;
    use maestro_evidence::key::local::LocalKey;
    use maestro_evidence::key::ring::{Entry, Revocation, Ring};
    use maestro_evidence::moment::Moment;

    #[test]
    fn several_keys_of_one_file_are_read_and_a_text_without_one_is_refused() {
        let [one, other] = [(); 2].map(|()| LocalKey::generate().unwrap().public().clone());
        let both = format!("the first\n{}the second\n{}", one.pem(), other.pem());
        assert_eq!(of_text(&both, "both.pub").unwrap(), [one, other]);
        for text in ["", "no key", "{}"] {
            assert!(Trusted::default().add(text, "x").is_err(), "{text:?}");
        }
    }

    #[tokio::test]
    async fn of_two_lists_of_one_root_the_newer_counts_in_any_order() {
        let [root, one, other] = [(); 3].map(|()| LocalKey::generate().unwrap());
        let list = async |ms: u64, lost: Option<&str>| {
            let entry = |key: &LocalKey, revoked: Option<&str>| Entry {
                public_key: key.public().pem(),
                valid_from: Moment::from_ms(0),
                valid_until: Moment::from_ms(9),
                revoked: revoked
                    .map(|why| Revocation { at: Moment::from_ms(2), reason: why.to_owned() }),
            };
            let keys = vec![entry(&one, lost), entry(&other, None)];
            let ring = Ring { made_at: Moment::from_ms(ms), root: root.public().pem(), keys };
            String::from_utf8(ring.signed(&root).await.unwrap()).unwrap()
        };
        let (former, newer) = (list(1, None).await, list(2, Some("lost")).await);
        for texts in [[&former, &newer], [&newer, &former]] {
            let mut trusted = Trusted::default();
            texts.iter().for_each(|text| trusted.add(text, "x").unwrap());
            assert_eq!(trusted.keys(), [other.public().clone()]);
        }
    }
}
