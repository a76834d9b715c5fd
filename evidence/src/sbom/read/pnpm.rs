//! `pnpm-lock.yaml`, versions 6 and 9; names of the project's parts are in their `package.json`.

use std::collections::BTreeMap;

use crate::sbom::component::{Component, Scope, public_url};
use crate::sbom::error::Error;
use crate::sbom::graph::{Graph, Ref, scopes};
use crate::sbom::hash::Hash;
use crate::sbom::licence::Licence;
use crate::sbom::purl::Purl;
use crate::sbom::tree::{Tree, join, split};
use crate::sbom::value::{Node, json};
use crate::sbom::yaml;

/// What a part of the project may need.
const OF_PARTS: [(&str, Scope); 3] = [
    ("dependencies", Scope::Required),
    ("optionalDependencies", Scope::Optional),
    ("devDependencies", Scope::Excluded),
];
/// What a package may need.
const OF_PACKAGES: [(&str, Scope); 2] =
    [("dependencies", Scope::Required), ("optionalDependencies", Scope::Optional)];

/// A thing of the lock: a part of the project by its directory, or a package by its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Part(String),
    Package(&'a str),
}

/// A lock file while it is read.
struct Lock<'a> {
    file: &'a str,
    /// What is known of a package, by its name and version.
    packages: BTreeMap<&'a str, Node<'a>>,
    /// What a package needs, once for each set of peers.
    snapshots: BTreeMap<&'a str, Node<'a>>,
    parts: BTreeMap<String, Node<'a>>,
}

type Needs<'a> = BTreeMap<Key<'a>, Vec<(Key<'a>, Scope)>>;

pub(super) fn read(file: &str, bytes: &[u8], tree: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let value = yaml::parse(file, bytes)?;
    let root = Node::root(file, &value);
    let lock = Lock::of(file, &root)?;
    let needs = lock.needs()?;
    let starts = lock.parts.keys().map(|part| (Key::Part(part.clone()), Scope::Required));
    let found = scopes(starts, |key| needs.get(key).cloned().unwrap_or_default());
    let mut references: BTreeMap<&Key<'_>, Ref> = BTreeMap::new();
    for key in needs.keys() {
        let reference = match key {
            Key::Part(part) => lock.part(part, tree, graph)?,
            Key::Package(id) => {
                let scope = found.get(key).copied().unwrap_or(Scope::Required);
                graph.package(file, lock.package(id, scope)?)?
            }
        };
        references.insert(key, reference);
    }
    for (from, needs) in &needs {
        let Some(from) = references.get(from) else { continue };
        for to in needs.iter().filter_map(|(to, _)| references.get(to)) {
            graph.edge(file, from, to)?;
        }
    }
    Ok(())
}

impl<'a> Lock<'a> {
    fn of(file: &'a str, root: &Node<'a>) -> Result<Self, Error> {
        let version = root.need("lockfileVersion")?;
        let number = version.text()?;
        let is_old = number.starts_with("6.");
        if !is_old && !number.starts_with("9.") {
            return Err(version.version(number, "6 or 9; pnpm 8 and later write them"));
        }
        let packages: BTreeMap<_, _> = root.entries("packages")?.into_iter().collect();
        let snapshots = if is_old {
            packages.clone()
        } else {
            root.entries("snapshots")?.into_iter().collect()
        };
        let mut parts: BTreeMap<String, Node<'a>> = root
            .entries("importers")?
            .into_iter()
            .map(|(path, node)| (path.to_owned(), node))
            .collect();
        if parts.is_empty() {
            parts.insert(".".into(), root.clone());
        }
        Ok(Self { file, packages, snapshots, parts })
    }

    fn needs(&self) -> Result<Needs<'a>, Error> {
        let mut all = Needs::new();
        for (part, node) in &self.parts {
            let mut needs = Vec::new();
            for (table, scope) in OF_PARTS {
                for (name, needed) in node.entries(table)? {
                    let version = match needed.value().as_str() {
                        Some(version) => version,
                        None => needed.need_text("version")?,
                    };
                    needs.extend(self.find(part, name, version).map(|key| (key, scope)));
                }
            }
            all.insert(Key::Part(part.clone()), needs);
        }
        for (id, node) in &self.snapshots {
            let mut needs = Vec::new();
            for (table, scope) in OF_PACKAGES {
                for (name, needed) in node.entries(table)? {
                    needs.extend(self.find(".", name, needed.text()?).map(|key| (key, scope)));
                }
            }
            all.insert(Key::Package(id), needs);
        }
        Ok(all)
    }

    /// What `name: version` means for a part of the project.
    fn find(&self, part: &str, name: &str, version: &str) -> Option<Key<'a>> {
        if let Some(path) = version.strip_prefix("link:") {
            let path = join(part, path)?;
            let path = if path.is_empty() { ".".to_owned() } else { path };
            return self.parts.contains_key(&path).then_some(Key::Part(path));
        }
        // The version alone is the key of an alias, and of what is no registry's.
        let keys = [format!("{name}@{version}"), format!("/{name}@{version}"), version.to_owned()];
        let mut found = keys.iter().filter_map(|key| self.snapshots.get_key_value(key.as_str()));
        found.next().map(|(key, _)| Key::Package(key))
    }

    fn part(&self, part: &str, tree: &Tree, graph: &mut Graph) -> Result<Ref, Error> {
        let (above, _) = split(self.file);
        let wrong = |node: &Node<'_>| node.error("leads out of what is described");
        let directory = match (join(above, part), self.parts.get(part)) {
            (Some(directory), _) => directory,
            (None, Some(node)) => return Err(wrong(node)),
            (None, None) => String::new(),
        };
        let own = match tree.beside(&directory, "package.json") {
            Some((file, bytes)) => Some((file, json(file, bytes)?)),
            None => None,
        };
        let own = own.as_ref().map(|(file, value)| Node::root(file, value));
        let name = own.as_ref().and_then(|own| own.try_text("name"));
        let name = name.unwrap_or_else(|| split(&directory).1);
        let name = if name.is_empty() { "project" } else { name };
        let version = own.as_ref().and_then(|own| own.try_text("version"));
        let mut component = Component::local(name, version);
        let terms = own.as_ref().and_then(|own| own.try_text("license"));
        component.licences = terms.and_then(Licence::of).into_iter().collect();
        let reference = graph.local(self.file, &directory, component)?;
        graph.root(&reference);
        Ok(reference)
    }

    fn package(&self, id: &str, scope: Scope) -> Result<Component, Error> {
        let plain = id.split('(').next().unwrap_or_default();
        let node = self.packages.get(plain).or_else(|| self.packages.get(id));
        let said = |key: &str| node.and_then(|node| node.try_text(key));
        let (name, version) = name_and_version(plain);
        let name = said("name").or(name).unwrap_or(plain);
        let version = said("version").or(version);
        let resolution = node.and_then(|node| node.get("resolution"));
        let from = |key: &str| resolution.as_ref().and_then(|one| one.try_text(key));
        let purl = Purl::npm(name, version);
        let purl = match (from("repo"), from("commit")) {
            (Some(repository), Some(commit)) => {
                let address = public_url(repository);
                let address = address.strip_prefix("git+").unwrap_or(&address);
                purl.with("vcs_url", format!("git+{address}@{commit}"))
            }
            _ => purl,
        };
        let mut component = Component { scope, ..Component::new(name, version, purl) };
        if let Some(integrity) = resolution.as_ref().and_then(|one| one.get("integrity")) {
            let hashes = Hash::of_integrity(integrity.text()?);
            component.hashes.extend(hashes.ok_or_else(|| integrity.error("is no integrity"))?);
        }
        if let Some(url) = from("tarball").filter(|url| url.contains("://")) {
            component.file(public_url(url), Vec::new());
        }
        Ok(component)
    }
}

/// Of `name@version`, where the name may begin with a scope; an address is no version.
fn name_and_version(id: &str) -> (Option<&str>, Option<&str>) {
    let id = id.strip_prefix('/').unwrap_or(id);
    let scope = usize::from(id.starts_with('@'));
    let at = id.get(scope..).and_then(|rest| rest.find('@')).map(|at| at + scope);
    let Some((name, rest)) = at.and_then(|at| id.split_at_checked(at)) else {
        return (None, None);
    };
    let version = rest.trim_start_matches('@');
    (Some(name), (!version.contains([':', '/'])).then_some(version))
}
