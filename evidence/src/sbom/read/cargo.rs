//! `Cargo.lock`, versions 3 and 4, and the older form that had no number.

use std::collections::BTreeMap;

use crate::sbom::component::{Component, public_url};
use crate::sbom::error::Error;
use crate::sbom::graph::{Graph, Ref};
use crate::sbom::hash::{Algorithm, Hash};
use crate::sbom::purl::Purl;
use crate::sbom::tree::{Tree, split};
use crate::sbom::value::{Node, toml};

/// How the source of what everybody can get ends.
const PUBLIC_INDEX: &str = "/crates.io-index";

/// A package of the lock, by what its dependants say of it.
struct Locked<'a> {
    version: &'a str,
    source: Option<&'a str>,
    reference: Ref,
}

pub(super) fn read(file: &str, bytes: &[u8], _: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let value = toml(file, bytes)?;
    let root = Node::root(file, &value);
    check_version(&root)?;
    let packages = root.items("package")?;
    let mut known: BTreeMap<&str, Vec<Locked<'_>>> = BTreeMap::new();
    let mut references = Vec::with_capacity(packages.len());
    for package in &packages {
        let (name, version) = (package.need_text("name")?, package.need_text("version")?);
        let source = package.get_text("source")?;
        let reference = add(file, package, graph)?;
        references.push(reference.clone());
        known.entry(name).or_default().push(Locked { version, source, reference });
    }
    for (package, from) in packages.iter().zip(&references) {
        for needed in package.items("dependencies")? {
            let to = find(&known, needed.text()?)
                .ok_or_else(|| needed.error("names a package that the file does not have"))?;
            graph.edge(file, from, to)?;
        }
    }
    Ok(())
}

fn check_version(root: &Node<'_>) -> Result<(), Error> {
    let expected = "3 or 4; cargo 1.53 and later write them";
    match root.get("version") {
        None if root.get("metadata").is_some() => Err(root.version("1", expected)),
        None => Ok(()),
        Some(node) => match node.value().as_u64() {
            Some(3 | 4) => Ok(()),
            _ => Err(node.version(&node.value().to_string(), expected)),
        },
    }
}

fn add(file: &str, package: &Node<'_>, graph: &mut Graph) -> Result<Ref, Error> {
    let (name, version) = (package.need_text("name")?, package.need_text("version")?);
    let Some(source) = package.get_text("source")? else {
        let (directory, _) = split(file);
        let reference = graph.local(file, directory, Component::local(name, Some(version)))?;
        graph.root(&reference);
        return Ok(reference);
    };
    let purl = Purl::cargo(name, version);
    let (purl, is_git) = match source.split_once('+') {
        Some(("git", url)) => (purl.with("vcs_url", vcs_url(url)), true),
        Some(("registry" | "sparse", url)) if url.ends_with(PUBLIC_INDEX) => (purl, false),
        Some(("registry" | "sparse", url)) => (purl.with("repository_url", public_url(url)), false),
        _ => return Err(package.error("has a source that is neither a registry nor git")),
    };
    let mut component = Component::new(name, Some(version), purl);
    match package.get("checksum") {
        Some(node) if !is_git => {
            let hash = Hash::of_hex(Algorithm::Sha256, node.text()?);
            component.hashes.insert(hash.ok_or_else(|| node.error("is no SHA-256"))?);
        }
        _ => {}
    }
    graph.package(file, component)
}

/// `https://host/repository?branch=x#commit` as purl writes it.
fn vcs_url(url: &str) -> String {
    let commit = url.rsplit_once('#').map(|(_, commit)| format!("@{commit}")).unwrap_or_default();
    format!("git+{}{commit}", public_url(url))
}

/// What `name`, `name version` or `name version (source)` means.
fn find<'a>(known: &'a BTreeMap<&str, Vec<Locked<'_>>>, needed: &str) -> Option<&'a Ref> {
    let mut words = needed.splitn(3, ' ');
    let (name, version, source) = (words.next()?, words.next(), words.next());
    let source = source.map(|text| text.trim_start_matches('(').trim_end_matches(')'));
    let same = |locked: &&Locked<'_>| {
        version.is_none_or(|version| locked.version == version)
            && source.is_none_or(|source| locked.source == Some(source))
    };
    known.get(name)?.iter().find(same).map(|locked| &locked.reference)
}
