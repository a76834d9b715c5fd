//! Keys that a log may be signed with, from files.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use maestro_evidence::key::PublicKey;
use maestro_evidence::key::ring::Trust;

use crate::error::Error;

/// The largest file of keys.
const FILE_BYTES_MAX: usize = 4 << 20;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The keys of some files: public keys in PEM, or a list that its root signed.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<PublicKey>, Error> {
    let mut keys = Vec::new();
    for path in paths {
        let text = bounded(path, FILE_BYTES_MAX)?;
        keys.extend(of_text(&text, &path.display().to_string())?);
    }
    Ok(keys)
}

/// The keys of a text. Of a list those that nobody revoked.
pub(super) fn of_text(text: &str, what: &str) -> Result<Vec<PublicKey>, Error> {
    let failed = |source| Error::service("read the key of the audit log", source);
    if !text.trim_start().starts_with('{') {
        // What stands between keys is for people.
        let block = |rest| str::split_inclusive(rest, END).next().unwrap_or_default();
        let blocks: Vec<&str> = text.split(BEGIN).skip(1).map(block).collect();
        // A text without a key is refused with its name.
        let blocks = if blocks.is_empty() { vec![""] } else { blocks };
        let keys = blocks.iter().map(|rest| PublicKey::from_pem(&format!("{BEGIN}{rest}\n"), what));
        return keys.collect::<Result<_, _>>().map_err(failed);
    }
    let trust = Trust::open(text.as_bytes(), None).map_err(failed)?;
    let good = trust.ring().keys.iter().filter(|key| key.revoked.is_none());
    good.map(|key| PublicKey::from_pem(&key.public_key, what))
        .collect::<Result<_, _>>()
        .map_err(failed)
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

    #[test]
    fn several_keys_of_one_file_are_read_and_a_text_without_one_is_refused() {
        let [one, other] = [(); 2].map(|()| LocalKey::generate().unwrap().public().clone());
        let both = format!("the first\n{}the second\n{}", one.pem(), other.pem());
        assert_eq!(of_text(&both, "both.pub").unwrap(), [one, other]);
        for text in ["", "no key", "{}"] {
            assert!(of_text(text, "x").is_err(), "{text:?}");
        }
    }
}
