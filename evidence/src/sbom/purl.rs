//! Package URLs: <https://github.com/package-url/purl-spec>.

use std::collections::BTreeMap;
use std::fmt;

/// The name of a package for everybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Purl {
    kind: &'static str,
    namespace: Vec<String>,
    name: String,
    version: Option<String>,
    qualifiers: BTreeMap<&'static str, String>,
}

impl Purl {
    /// Of a crate.
    pub(crate) fn cargo(name: &str, version: &str) -> Self {
        Self::new("cargo", &[], name, Some(version))
    }

    /// Of an npm package, whose name may begin with a scope.
    pub(crate) fn npm(name: &str, version: Option<&str>) -> Self {
        match name.split_once('/') {
            Some((scope, name)) => Self::new("npm", &[scope], name, version),
            None => Self::new("npm", &[], name, version),
        }
    }

    /// Of a Python distribution; its name is normalised as PEP 503 says.
    pub(crate) fn pypi(name: &str, version: Option<&str>) -> Self {
        Self::new("pypi", &[], &python_name(name), version)
    }

    /// Of a Go module; the specification has its path in lower case.
    pub(crate) fn golang(path: &str, version: Option<&str>) -> Self {
        let path = path.to_lowercase();
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let name = parts.pop().unwrap_or_default();
        Self::new("golang", &parts, name, version)
    }

    /// Of a Debian package, of Debian itself or of what is derived from it.
    pub(crate) fn deb(vendor: &str, name: &str, version: &str) -> Self {
        Self::new("deb", &[&vendor.to_lowercase()], &name.to_lowercase(), Some(version))
    }

    fn new(kind: &'static str, namespace: &[&str], name: &str, version: Option<&str>) -> Self {
        Self {
            kind,
            namespace: namespace.iter().map(|part| (*part).to_owned()).collect(),
            name: name.to_owned(),
            version: version.filter(|text| !text.is_empty()).map(str::to_owned),
            qualifiers: BTreeMap::new(),
        }
    }

    /// Adds a qualifier; an empty value is none.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.qualifiers.insert(key, value);
        }
        self
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}", self.kind)?;
        for part in self.namespace.iter().filter(|part| !part.is_empty()) {
            write!(f, "/{}", Encoded { text: part, slash: false })?;
        }
        write!(f, "/{}", Encoded { text: &self.name, slash: false })?;
        if let Some(version) = &self.version {
            write!(f, "@{}", Encoded { text: version, slash: false })?;
        }
        for (index, (key, value)) in self.qualifiers.iter().enumerate() {
            let before = if index == 0 { '?' } else { '&' };
            write!(f, "{before}{key}={}", Encoded { text: value, slash: true })?;
        }
        Ok(())
    }
}

/// A Python distribution's name in its one form.
pub(crate) fn python_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for char in name.trim().chars() {
        match char {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            char => normal.extend(char.to_lowercase()),
        }
    }
    normal
}

/// Percent-encoded: all but letters, digits, `.-_~` and `:`, and `/` where it is no separator.
struct Encoded<'a> {
    text: &'a str,
    slash: bool,
}

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                    write!(f, "{}", char::from(byte))?;
                }
                b'/' if self.slash => f.write_str("/")?,
                byte => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_the_specification_says() {
        let git = "git+https://example.org/a b@c0ffee";
        for (purl, expected) in [
            (
                Purl::npm("@angular/animation", Some("12.3.1")),
                "pkg:npm/%40angular/animation@12.3.1",
            ),
            (Purl::npm("foobar", None), "pkg:npm/foobar"),
            (Purl::cargo("clap", "2.33.0+x"), "pkg:cargo/clap@2.33.0%2Bx"),
            (
                Purl::cargo("a", "1.0.0").with("vcs_url", git),
                "pkg:cargo/a@1.0.0?vcs_url=git%2Bhttps://example.org/a%20b%40c0ffee",
            ),
            (Purl::pypi("Django__X.y", Some("1.11.1")), "pkg:pypi/django-x-y@1.11.1"),
            (
                Purl::golang("github.com/Gorilla/Mux", Some("v1.8.0+incompatible")),
                "pkg:golang/github.com/gorilla/mux@v1.8.0%2Bincompatible",
            ),
            (
                Purl::deb("Debian", "libc6", "1:2.36-9+b1~x")
                    .with("distro", "debian-12")
                    .with("arch", "amd64"),
                "pkg:deb/debian/libc6@1:2.36-9%2Bb1~x?arch=amd64&distro=debian-12",
            ),
            (Purl::pypi("café", Some("1/2")), "pkg:pypi/caf%C3%A9@1%2F2"),
        ] {
            assert_eq!(purl.to_string(), expected);
        }
    }
}
