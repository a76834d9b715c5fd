//! Passwords and tokens of a local stack: made once, kept in `credentials.json`, 0600.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;

use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::Error;
use super::paths::{self, Paths};

const BYTES: usize = 24;

/// The secrets by name. A name that has none gets one when it is first asked for.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    secrets: BTreeMap<String, String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.secrets.keys()).finish()
    }
}

impl Credentials {
    /// Reads the directory's credentials and completes them with a secret for each of `names`.
    /// What is there already stays.
    pub fn load_or_make(paths: &Paths, names: &[String]) -> Result<Self, Error> {
        let mut all = Self::load(paths)?;
        let missing: Vec<_> =
            names.iter().filter(|name| !all.secrets.contains_key(*name)).collect();
        if missing.is_empty() {
            return Ok(all);
        }
        for name in missing {
            all.secrets.insert(name.clone(), generate());
        }
        let path = paths.credentials();
        let bytes = serde_json::to_vec_pretty(&all)
            .map_err(|source| Error::Content { path: path.clone(), source })?;
        paths::write_file(&path, &bytes)?;
        Ok(all)
    }

    /// The secret of `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.secrets.get(name).map(String::as_str)
    }

    /// What the file holds; empty when there is none.
    pub fn load(paths: &Paths) -> Result<Self, Error> {
        let path = paths.credentials();
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| Error::Content { path, source })
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::file("read", &path)(e)),
        }
    }
}

/// A new secret of 192 bits, in hexadecimal: it needs no quoting in a URL, a file or a statement.
pub fn generate() -> String {
    let mut bytes = [0; BYTES];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_are_kept_private_and_stay_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::of_project(dir.path()).unwrap();
        let first = Credentials::load_or_make(&paths, &["a".into()]).unwrap();
        let second = Credentials::load_or_make(&paths, &["a".into(), "b".into()]).unwrap();
        assert_eq!(first.get("a"), second.get("a"));
        assert_ne!(second.get("a"), second.get("b"));
        let mode = fs::metadata(paths.credentials()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let secret = second.get("b").unwrap();
        assert!(!format!("{second:?}").contains(secret));
    }
}
