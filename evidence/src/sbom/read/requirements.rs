//! `requirements.txt` of pip, with what it takes in by `-r`.
//!
//! The file says what a project needs and not what those need; so no more is told.

use std::collections::{BTreeMap, BTreeSet};

use super::python::{Requirement, requirement};
use crate::sbom::component::{Component, public_url};
use crate::sbom::error::{Code, Error, Place, cut};
use crate::sbom::graph::Graph;
use crate::sbom::hash::Hash;
use crate::sbom::purl::{Purl, python_name};
use crate::sbom::tree::{Tree, join, split};
use crate::sbom::value::text;

/// How names of files begin that a list of requirements takes in.
const PARTS: [&str; 10] =
    ["base", "common", "dev", "test", "prod", "local", "doc", "lint", "ci", "build"];
/// The options that take in another file.
const REQUIREMENT: &str = "-r";
const REQUIREMENT_LONG: &str = "--requirement";
const CONSTRAINT: &str = "-c";
const CONSTRAINT_LONG: &str = "--constraint";

/// A longer file is not looked through for what it takes in, before it is read.
pub(super) const LIST_BYTES_MAX: usize = 16 << 20;

/// How deep files may take each other in.
const DEPTH_MAX: usize = 16;

/// Whether it is a list of requirements.
pub(super) fn is_list(directory: &str, name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".txt") else { return false };
    stem.starts_with("requirements")
        || stem.ends_with("requirements")
        || split(directory).1 == "requirements"
}

/// Whether it is what a list of requirements may take in, by the names that are usual.
pub(super) fn completes(name: &str) -> bool {
    name.strip_suffix(".txt").is_some_and(|stem| {
        stem.starts_with("constraints") || PARTS.iter().any(|part| stem.starts_with(part))
    })
}

/// What a file takes in, if it is a list: paths below the tree's root.
pub(super) fn taken_in(path: &str, bytes: &[u8]) -> Vec<String> {
    let (directory, name) = split(path);
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
    if !name.ends_with(".txt") && !name.ends_with(".in") {
        return Vec::new();
    }
    let lines = lines(text);
    let others = lines.iter().filter_map(|(_, line)| match option(line) {
        Some((REQUIREMENT | REQUIREMENT_LONG | CONSTRAINT | CONSTRAINT_LONG, other)) => {
            join(directory, other)
        }
        _ => None,
    });
    others.collect()
}

pub(super) fn read(file: &str, bytes: &[u8], tree: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let mut list = List { tree, graph, seen: BTreeSet::new(), versions: BTreeMap::new() };
    list.read(file, bytes, 1)
}

struct List<'a> {
    tree: &'a Tree,
    graph: &'a mut Graph,
    seen: BTreeSet<String>,
    /// The one version that a constraint leaves of a package.
    versions: BTreeMap<String, String>,
}

impl<'a> List<'a> {
    fn read(&mut self, file: &str, bytes: &[u8], depth: usize) -> Result<(), Error> {
        if !self.seen.insert(file.to_owned()) {
            return Ok(());
        }
        let lines = lines(text(file, bytes)?);
        for (line, text) in &lines {
            if let Some((CONSTRAINT | CONSTRAINT_LONG, other)) = option(text) {
                self.constrain(file, Place::Line(*line), other)?;
            }
        }
        for (line, text) in lines {
            let place = Place::Line(line);
            match option(&text) {
                Some((REQUIREMENT | REQUIREMENT_LONG, other)) => {
                    let (path, bytes) = self.find(file, place.clone(), other)?;
                    if depth >= DEPTH_MAX {
                        let message = "files take each other in too deeply";
                        let error = Error::new(Code::Reference, file, place, message);
                        return Err(error.expected(format!("at most {DEPTH_MAX} levels")));
                    }
                    self.read(path, bytes, depth + 1)?;
                }
                // What an option says, a password in an index' address too, is no package.
                Some(_) => {}
                None => self.package(file, place, &text)?,
            }
        }
        Ok(())
    }

    /// The file that a line takes in.
    fn find(&self, file: &str, place: Place, other: &str) -> Result<(&'a str, &'a [u8]), Error> {
        let refuse = |message: &str| {
            let message = format!("{message}: {:?}", cut(other));
            Error::new(Code::Reference, file, place.clone(), message)
        };
        if other.contains("://") {
            return Err(Error::new(Code::Reference, file, place, "takes in an address")
                .expected("a file of the directory"));
        }
        let path = join(split(file).0, other)
            .ok_or_else(|| refuse("takes in a file outside of what is described"))?;
        self.tree.get(&path).ok_or_else(|| refuse("takes in a file that is not there"))
    }

    fn constrain(&mut self, file: &str, place: Place, other: &str) -> Result<(), Error> {
        let (path, bytes) = self.find(file, place, other)?;
        for (_, line) in lines(text(path, bytes)?) {
            let what = line.split(" --").next().unwrap_or_default();
            let found = requirement(what).and_then(|one| Some((one.name, one.version?)));
            let found = found.map(|(name, version)| (python_name(name), version.to_owned()));
            self.versions.extend(found);
        }
        Ok(())
    }

    fn package(&mut self, file: &str, place: Place, line: &str) -> Result<(), Error> {
        let mut words = line.split(" --");
        let what = words.next().unwrap_or_default().trim();
        let hashes = words.filter_map(|word| word.strip_prefix("hash")).map(|word| {
            Hash::of_colon(word.trim_start_matches(['=', ' ']).trim())
                .ok_or_else(|| Error::malformed(file, place.clone(), "has a hash in no form"))
        });
        let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
        let Some(found) = requirement(what) else {
            // A directory or an archive: its name is not told, unless as a fragment.
            return match egg(what) {
                Some(name) => self.add(file, &with_url(name, what), hashes),
                None if is_address(what) => Ok(()),
                None => Err(Error::malformed(file, place, "is no requirement")),
            };
        };
        self.add(file, &found, hashes)
    }

    fn add(&mut self, file: &str, found: &Requirement<'_>, hashes: Vec<Hash>) -> Result<(), Error> {
        let name = python_name(found.name);
        let constrained = || self.versions.get(&name).map(String::as_str);
        let version = match found.url {
            Some(_) => None,
            None => found.version.or_else(constrained),
        };
        let purl = Purl::pypi(&name, version);
        let purl = match found.url {
            Some(url) if url.starts_with("git+") => purl.with("vcs_url", public_url(url)),
            Some(url) if url.contains("://") => purl.with("download_url", public_url(url)),
            _ => purl,
        };
        let mut component = Component::new(&name, version, purl.clone());
        if let Some(marker) = found.marker {
            component.note("maestro:python:marker", marker);
        }
        files(&mut component, &purl, hashes);
        let reference = self.graph.package(file, component)?;
        self.graph.untold(&reference);
        self.graph.root(&reference);
        Ok(())
    }
}

/// One digest is the package's; of several each is of another file, whose name is not told.
pub(super) fn files(component: &mut Component, purl: &Purl, hashes: Vec<Hash>) {
    if hashes.len() < 2 {
        component.hashes.extend(hashes);
        return;
    }
    for hash in hashes {
        let file = purl.clone().with("checksum", hash.checksum());
        component.file(file.to_string(), vec![hash]);
    }
}

fn with_url<'a>(name: &'a str, url: &'a str) -> Requirement<'a> {
    let url = url.trim_start_matches("-e").trim_start_matches("--editable").trim();
    Requirement { name, version: None, url: Some(url), marker: None }
}

/// The name in `…#egg=name`.
fn egg(text: &str) -> Option<&str> {
    let (_, name) = text.split_once("#egg=")?;
    let end = name.find(['&', '[', ' ', ';']).unwrap_or(name.len());
    name.get(..end).filter(|name| !name.is_empty())
}

fn is_address(text: &str) -> bool {
    text.contains("://") || text.starts_with(['.', '/']) || text.contains('/')
}

/// An option that stands alone, with its value.
fn option(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with('-') || egg(line).is_some() {
        return None;
    }
    let (name, value) = line.split_once(['=', ' ']).unwrap_or((line, ""));
    // `-rbase.txt` is one word to pip.
    match (name.strip_prefix("-r"), value) {
        (Some(glued), "") if !glued.is_empty() => Some(("-r", glued)),
        _ => Some((name, value.trim())),
    }
}

/// Lines without comments, those joined that a backslash joins, each with the number of its first.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let (number, mut whole) = open.take().unwrap_or((index + 1, String::new()));
        let is_comment = line.trim_start().starts_with('#');
        let line = if is_comment { "" } else { line.split(" #").next().unwrap_or_default() };
        match line.trim_end().strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                open = Some((number, whole));
            }
            None => {
                whole.push_str(line);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(open);
    let trimmed = lines.into_iter().map(|(number, line)| (number, line.trim().to_owned()));
    trimmed.filter(|(_, line)| !line.is_empty()).collect()
}
