//! What `cargo metadata` says of the packages, as far as the laws ask for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::checkout;
use crate::error::Error;

/// The platforms that are built for; what only another needs is not asked about.
const PLATFORMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// All packages, and which uses which.
#[derive(Deserialize)]
pub struct Metadata {
    /// Ours and all that they need.
    pub packages: Vec<Package>,
    /// Who uses whom, as resolved.
    pub resolve: Resolve,
}

/// A package.
#[derive(Deserialize)]
pub struct Package {
    /// Unique.
    pub id: String,
    /// The name in `Cargo.toml`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX expression.
    pub license: Option<String>,
    /// Where it came from; ours have none.
    pub source: Option<String>,
    /// What its `Cargo.toml` asks for.
    pub dependencies: Vec<Dependency>,
}

/// A line of a `[dependencies]` table.
#[derive(Deserialize)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// `dev`, `build`, or absent.
    pub kind: Option<String>,
}

/// The graph of packages.
#[derive(Deserialize)]
pub struct Resolve {
    /// One for each package.
    pub nodes: Vec<Node>,
}

/// What one package uses.
#[derive(Deserialize)]
pub struct Node {
    /// The package.
    pub id: String,
    /// What it uses.
    pub deps: Vec<NodeDependency>,
}

/// One use of a package by another.
#[derive(Deserialize)]
pub struct NodeDependency {
    /// The package that is used.
    pub pkg: String,
    /// For what.
    pub dep_kinds: Vec<Kind>,
}

/// What a package is used for.
#[derive(Deserialize)]
pub struct Kind {
    /// `dev`, `build`, or absent.
    pub kind: Option<String>,
}

impl Metadata {
    /// Asks cargo.
    pub fn load() -> Result<Self, Error> {
        let mut arguments = vec!["metadata", "--format-version", "1", "--locked"];
        for platform in PLATFORMS {
            arguments.extend(["--filter-platform", platform]);
        }
        let text = checkout::output("cargo", &arguments)?;
        serde_json::from_str(&text).map_err(|source| Error::Json { what: "cargo metadata", source })
    }

    /// Our own packages.
    pub fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_none())
    }

    /// Names of all packages that `package` is linked with, itself apart.
    pub fn linked(&self, package: &Package) -> BTreeSet<&str> {
        let names: BTreeMap<&str, &str> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let nodes: BTreeMap<&str, &Node> =
            self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut seen = BTreeSet::new();
        let mut next = vec![package.id.as_str()];
        while let Some(node) = next.pop().and_then(|id| nodes.get(id)) {
            let links = node
                .deps
                .iter()
                .filter(|used| used.dep_kinds.iter().any(|kind| kind.kind.is_none()))
                .map(|used| used.pkg.as_str());
            next.extend(links.filter(|id| seen.insert(*id)));
        }
        seen.into_iter().filter_map(|id| names.get(id).copied()).collect()
    }
}
