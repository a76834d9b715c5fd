//! Passphrases of keys. They come by the environment: a flag shows in process lists.

use zeroize::Zeroizing;

use crate::env_vars::{KEY_PASSPHRASE, ROOT_PASSPHRASE};
use crate::error::Error;

/// That of the keys that sign.
pub fn signing() -> Result<Zeroizing<String>, Error> {
    read(KEY_PASSPHRASE).ok_or_else(|| {
        Error::usage(
            format!("{KEY_PASSPHRASE} is not set; expected the passphrase of the keys that sign"),
            "put it into the environment, where no process list shows it",
        )
    })
}

/// That of the root, for whoever changes keys; the other where it has none of its own.
pub fn root() -> Result<Zeroizing<String>, Error> {
    read(ROOT_PASSPHRASE).map_or_else(signing, Ok)
}

fn read(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(Zeroizing::new)
}
