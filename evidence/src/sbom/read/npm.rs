//! `package-lock.json` and `npm-shrinkwrap.json`, versions 2 and 3.

use std::collections::BTreeMap;

use crate::sbom::component::{Component, Scope, public_url};
use crate::sbom::error::Error;
use crate::sbom::graph::{Graph, Ref};
use crate::sbom::hash::Hash;
use crate::sbom::licence::Licence;
use crate::sbom::purl::Purl;
use crate::sbom::tree::{Tree, join, split};
use crate::sbom::value::{Node, json};

/// The directory that packages lie in.
const MODULES: &str = "node_modules/";

/// What a package may say it needs.
const NEEDS: [&str; 3] = ["dependencies", "optionalDependencies", "peerDependencies"];

/// A lock file while it is read.
struct Lock<'a> {
    file: &'a str,
    packages: BTreeMap<&'a str, Node<'a>>,
    /// The name under which a directory of the project is linked.
    linked: BTreeMap<&'a str, &'a str>,
}

pub(super) fn read(file: &str, bytes: &[u8], _: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let value = json(file, bytes)?;
    let root = Node::root(file, &value);
    let version = root.need("lockfileVersion")?;
    if !matches!(version.value().as_u64(), Some(2 | 3)) {
        let found = version.value().to_string();
        return Err(version.version(&found, "2 or 3; npm 7 and later write them"));
    }
    let packages: BTreeMap<_, _> = root.need("packages")?.map()?.into_iter().collect();
    let linked = packages.iter().filter(|(_, node)| node.is("link"));
    let linked = linked.filter_map(|(path, node)| Some((node.try_text("resolved")?, named(path)?)));
    let linked = linked.collect();
    let lock = Lock { file, packages, linked };
    let references = lock.packages(graph, &root)?;
    lock.edges(graph, &references)
}

impl<'a> Lock<'a> {
    fn packages(
        &self,
        graph: &mut Graph,
        root: &Node<'a>,
    ) -> Result<BTreeMap<&'a str, Ref>, Error> {
        let mut references = BTreeMap::new();
        for (path, node) in &self.packages {
            if node.is("link") {
                continue;
            }
            let reference = if named(path).is_some() {
                graph.package(self.file, self.package(path, node)?)?
            } else {
                let top = path.is_empty().then_some(root);
                self.part(graph, path, (node, top))?
            };
            references.insert(*path, reference);
        }
        Ok(references)
    }

    /// The project itself, or a directory of it.
    fn part(
        &self,
        graph: &mut Graph,
        path: &str,
        (node, top): (&Node<'a>, Option<&Node<'a>>),
    ) -> Result<Ref, Error> {
        let (above, _) = split(self.file);
        let directory = join(above, path)
            .ok_or_else(|| node.error("is a path that leads out of what is described"))?;
        let name = match (node.get_text("name")?, self.linked.get(path)) {
            (Some(name), _) => Some(name),
            (None, Some(name)) => Some(*name),
            (None, None) => top.and_then(|top| top.try_text("name")),
        };
        let name = name.unwrap_or_else(|| split(&directory).1);
        let name = if name.is_empty() { "project" } else { name };
        let mut component = Component::local(name, node.get_text("version")?);
        component.licences = licences(node);
        let reference = graph.local(self.file, &directory, component)?;
        if path.is_empty() {
            graph.root(&reference);
        }
        Ok(reference)
    }

    fn package(&self, path: &str, node: &Node<'a>) -> Result<Component, Error> {
        let name = match node.get_text("name")? {
            // An alias: it lies under another name.
            Some(name) => name,
            None => named(path).ok_or_else(|| node.error("has no name"))?,
        };
        let version = node.get_text("version")?;
        let purl = Purl::npm(name, version);
        let resolved = node.try_text("resolved").unwrap_or_default();
        let purl = match resolved.split_once('#') {
            Some((_, commit)) if resolved.starts_with("git") => {
                let address = public_url(resolved);
                let address = address.strip_prefix("git+").unwrap_or(&address);
                purl.with("vcs_url", format!("git+{address}@{commit}"))
            }
            _ => purl,
        };
        let mut component = Component::new(name, version, purl);
        component.scope = match (node.is("dev"), node.is("optional") || node.is("devOptional")) {
            (true, _) => Scope::Excluded,
            (false, true) => Scope::Optional,
            (false, false) => Scope::Required,
        };
        component.licences = licences(node);
        if let Some(integrity) = node.get("integrity") {
            let hashes = Hash::of_integrity(integrity.text()?);
            component.hashes.extend(hashes.ok_or_else(|| integrity.error("is no integrity"))?);
        }
        if resolved.starts_with("https://") || resolved.starts_with("http://") {
            component.file(public_url(resolved), Vec::new());
        }
        if node.is("inBundle") {
            component.note("cdx:npm:package:bundled", "true");
        }
        Ok(component)
    }

    fn edges(&self, graph: &mut Graph, references: &BTreeMap<&str, Ref>) -> Result<(), Error> {
        for (path, from) in references {
            let Some(node) = self.packages.get(path) else { continue };
            let own = if named(path).is_none() { Some("devDependencies") } else { None };
            for kind in NEEDS.into_iter().chain(own) {
                for (name, _) in node.entries(kind)? {
                    // What is optional, or a peer's, may not be there.
                    if let Some(to) = self.find(path, name, references) {
                        graph.edge(self.file, from, to)?;
                    }
                }
            }
            if path.is_empty() {
                for part in self.linked.keys().filter_map(|part| references.get(part)) {
                    graph.edge(self.file, from, part)?;
                }
            }
        }
        Ok(())
    }

    /// What `name` means at `path`: the nearest package of that name in a directory above.
    fn find<'r>(
        &self,
        path: &str,
        name: &str,
        references: &'r BTreeMap<&str, Ref>,
    ) -> Option<&'r Ref> {
        let mut base = path;
        loop {
            let slash = if base.is_empty() { "" } else { "/" };
            let found = format!("{base}{slash}{MODULES}{name}");
            if let Some(node) = self.packages.get(found.as_str()) {
                return match node.is("link") {
                    true => references.get(node.try_text("resolved")?),
                    false => references.get(found.as_str()),
                };
            }
            if base.is_empty() {
                return None;
            }
            base = base.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
}

/// The name of what lies at a path below `node_modules`; nothing for what does not.
fn named(path: &str) -> Option<&str> {
    path.rsplit_once(MODULES).map(|(_, name)| name).filter(|name| !name.is_empty())
}

/// Of `license`, in its form of today and in those of old.
fn licences(node: &Node<'_>) -> std::collections::BTreeSet<Licence> {
    let own = node.try_text("license").map(str::to_owned);
    let kind = node.get("license").and_then(|one| one.try_text("type").map(str::to_owned));
    own.or(kind).and_then(|text| Licence::of(&text)).into_iter().collect()
}
