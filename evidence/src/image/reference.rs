//! `registry/repository:tag`, as the distribution specification writes it.

use std::fmt;
use std::str::FromStr;

/// The longest repository, in bytes.
const REPOSITORY_BYTES_MAX: usize = 255;
/// The longest tag, in bytes.
const TAG_BYTES_MAX: usize = 128;
/// The longest name of a registry with its port, in bytes.
const REGISTRY_BYTES_MAX: usize = 255;

/// Where an image is kept in a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The registry's host, with its port where one is named.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// The tag.
    pub tag: String,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no reference of an image: {problem}")]
pub struct InvalidReference {
    /// The text, cut to 120 characters.
    pub found: String,
    /// What is wrong, and what was expected.
    pub problem: &'static str,
}

impl Reference {
    /// A reference by its parts; each is checked.
    pub fn new(registry: &str, repository: &str, tag: &str) -> Result<Self, InvalidReference> {
        let refuse = |found: &str, problem| {
            Err(InvalidReference { found: found.chars().take(120).collect(), problem })
        };
        if !is_registry(registry) {
            // What stands before an @ is a secret in the wrong place.
            return refuse(
                registry.rsplit('@').next().unwrap_or_default(),
                "expected a registry's host with a dot, a port, or localhost, as ghcr.io",
            );
        }
        if !is_repository(repository) {
            return refuse(
                repository,
                "expected lower case letters, digits and single . _ - between them, with /",
            );
        }
        if !is_tag(tag) {
            return refuse(tag, "a tag is letters, digits, _ . and -, at most 128");
        }
        Ok(Self { registry: registry.into(), repository: repository.into(), tag: tag.into() })
    }

    /// The same with another tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        Self::new(&self.registry, &self.repository, tag)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// Reads `registry/repository:tag`; the tag is `latest` where there is none.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let Some((registry, rest)) = text.split_once('/') else {
            let found = text.chars().take(120).collect();
            return Err(InvalidReference { found, problem: "expected registry/repository:tag" });
        };
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        Self::new(registry, repository, tag)
    }
}

fn is_registry(text: &str) -> bool {
    if text.len() > REGISTRY_BYTES_MAX {
        return false;
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(plain)
        }),
    };
    let told = host == "localhost" || host.contains('.') || bracketed.is_some() || port.is_some();
    is_host && told && port.is_none_or(is_port)
}

fn is_repository(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_word = |word: &str| {
        let mut before = b'.';
        for byte in word.bytes() {
            // Dashes may follow one another, and an underscore may stand twice.
            let joined = matches!((before, byte), (b'-', b'-') | (b'_', b'_'));
            if !(is_plain(byte)
                || (matches!(byte, b'.' | b'_' | b'-') && (is_plain(before) || joined)))
            {
                return false;
            }
            before = byte;
        }
        is_plain(before) && !word.contains("___")
    };
    text.len() <= REPOSITORY_BYTES_MAX
        && text.split('/').all(|word| !word.is_empty() && is_word(word))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= TAG_BYTES_MAX
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "ghcr.io/intelgraph/service:1.0.0",
            "localhost:5000/a/b__c/d--e:x",
            "127.0.0.1:5000/a:latest",
            "[::1]:5000/a:latest",
        ] {
            let reference: Reference = text.parse().expect("a reference");
            assert_eq!(reference.to_string(), text);
        }
        let reference: Reference = "docker.io/library/debian".parse().expect("a reference");
        assert_eq!(reference.tag, "latest");
    }

    #[test]
    fn a_password_in_the_wrong_place_is_not_told() {
        let error = Reference::new("user:secret@gh cr", "a", "x").expect_err("refused");
        assert!(!error.to_string().contains("secret"), "{error}");
        let error = Reference::new("user:secret@ghcr.io", "a", "x").expect_err("refused");
        assert_eq!(error.found, "ghcr.io");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            "debian",
            "library/debian",
            "ghcr.io/",
            "ghcr.io/Upper:x",
            "ghcr.io/a//b",
            "ghcr.io/../b",
            "ghcr.io/a.-b",
            "ghcr.io/a___b",
            "ghcr.io/a-",
            "ghcr.io/a:.x",
            "ghcr.io/a:x y",
            "user@ghcr.io/a:x",
            "ghcr.io:0/a:x",
            "ghcr.io:99999/a:x",
            "gh cr.io/a:x",
            "[::1/a:x",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
