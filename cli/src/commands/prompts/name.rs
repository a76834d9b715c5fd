//! A prompt as people name it: `review`, `review@3`, `review@newest`, `review@sha256:…`.

use std::str::FromStr;

use maestro_schemas::digest::Digest;
use maestro_schemas::prompt::path;

/// The version that is meant where none is named.
pub(super) const NEWEST: &str = "newest";

/// A prompt, and a version of it where one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    /// The prompt's name.
    pub(super) name: String,
    /// A number, `newest` or a digest.
    pub(super) which: Option<String>,
}

impl FromStr for Pick {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, which) = match text.split_once('@') {
            Some((name, which)) => (name, Some(version(which)?)),
            None => (text, None),
        };
        Ok(Self { name: self::name(name)?, which })
    }
}

/// A prompt's name.
pub(super) fn name(text: &str) -> Result<String, String> {
    match path(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!(
            "{text:?} is no prompt's name; expected words of lower-case letters, digits, _ and -, with / between"
        )),
    }
}

/// A version's number, `newest` or a digest.
pub(super) fn version(text: &str) -> Result<String, String> {
    let is_number = text.parse::<u32>().is_ok_and(|number| number > 0);
    if is_number || text == NEWEST || text.parse::<Digest>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is no version; expected a number from 1, newest, or sha256: and 64 hexadecimal digits"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_the_newest_or_a_digest() {
        let pick = |text: &str| text.parse::<Pick>();
        assert_eq!(pick("team/a"), Ok(Pick { name: "team/a".into(), which: None }));
        assert_eq!(pick("a@3"), Ok(Pick { name: "a".into(), which: Some("3".into()) }));
        let digest = Digest::of(b"x").to_string();
        assert_eq!(pick(&format!("a@{digest}")).map(|pick| pick.which), Ok(Some(digest)));
        for text in ["A", "a@", "a@0", "a@v3", "../a", "a@sha256:12"] {
            assert!(pick(text).is_err(), "{text:?}");
        }
    }
}
