//! `go.mod`, with the digests of `go.sum` beside it.
//!
//! The file names the modules of a build and not what each needs; so only the module's own edges
//! are told. A digest of `go.sum` is one over a list of files, and none of an archive's bytes: it is
//! kept as a property.

use std::collections::BTreeMap;

use crate::sbom::component::Component;
use crate::sbom::error::{Error, Place, cut};
use crate::sbom::graph::Graph;
use crate::sbom::purl::Purl;
use crate::sbom::tree::{Tree, join, split};
use crate::sbom::value::text;

/// A module that is needed.
struct Required {
    path: String,
    version: String,
    is_indirect: bool,
}

/// What a file says, as far as it tells of modules.
#[derive(Default)]
struct Module {
    name: String,
    required: Vec<Required>,
    /// What stands for a module, in one version or in all: a path with a version, or a directory.
    replaced: BTreeMap<(String, Option<String>), (String, Option<String>)>,
}

pub(super) fn read(file: &str, bytes: &[u8], tree: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let module = parse(file, text(file, bytes)?)?;
    let (directory, _) = split(file);
    let sums = sums(tree, directory)?;
    let root = graph.local(file, directory, Component::local(&module.name, None))?;
    graph.root(&root);
    for required in &module.required {
        let exact = (required.path.clone(), Some(required.version.clone()));
        let any = (required.path.clone(), None);
        let other = module.replaced.get(&exact).or_else(|| module.replaced.get(&any));
        let reference = match other {
            Some((path, None)) => {
                // A directory outside is named as the module that it stands for.
                let place = join(directory, path).unwrap_or_default();
                graph.local(file, &place, Component::local(&required.path, None))?
            }
            Some((path, Some(version))) => {
                let mut component = component(path, version, &sums);
                component.note("maestro:go:replaces", required.path.clone());
                graph.package(file, component)?
            }
            None => graph.package(file, component(&required.path, &required.version, &sums))?,
        };
        graph.untold(&reference);
        if !required.is_indirect {
            graph.edge(file, &root, &reference)?;
        }
    }
    Ok(())
}

type Sums<'a> = BTreeMap<(&'a str, &'a str), &'a str>;

fn component(path: &str, version: &str, sums: &Sums<'_>) -> Component {
    let mut component = Component::new(path, Some(version), Purl::golang(path, Some(version)));
    if let Some(sum) = sums.get(&(path, version)) {
        component.note("maestro:go:sum", *sum);
    }
    component
}

/// What `go.sum` says of modules; what it says of their `go.mod` files is left out.
fn sums<'a>(tree: &'a Tree, directory: &str) -> Result<Sums<'a>, Error> {
    let Some((file, bytes)) = tree.beside(directory, "go.sum") else { return Ok(Sums::new()) };
    let mut sums = Sums::new();
    for (index, line) in text(file, bytes)?.lines().enumerate() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(path), Some(version), Some(sum), None) if sum.starts_with("h1:") => {
                if !version.ends_with("/go.mod") {
                    sums.insert((path, version), sum);
                }
            }
            _ => {
                let error = Error::malformed(file, Place::Line(index + 1), "is no sum");
                return Err(error.expected("a module, a version and a digest with h1:"));
            }
        }
    }
    Ok(sums)
}

fn parse(file: &str, text: &str) -> Result<Module, Error> {
    let mut module = Module::default();
    let mut block: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let (line, comment) = line.split_once("//").unwrap_or((line, ""));
        let words: Vec<&str> = line.split_whitespace().map(unquoted).collect();
        let wrong = || {
            let found = format!("is no line of go.mod: {:?}", cut(line.trim()));
            Error::malformed(file, Place::Line(index + 1), found)
        };
        match (block.as_deref(), words.as_slice()) {
            (_, []) => {}
            (Some(_), [")"]) => block = None,
            (None, [verb, "("]) => block = Some((*verb).to_owned()),
            (Some(verb), words) => entry(&mut module, verb, words, comment).ok_or_else(wrong)?,
            (None, [verb, words @ ..]) => {
                entry(&mut module, verb, words, comment).ok_or_else(wrong)?;
            }
        }
    }
    if module.name.is_empty() {
        return Err(Error::malformed(file, Place::Whole, "names no module"));
    }
    Ok(module)
}

/// Takes one entry in; nothing where it is in no form.
fn entry(module: &mut Module, verb: &str, words: &[&str], comment: &str) -> Option<()> {
    let pair = |path: &str, version: Option<&str>| (path.to_owned(), version.map(str::to_owned));
    match (verb, words) {
        ("module", [name]) => module.name = (*name).to_owned(),
        ("require", [path, version]) => module.required.push(Required {
            path: (*path).to_owned(),
            version: (*version).to_owned(),
            is_indirect: comment.trim_start().starts_with("indirect"),
        }),
        ("replace", [old, rest @ .., "=>", new]) if rest.len() < 2 => {
            module.replaced.insert(pair(old, rest.first().copied()), pair(new, None));
        }
        ("replace", [old, rest @ .., "=>", new, version]) if rest.len() < 2 => {
            module.replaced.insert(pair(old, rest.first().copied()), pair(new, Some(version)));
        }
        ("module" | "require" | "replace", _) => return None,
        // What else there is, and what will be, tells of no module that is built.
        _ => {}
    }
    Some(())
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '`'])
}
