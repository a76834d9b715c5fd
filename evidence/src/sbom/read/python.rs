//! What the readers of Python's files share: requirements as PEP 508 has them, and a project's own
//! file.

use crate::sbom::component::{Component, Scope};
use crate::sbom::error::Error;
use crate::sbom::licence::Licence;
use crate::sbom::purl::python_name;
use crate::sbom::tree::Tree;
use crate::sbom::value::{Node, toml};

/// `name[extras] specifiers ; marker` or `name[extras] @ url ; marker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirement<'a> {
    pub(super) name: &'a str,
    /// The one version that will do, where the specifiers say one.
    pub(super) version: Option<&'a str>,
    pub(super) url: Option<&'a str>,
    pub(super) marker: Option<&'a str>,
}

/// Reads a requirement; nothing where it is none.
pub(super) fn requirement(text: &str) -> Option<Requirement<'_>> {
    let text = text.trim();
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && !"-_.".contains(char));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let ends_well = name.ends_with(|char: char| char.is_ascii_alphanumeric());
    if !ends_well || !name.starts_with(|char: char| char.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']')?.1.trim_start(),
        None => rest,
    };
    if let Some(url) = rest.strip_prefix('@') {
        // In a URL a semicolon is only the marker's behind a space.
        let (url, marker) = url.split_once(" ;").map_or((url, None), |(url, m)| (url, Some(m)));
        let marker = marker.map(str::trim);
        return Some(Requirement { name, version: None, url: Some(url.trim()), marker });
    }
    let (specifiers, marker) = rest.split_once(';').map_or((rest, None), |(s, m)| (s, Some(m)));
    let specifiers = specifiers.trim().trim_start_matches('(').trim_end_matches(')').trim();
    if !specifiers.is_empty() && !specifiers.starts_with(['=', '<', '>', '!', '~']) {
        return None;
    }
    let marker = marker.map(str::trim).filter(|marker| !marker.is_empty());
    Some(Requirement { name, version: pinned(specifiers), url: None, marker })
}

fn pinned(specifiers: &str) -> Option<&str> {
    let version = specifiers.strip_prefix("===").or_else(|| specifiers.strip_prefix("=="))?.trim();
    (!version.is_empty() && !version.contains(['*', ',', ' '])).then_some(version)
}

/// What a `pyproject.toml` says.
#[derive(Debug, Default)]
pub(super) struct Project {
    pub(super) component: Option<Component>,
    /// What it needs, by names in their one form.
    pub(super) needs: Vec<(String, Scope)>,
}

impl Project {
    /// The project of a directory; empty where the directory has none.
    pub(super) fn of(tree: &Tree, directory: &str) -> Result<Self, Error> {
        let Some((file, bytes)) = tree.beside(directory, "pyproject.toml") else {
            return Ok(Self::default());
        };
        let value = toml(file, bytes)?;
        let root = Node::root(file, &value);
        let mut project = Self::default();
        if let Some(own) = root.get("project") {
            project.standard(&own)?;
        }
        for (_, group) in root.entries("dependency-groups")? {
            let Some(list) = group.value().as_array() else { continue };
            let texts = list.iter().filter_map(|value| value.as_str());
            project.add(texts, Scope::Excluded);
        }
        if let Some(own) = root.get("tool").and_then(|tool| tool.get("poetry")) {
            project.poetry(&own)?;
        }
        Ok(project)
    }

    fn standard(&mut self, own: &Node<'_>) -> Result<(), Error> {
        self.name(own);
        let texts = own.items("dependencies")?;
        self.add(texts.iter().filter_map(|node| node.text().ok()), Scope::Required);
        for (extra, _) in own.entries("optional-dependencies")? {
            let Some(extras) = own.get("optional-dependencies") else { continue };
            let texts = extras.items(extra)?;
            self.add(texts.iter().filter_map(|node| node.text().ok()), Scope::Optional);
        }
        Ok(())
    }

    fn poetry(&mut self, own: &Node<'_>) -> Result<(), Error> {
        self.name(own);
        for (name, needed) in own.entries("dependencies")? {
            if name != "python" {
                let is_optional = needed.is("optional");
                let scope = if is_optional { Scope::Optional } else { Scope::Required };
                self.needs.push((python_name(name), scope));
            }
        }
        let groups = own.entries("group")?;
        let old = own.entries("dev-dependencies")?;
        self.needs.extend(old.iter().map(|(name, _)| (python_name(name), Scope::Excluded)));
        for (name, group) in groups {
            let scope = if name == "main" { Scope::Required } else { Scope::Excluded };
            let names = group.entries("dependencies")?;
            self.needs.extend(names.iter().map(|(name, _)| (python_name(name), scope)));
        }
        Ok(())
    }

    fn name(&mut self, own: &Node<'_>) {
        let Some(name) = own.try_text("name") else { return };
        let mut component = Component::local(name, own.try_text("version"));
        let table = own.get("license").and_then(|node| node.try_text("text"));
        let terms = own.try_text("license").or(table);
        component.licences = terms.and_then(Licence::of).into_iter().collect();
        self.component.get_or_insert(component);
    }

    fn add<'a>(&mut self, texts: impl Iterator<Item = &'a str>, scope: Scope) {
        let names = texts.filter_map(requirement);
        self.needs.extend(names.map(|found| (python_name(found.name), scope)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_pinned_by_one_version_only() {
        let of = |text| requirement(text).unwrap();
        let found = of("zope.interface[test,x] == 5.0 ; python_version < '3.9'");
        assert_eq!((found.name, found.version), ("zope.interface", Some("5.0")));
        assert_eq!(found.marker, Some("python_version < '3.9'"));
        for text in ["a", "a>=1", "a==1.*", "a==1,!=2", "a (~=2.0)"] {
            assert_eq!(of(text).version, None, "{text}");
        }
        let found = of("a @ https://example.org/a;x.whl ; os_name == 'nt'");
        assert_eq!(
            (found.url, found.marker),
            (Some("https://example.org/a;x.whl"), Some("os_name == 'nt'"))
        );
        for text in ["", "-x", "./a", "a b", "a/b", "https://x"] {
            assert_eq!(requirement(text), None, "{text}");
        }
    }
}
