//! Debian's packages of an image: `var/lib/dpkg/status`, and `status.d` of images without dpkg.

use std::collections::{BTreeMap, BTreeSet};

use crate::sbom::component::{Component, Kind, Scope};
use crate::sbom::error::{Error, Place};
use crate::sbom::graph::{Graph, Ref};
use crate::sbom::licence::Licence;
use crate::sbom::purl::Purl;
use crate::sbom::tree::Tree;
use crate::sbom::value::text;

/// Where dpkg keeps what is installed.
const DATABASE: &str = "var/lib/dpkg";
/// Where each package of an image without dpkg has a file.
const SINGLES: &str = "var/lib/dpkg/status.d";
/// Where an image says what it is.
const RELEASES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// The most licences of one package.
const LICENCES_MAX: usize = 50;

/// A stanza: its fields, by their names in lower case, and the line where it begins.
struct Stanza<'a> {
    line: usize,
    fields: BTreeMap<String, &'a str>,
}

/// Whether it is the database, or a package's part of it.
pub(super) fn is_status(directory: &str, name: &str) -> bool {
    (directory == DATABASE && name == "status")
        || (directory == SINGLES && !name.ends_with(".md5sums"))
}

/// Whether it says what the image is, or on what terms a package is there.
pub(super) fn completes(directory: &str, name: &str) -> bool {
    let release = name == "os-release" && matches!(directory, "etc" | "usr/lib");
    let copyright = name == "copyright"
        && directory.strip_prefix("usr/share/doc/").is_some_and(|package| !package.contains('/'));
    release || copyright
}

pub(super) fn read(file: &str, bytes: &[u8], tree: &Tree, graph: &mut Graph) -> Result<(), Error> {
    let system = System::of(tree)?;
    let whole = system.add(file, graph)?;
    let stanzas = stanzas(file, text(file, bytes)?)?;
    let single = file.starts_with(SINGLES);
    let mut found = Vec::new();
    let mut known: BTreeMap<&str, Ref> = BTreeMap::new();
    let mut provided: Vec<(&str, Ref)> = Vec::new();
    for stanza in &stanzas {
        let Some(component) = package(file, stanza, (&system, tree), single)? else { continue };
        let name = stanza.field("package").unwrap_or_default();
        let reference = graph.package(file, component)?;
        graph.edge(file, &whole, &reference)?;
        if single {
            graph.untold(&reference);
        }
        known.insert(name, reference.clone());
        let names = relations(stanza.field("provides")).flatten();
        provided.extend(names.map(|name| (name, reference.clone())));
        found.push((stanza, reference));
    }
    for (name, reference) in provided {
        known.entry(name).or_insert(reference);
    }
    for (stanza, from) in &found {
        for field in ["pre-depends", "depends"] {
            for mut either in relations(stanza.field(field)) {
                if let Some(to) = either.find_map(|name| known.get(name)) {
                    graph.edge(file, from, to)?;
                }
            }
        }
    }
    Ok(())
}

fn package(
    file: &str,
    stanza: &Stanza<'_>,
    (system, tree): (&System, &Tree),
    single: bool,
) -> Result<Option<Component>, Error> {
    let missing = |field: &str| {
        Error::malformed(file, Place::Line(stanza.line), format!("a package has no `{field}`"))
    };
    let status = stanza.field("status").unwrap_or("install ok installed");
    // What was removed leaves a stanza while its settings are there.
    if !status.ends_with(" installed") && !single {
        return Ok(None);
    }
    let name = stanza.field("package").ok_or_else(|| missing("Package"))?;
    let version = stanza.field("version").ok_or_else(|| missing("Version"))?;
    let architecture = stanza.field("architecture").unwrap_or_default();
    let purl = Purl::deb(&system.id, name, version)
        .with("arch", architecture)
        .with("distro", system.distro());
    let mut component = Component::new(name, Some(version), purl);
    component.scope = Scope::Required;
    if let Some(source) = stanza.field("source") {
        component.note("maestro:deb:source", source);
    }
    let copyright = format!("usr/share/doc/{name}/copyright");
    if let Some((_, bytes)) = tree.get(&copyright) {
        component.licences = licences(bytes);
    }
    Ok(Some(component))
}

impl<'a> Stanza<'a> {
    fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name).copied().filter(|value| !value.is_empty())
    }
}

/// Paragraphs as deb822 has them; of a value of several lines only the first is kept.
fn stanzas<'a>(file: &str, text: &'a str) -> Result<Vec<Stanza<'a>>, Error> {
    let mut stanzas: Vec<Stanza<'a>> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            open = false;
        } else if !line.starts_with([' ', '\t', '#']) {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                let error = Error::malformed(file, Place::Line(index + 1), "is no field");
                error.expected("a name, a colon and a value")
            })?;
            if !open {
                stanzas.push(Stanza { line: index + 1, fields: BTreeMap::new() });
                open = true;
            }
            if let Some(stanza) = stanzas.last_mut() {
                stanza.fields.insert(name.to_ascii_lowercase(), value.trim());
            }
        }
    }
    Ok(stanzas)
}

/// The names of `a (>= 1) | b:any, c`: those between bars are alternatives.
fn relations(field: Option<&str>) -> impl Iterator<Item = impl Iterator<Item = &str>> {
    field.into_iter().flat_map(|text| text.split(',')).map(|either| {
        either.split('|').map(|one| {
            let end = one.trim().find([' ', '(', ':', '[']);
            let one = one.trim();
            one.get(..end.unwrap_or(one.len())).unwrap_or_default()
        })
    })
}

/// The terms of a copyright file in Debian's machine-readable form; of any other form, nothing.
fn licences(bytes: &[u8]) -> BTreeSet<Licence> {
    let text = String::from_utf8_lossy(bytes);
    if !text.starts_with("Format:") && !text.contains("\nFormat:") {
        return BTreeSet::new();
    }
    let lines = text.lines().filter_map(|line| line.strip_prefix("License:"));
    lines.filter_map(|terms| Licence::of(&spdx(terms.trim()))).take(LICENCES_MAX).collect()
}

/// Debian's short name of a licence in SPDX' words, where it has others.
fn spdx(terms: &str) -> String {
    let words = terms.split_ascii_whitespace().map(|word| {
        let word = word.trim_end_matches(',');
        match word {
            "or" => "OR".to_owned(),
            "and" => "AND".to_owned(),
            "with" => "WITH".to_owned(),
            "Expat" => "MIT".to_owned(),
            "public-domain" => "LicenseRef-public-domain".to_owned(),
            word => gnu(word).unwrap_or_else(|| word.to_owned()),
        }
    });
    let spdx = words.collect::<Vec<_>>().join(" ");
    match Licence::of(&spdx) {
        Some(Licence::Name(_)) | None => terms.to_owned(),
        Some(_) => spdx,
    }
}

/// `GPL-2+` is `GPL-2.0-or-later`, `GPL-2` is `GPL-2.0-only`.
fn gnu(word: &str) -> Option<String> {
    let (family, version) = word.split_once('-')?;
    if !matches!(family, "GPL" | "LGPL" | "AGPL" | "GFDL") {
        return None;
    }
    let (number, rest) = match version.strip_suffix('+') {
        Some(number) => (number, "or-later"),
        None => (version, "only"),
    };
    let number = if number.contains('.') { number.to_owned() } else { format!("{number}.0") };
    Some(format!("{family}-{number}-{rest}"))
}

/// What an image says of itself.
struct System {
    id: String,
    version: String,
    name: String,
}

impl System {
    fn of(tree: &Tree) -> Result<Self, Error> {
        let mut system = Self { id: "debian".into(), version: String::new(), name: String::new() };
        let found = RELEASES.iter().find_map(|path| tree.get(path));
        let Some((file, bytes)) = found else { return Ok(system) };
        for line in text(file, bytes)?.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim().trim_matches(['"', '\'']);
            match key {
                "ID" => system.id = value.to_owned(),
                "VERSION_ID" => system.version = value.to_owned(),
                "PRETTY_NAME" => system.name = value.to_owned(),
                _ => {}
            }
        }
        Ok(system)
    }

    fn distro(&self) -> String {
        match self.version.as_str() {
            "" => String::new(),
            version => format!("{}-{version}", self.id),
        }
    }

    fn add(&self, file: &str, graph: &mut Graph) -> Result<Ref, Error> {
        let mut component = Component::local(&self.id, Some(&self.version));
        component.kind = Kind::OperatingSystem;
        if !self.name.is_empty() {
            component.note("maestro:os:name", self.name.clone());
        }
        let reference = graph.system(file, component)?;
        graph.root(&reference);
        Ok(reference)
    }
}
