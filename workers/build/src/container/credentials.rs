//! The worker's own credentials for registries: a Docker `config.json` that its operator names.
//!
//! Read anew for each step, so that a token which was changed counts at once. Helper programs that
//! such a file may name are not run.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// The largest file.
const BYTES_MAX: u64 = 1 << 20;
/// Under which key Docker keeps what is for `docker.io`.
const DOCKER_HUB: &str = "index.docker.io";

/// What a worker may say of itself to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// What an authorisation server once gave out.
    IdentityToken(String),
}

/// A registry, and what stands before the names of repositories in it that something is for; empty for all.
type Place = (String, String);

/// Credentials by registry, and by what is in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    by_place: BTreeMap<Place, Credential>,
    /// Registries whose credentials a helper program would have to be asked for.
    helped: Vec<String>,
}

/// Why a file of credentials cannot be used. Nothing of what it holds is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("the file of registry credentials {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not in its form.
    #[error("the file of registry credentials {} is refused: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        problem: String,
    },
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

impl Credentials {
    /// Reads a file; no file means no credentials.
    pub fn read(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::parse(&bytes).map_err(|problem| Error::Malformed { path: path.to_owned(), problem })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > BYTES_MAX {
            return Err(format!("it is larger than {BYTES_MAX} bytes"));
        }
        // The parser's own words could quote a secret.
        let file: File = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("line {line}, column {column}: expected a Docker config.json with `auths`")
        })?;
        let mut by_place = BTreeMap::new();
        for (key, entry) in file.auths {
            let (registry, below) = (registry_of(&key), below(&key));
            match credential(entry) {
                Ok(Some(credential)) => drop(by_place.insert((registry, below), credential)),
                Ok(None) => {}
                Err(problem) => return Err(format!("auths of {registry}: {problem}")),
            }
        }
        let helped = file.helpers.keys().map(|key| registry_of(key)).collect();
        Ok(Self { by_place, helped })
    }

    /// What there is for a repository of a registry: that of the longest name before it.
    pub fn of(&self, registry: &str, repository: &str) -> Option<&Credential> {
        let registry = registry_of(registry);
        let above = repository.rmatch_indices('/').filter_map(|(at, _)| repository.get(..at));
        let places = [repository].into_iter().chain(above).chain([""]);
        places
            .into_iter()
            .find_map(|below| self.by_place.get(&(registry.clone(), below.to_owned())))
    }

    /// Whether only a helper program, which is not run, would know.
    pub fn is_helped(&self, registry: &str) -> bool {
        let registry = registry_of(registry);
        let has = self.by_place.keys().any(|(known, _)| *known == registry);
        !has && self.helped.contains(&registry)
    }
}

/// The registry that a key means: Docker writes some with a scheme and a path.
fn registry_of(key: &str) -> String {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default().to_ascii_lowercase();
    match host.as_str() {
        "docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        _ => host,
    }
}

/// What a key names below its registry, as `team` of `ghcr.io/team`. Docker's own keys have a scheme and a
/// path that says nothing.
fn below(key: &str) -> String {
    let path = match key.contains("://") {
        true => "",
        false => key.split_once('/').map_or("", |(_, path)| path),
    };
    // Older ones are written without the scheme.
    let path = path.trim_matches('/');
    if matches!(path, "v1" | "v2") { String::new() } else { path.to_owned() }
}

fn credential(entry: Entry) -> Result<Option<Credential>, &'static str> {
    if let Some(token) = entry.identitytoken.filter(|token| !token.is_empty()) {
        return Ok(Some(Credential::IdentityToken(token)));
    }
    if let (Some(user), Some(password)) = (entry.username, entry.password) {
        return Ok(Some(Credential::Password { user, password }));
    }
    let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let expected = "expected `auth` to be the Base64 of user:password";
    let text = STANDARD.decode(auth.trim()).map_err(|_| expected)?;
    let text = String::from_utf8(text).map_err(|_| expected)?;
    let (user, password) = text.split_once(':').ok_or(expected)?;
    let password = password.trim_end_matches('\0').to_owned();
    Ok(Some(Credential::Password { user: user.to_owned(), password }))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_place.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_docker_writes_is_read_and_none_is_shown() {
        let text = br#"{"auths": {
            "ghcr.io": {"auth": "bWU6c2VjcmV0OnBhcnQ="},
            "https://index.docker.io/v1/": {"username": "hub", "password": "secret2"},
            "Example.com:5000": {"identitytoken": "secret3", "auth": "bWU6"},
            "empty.example": {}
        }, "credHelpers": {"gcr.io": "gcloud"}, "credsStore": "x", "HttpHeaders": {}}"#;
        let credentials = Credentials::parse(text).expect("credentials");
        let password = |user: &str, password: &str| Credential::Password {
            user: user.into(),
            password: password.into(),
        };
        let of = |registry: &str| credentials.of(registry, "me/app");
        assert_eq!(of("ghcr.io"), Some(&password("me", "secret:part")));
        assert_eq!(of("docker.io"), Some(&password("hub", "secret2")));
        let token = Credential::IdentityToken("secret3".into());
        assert_eq!(of("example.com:5000"), Some(&token));
        assert_eq!((of("empty.example"), of("other")), (None, None));
        assert!(credentials.is_helped("gcr.io") && !credentials.is_helped("ghcr.io"));
        let shown = format!("{credentials:?} {token:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_is_for_a_part_of_a_registry_is_not_shown_for_the_rest() {
        let text = br#"{"auths": {
            "a.example/team": {"username": "team", "password": "x"},
            "a.example/team/deep": {"username": "deep", "password": "x"},
            "b.example/team": {"username": "some", "password": "x"},
            "b.example": {"username": "all", "password": "x"}
        }}"#;
        let credentials = Credentials::parse(text).expect("credentials");
        let user = |registry: &str, repository: &str| match credentials.of(registry, repository) {
            Some(Credential::Password { user, .. }) => user.clone(),
            _ => "nobody".to_owned(),
        };
        for (registry, repository, expected) in [
            ("a.example", "team/app", "team"),
            ("a.example", "team", "team"),
            ("a.example", "team/deep/app", "deep"),
            ("a.example", "teams/app", "nobody"),
            ("a.example", "other", "nobody"),
            ("b.example", "team/app", "some"),
            ("b.example", "other", "all"),
        ] {
            assert_eq!(user(registry, repository), expected, "{registry}/{repository}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused_without_telling_what_it_holds() {
        for text in [
            "secret",
            r#"{"auths": ["secret"]}"#,
            r#"{"auths": {"a.b": {"auth": "secret!"}}}"#,
            r#"{"auths": {"a.b": {"auth": "c2VjcmV0"}}}"#,
            r#"{"auths": {"a.b": "secret"}}"#,
        ] {
            let problem = Credentials::parse(text.as_bytes()).expect_err("refused");
            assert!(!problem.contains("secret"), "{problem}");
            assert!(problem.contains("expected"), "{problem}");
        }
        let missing = Credentials::read(Some(Path::new("/nonexistent/config.json")));
        assert!(missing.expect_err("refused").to_string().contains("cannot be read"));
        assert_eq!(Credentials::read(None).expect("none"), Credentials::default());
    }
}
