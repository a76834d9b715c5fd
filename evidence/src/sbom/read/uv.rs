//! `uv.lock`, version 1.

use std::collections::BTreeMap;

use crate::sbom::component::{Component, Scope, public_url};
use crate::sbom::error::Error;
use crate::sbom::graph::{Graph, Ref, scopes};
use crate::sbom::hash::Hash;
use crate::sbom::purl::{Purl, python_name};
use crate::sbom::tree::{Tree, join, split};
use crate::sbom::value::{Node, toml};

/// The kinds of source that are a directory of the project.
const LOCAL: [&str; 3] = ["virtual", "editable", "directory"];

/// The packages of each name, by index.
type Known<'a> = BTreeMap<&'a str, Vec<usize>>;

pub(super) fn read(file: &str, bytes: &[u8], _: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let value = toml(file, bytes)?;
    let root = Node::root(file, &value);
    let version = root.need("version")?;
    if version.value().as_u64() != Some(1) {
        return Err(version.version(&version.value().to_string(), "1"));
    }
    let packages = root.items("package")?;
    let mut known = Known::new();
    for (index, package) in packages.iter().enumerate() {
        known.entry(package.need_text("name")?).or_default().push(index);
    }
    let needs = packages.iter().map(|package| needs(package, &packages, &known));
    let needs = needs.collect::<Result<Vec<_>, _>>()?;
    let locals = packages.iter().enumerate().filter(|(_, package)| directory(package).is_some());
    let starts: Vec<_> = locals.map(|(index, _)| (index, Scope::Required)).collect();
    let found = scopes(starts, |index| needs.get(*index).cloned().unwrap_or_default());
    let mut references = Vec::with_capacity(packages.len());
    for (index, package) in packages.iter().enumerate() {
        let scope = found.get(&index).copied().unwrap_or(Scope::Required);
        references.push(add(file, package, scope, graph)?);
    }
    for (from, needs) in references.iter().zip(&needs) {
        for to in needs.iter().filter_map(|(index, _)| references.get(*index)) {
            graph.edge(file, from, to)?;
        }
    }
    Ok(())
}

/// Where in the project a package lies, if it is a part of it.
fn directory<'a>(package: &Node<'a>) -> Option<&'a str> {
    let source = package.get("source")?;
    LOCAL.iter().find_map(|kind| source.try_text(kind))
}

fn needs(
    package: &Node<'_>,
    packages: &[Node<'_>],
    known: &Known<'_>,
) -> Result<Vec<(usize, Scope)>, Error> {
    // Of a part of the project all extras are in the file; of others, those that somebody wants.
    let extra = if directory(package).is_some() { Scope::Optional } else { Scope::Required };
    let mut needs = Vec::new();
    for needed in package.items("dependencies")? {
        needs.push((find(&needed, packages, known)?, Scope::Required));
    }
    for (table, scope) in [("optional-dependencies", extra), ("dev-dependencies", Scope::Excluded)]
    {
        for (_, list) in package.entries(table)? {
            let Some(group) = list.value().as_array() else {
                return Err(list.error("is no list"));
            };
            for value in group {
                needs.push((find(&list.with(value), packages, known)?, scope));
            }
        }
    }
    Ok(needs)
}

/// The package that an entry means: by its name, and by version and source where it says them.
fn find(needed: &Node<'_>, packages: &[Node<'_>], known: &Known<'_>) -> Result<usize, Error> {
    let (version, source) = (needed.get_text("version")?, needed.get("source"));
    let same = |index: &&usize| {
        packages.get(**index).is_some_and(|package| {
            let by_version = version.is_none() || package.try_text("version") == version;
            let by_source = match (&source, package.get("source")) {
                (Some(wanted), Some(found)) => wanted.value() == found.value(),
                (Some(_), None) => false,
                (None, _) => true,
            };
            by_version && by_source
        })
    };
    let found = known.get(needed.need_text("name")?).and_then(|list| list.iter().find(same));
    found.copied().ok_or_else(|| needed.error("names a package that the file does not have"))
}

fn add(file: &str, package: &Node<'_>, scope: Scope, graph: &mut Graph) -> Result<Ref, Error> {
    let name = python_name(package.need_text("name")?);
    let version = package.get_text("version")?;
    if let Some(path) = directory(package) {
        let (above, _) = split(file);
        // A directory beside the project is named without its place.
        let place = join(above, path).unwrap_or_default();
        let component = Component { scope, ..Component::local(&name, version) };
        let reference = graph.local(file, &place, component)?;
        graph.root(&reference);
        return Ok(reference);
    }
    let purl = Purl::pypi(&name, version);
    let purl = match package.get("source") {
        Some(source) => origin(purl, &source),
        None => purl,
    };
    let mut component = Component { scope, ..Component::new(&name, version, purl.clone()) };
    for entry in package.get("sdist").into_iter().chain(package.items("wheels")?) {
        let hash = match entry.get("hash") {
            Some(node) => {
                let hash = Hash::of_colon(node.text()?);
                vec![hash.ok_or_else(|| node.error("is no digest"))?]
            }
            None => Vec::new(),
        };
        let known = entry.try_text("filename").or_else(|| entry.try_text("path"));
        match (entry.get_text("url")?, known) {
            (Some(url), _) => component.file(public_url(url), hash),
            (None, Some(path)) => {
                let (_, name) = split(path);
                component.file(purl.clone().with("file_name", name).to_string(), hash);
            }
            (None, None) => component.hashes.extend(hash),
        }
    }
    graph.package(file, component)
}

fn origin(purl: Purl, source: &Node<'_>) -> Purl {
    if let Some(url) = source.try_text("git") {
        let commit = url.rsplit_once('#').map(|(_, commit)| format!("@{commit}"));
        let commit = commit.unwrap_or_default();
        return purl.with("vcs_url", format!("git+{}{commit}", public_url(url)));
    }
    match source.try_text("url") {
        Some(url) => purl.with("download_url", public_url(url)),
        None => purl,
    }
}
