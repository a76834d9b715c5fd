//! A package.

use std::collections::BTreeSet;

use super::hash::Hash;
use super::licence::Licence;
use super::purl::Purl;

/// The most digests, references or properties of one package that are kept.
const LIST_MAX: usize = 500;

/// What a package is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    #[default]
    Library,
    Application,
    OperatingSystem,
}

/// What a package is there for, where it is not simply needed. The later goes before the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// For development only.
    Excluded,
    /// Where something else is there too, or where it was asked for.
    Optional,
    /// Needed.
    Required,
}

/// A file of a package, by its address or by a name that stands for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Distribution {
    pub(crate) url: String,
    pub(crate) hashes: Vec<Hash>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// Nothing for what is of this directory alone.
    pub(crate) purl: Option<Purl>,
    pub(crate) scope: Scope,
    pub(crate) licences: BTreeSet<Licence>,
    pub(crate) hashes: BTreeSet<Hash>,
    pub(crate) distributions: BTreeSet<Distribution>,
    pub(crate) properties: BTreeSet<(String, String)>,
}

impl Component {
    /// A package that others can get as well.
    pub(crate) fn new(name: &str, version: Option<&str>, purl: Purl) -> Self {
        Self { purl: Some(purl), ..Self::local(name, version) }
    }

    /// A part of what is described.
    pub(crate) fn local(name: &str, version: Option<&str>) -> Self {
        Self {
            kind: Kind::default(),
            name: name.to_owned(),
            version: version.filter(|text| !text.is_empty()).map(str::to_owned),
            purl: None,
            scope: Scope::Required,
            licences: BTreeSet::new(),
            hashes: BTreeSet::new(),
            distributions: BTreeSet::new(),
            properties: BTreeSet::new(),
        }
    }

    /// Adds a property.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<String>) {
        if self.properties.len() < LIST_MAX {
            self.properties.insert((name.to_owned(), value.into()));
        }
    }

    /// Adds a file of the package.
    pub(crate) fn file(&mut self, url: impl Into<String>, hashes: Vec<Hash>) {
        if self.distributions.len() < LIST_MAX {
            self.distributions.insert(Distribution { url: url.into(), hashes });
        }
    }

    /// Takes over what another file says of the same package.
    pub(crate) fn merge(&mut self, other: Self) {
        self.scope = self.scope.max(other.scope);
        self.licences.extend(other.licences);
        self.hashes.extend(other.hashes);
        self.distributions.extend(other.distributions);
        self.properties.extend(other.properties);
    }
}

/// An address without user, password, query and fragment, any of which may be a secret.
pub(crate) fn public_url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_what_may_be_secret() {
        for (url, expected) in [
            ("https://user:pass@host/a/b?token=x#y", "https://host/a/b"),
            ("git+ssh://git@host/a/b.git#c0ffee", "git+ssh://host/a/b.git"),
            ("https://host", "https://host"),
            ("../a", "../a"),
        ] {
            assert_eq!(public_url(url), expected);
        }
    }

    #[test]
    fn what_is_needed_anywhere_is_needed() {
        let mut one = Component::local("a", None);
        one.scope = Scope::Excluded;
        one.merge(Component { scope: Scope::Optional, ..Component::local("a", None) });
        assert_eq!(one.scope, Scope::Optional);
        one.merge(Component::local("a", None));
        assert_eq!(one.scope, Scope::Required);
    }
}
