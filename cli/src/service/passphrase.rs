//! Passphrases of keys. They come by the environment: a flag shows in process lists.

use maestro_evidence::key::home::Passphrases;
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

/// Both, for whoever changes keys.
pub fn both() -> Result<Passphrases, Error> {
    let signing = signing()?;
    Ok(Passphrases { root: read(ROOT_PASSPHRASE).unwrap_or_else(|| signing.clone()), signing })
}

fn read(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(Zeroizing::new)
}
