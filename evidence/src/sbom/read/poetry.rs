//! `poetry.lock`, versions 1 and 2, with the project's own `pyproject.toml` beside it.

use std::collections::BTreeMap;

use super::python::Project;
use super::requirements::files;
use crate::sbom::component::{Component, Scope, public_url};
use crate::sbom::error::Error;
use crate::sbom::graph::{Graph, Ref, scopes};
use crate::sbom::hash::Hash;
use crate::sbom::purl::{Purl, python_name};
use crate::sbom::tree::{Tree, join, split};
use crate::sbom::value::{Node, toml};

pub(super) fn read(file: &str, bytes: &[u8], tree: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let value = toml(file, bytes)?;
    let root = Node::root(file, &value);
    let version = root.get("metadata").and_then(|node| node.get("lock-version"));
    if let Some(node) = version {
        let text = node.text()?;
        if !text.starts_with("1.") && !text.starts_with("2.") {
            return Err(node.version(text, "1 or 2"));
        }
    }
    let packages = root.items("package")?;
    let mut known: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, package) in packages.iter().enumerate() {
        known.entry(python_name(package.need_text("name")?)).or_default().push(index);
    }
    let (directory, _) = split(file);
    let project = Project::of(tree, directory)?;
    let needs = packages.iter().map(|package| needs(package, &known));
    let needs = needs.collect::<Result<Vec<_>, _>>()?;
    let starts = starts(&project, &known);
    let found =
        scopes(starts.iter().copied(), |index| needs.get(*index).cloned().unwrap_or_default());
    let mut references = Vec::with_capacity(packages.len());
    for (index, package) in packages.iter().enumerate() {
        let mut component = component(package, &root)?;
        component.scope = match told(package) {
            Some(scope) => scope,
            None => found.get(&index).copied().unwrap_or(Scope::Required),
        };
        references.push(add(file, package, component, graph)?);
    }
    for (from, needs) in references.iter().zip(&needs) {
        for to in needs.iter().filter_map(|(index, _)| references.get(*index)) {
            graph.edge(file, from, to)?;
        }
    }
    let starts: Vec<&Ref> = starts.iter().filter_map(|(index, _)| references.get(*index)).collect();
    attach(file, project, &starts, graph)
}

/// Says what the project needs; without its own file, all packages are needed by what is described.
fn attach(file: &str, project: Project, starts: &[&Ref], graph: &mut Graph) -> Result<(), Error> {
    let (directory, _) = split(file);
    let Some(component) = project.component else { return Ok(()) };
    let root = graph.local(file, directory, component)?;
    graph.root(&root);
    starts.iter().try_for_each(|start| graph.edge(file, &root, start))
}

fn starts(project: &Project, known: &BTreeMap<String, Vec<usize>>) -> Vec<(usize, Scope)> {
    let found = project.needs.iter().filter_map(|(name, scope)| Some((known.get(name)?, *scope)));
    found.flat_map(|(indices, scope)| indices.iter().map(move |index| (*index, scope))).collect()
}

fn needs(
    package: &Node<'_>,
    known: &BTreeMap<String, Vec<usize>>,
) -> Result<Vec<(usize, Scope)>, Error> {
    let mut needs = Vec::new();
    for (name, needed) in package.entries("dependencies")? {
        let scope = if needed.is("optional") { Scope::Optional } else { Scope::Required };
        // What no environment of the project needs is not in the file.
        let found = known.get(&python_name(name)).into_iter().flatten();
        needs.extend(found.map(|index| (*index, scope)));
    }
    Ok(needs)
}

/// What the file itself says that a package is there for.
fn told(package: &Node<'_>) -> Option<Scope> {
    let of = |is_main: bool| match (is_main, package.is("optional")) {
        (false, _) => Scope::Excluded,
        (true, true) => Scope::Optional,
        (true, false) => Scope::Required,
    };
    if let Some(groups) = package.get("groups").and_then(|node| node.value().as_array()) {
        return Some(of(groups.iter().any(|group| group.as_str() == Some("main"))));
    }
    package.try_text("category").map(|category| of(category == "main"))
}

fn component(package: &Node<'_>, root: &Node<'_>) -> Result<Component, Error> {
    let name = python_name(package.need_text("name")?);
    let version = package.need_text("version")?;
    let purl = Purl::pypi(&name, Some(version));
    let purl = match package.get("source") {
        Some(source) => origin(purl, &source),
        None => purl,
    };
    let mut component = Component::new(&name, Some(version), purl.clone());
    // Older files have the digests of all packages in one table.
    let old = root.get("metadata").and_then(|node| node.get("files"));
    let list = match old {
        Some(table) if package.get("files").is_none() => table.items(package.need_text("name")?)?,
        _ => package.items("files")?,
    };
    for entry in list {
        let hash = entry.need("hash")?;
        let text = hash.text()?;
        let found = Hash::of_colon(text).ok_or_else(|| hash.error("is no digest"))?;
        match entry.get_text("file")? {
            Some(name) => {
                let file = purl.clone().with("file_name", name);
                component.file(file.to_string(), vec![found]);
            }
            None => files(&mut component, &purl, vec![found]),
        }
    }
    Ok(component)
}

fn origin(purl: Purl, source: &Node<'_>) -> Purl {
    let url = public_url(source.try_text("url").unwrap_or_default());
    match source.try_text("type") {
        Some("git") => {
            let commit = source.try_text("resolved_reference").unwrap_or_default();
            purl.with("vcs_url", format!("git+{url}@{commit}"))
        }
        Some("url") => purl.with("download_url", url),
        Some("legacy") => purl.with("repository_url", url),
        _ => purl,
    }
}

fn add(
    file: &str,
    package: &Node<'_>,
    component: Component,
    graph: &mut Graph,
) -> Result<Ref, Error> {
    let source = package.get("source");
    let source = source.filter(|node| node.try_text("type") == Some("directory"));
    let Some(source) = source else { return graph.package(file, component) };
    let (directory, _) = split(file);
    let place = join(directory, source.try_text("url").unwrap_or_default()).unwrap_or_default();
    graph.local(file, &place, Component { purl: None, ..component })
}
