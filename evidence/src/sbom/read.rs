//! One reader per kind of file: bytes in, packages out.

mod cargo;
mod dpkg;
mod golang;
mod npm;
mod pnpm;
mod poetry;
mod python;
mod requirements;
mod uv;

use super::error::Error;
use super::graph::Graph;
use super::tree::{Tree, split};

/// Reads a file of the tree into the graph.
type Reader = fn(&str, &[u8], &Tree, &mut Graph) -> Result<(), Error>;

/// Whether a file tells of packages, or completes one that does.
pub(crate) fn knows(directory: &str, name: &str) -> bool {
    let completes = matches!(name, "go.sum" | "package.json" | "pyproject.toml")
        || requirements::completes(name)
        || dpkg::completes(directory, name);
    completes || reader(directory, name).is_some()
}

/// The paths of files that those of the tree take in, and that are not there.
pub(crate) fn missing(tree: &Tree) -> Vec<String> {
    let lists = tree.files().filter(|(_, bytes)| bytes.len() < requirements::LIST_BYTES_MAX);
    let taken = lists.flat_map(|(path, bytes)| requirements::taken_in(path, bytes));
    taken.filter(|path| tree.get(path).is_none()).collect()
}

/// Reads every file that tells of packages; the answer has their paths.
pub(crate) fn all(tree: &Tree, graph: &mut Graph) -> Result<Vec<String>, Error> {
    let mut sources = Vec::new();
    for (path, bytes) in tree.files() {
        let (directory, name) = split(path);
        if let Some(read) = reader(directory, name) {
            read(path, bytes, tree, graph)?;
            sources.push(path.to_owned());
        }
    }
    Ok(sources)
}

fn reader(directory: &str, name: &str) -> Option<Reader> {
    Some(match name {
        "Cargo.lock" => cargo::read,
        "package-lock.json" | "npm-shrinkwrap.json" => npm::read,
        "pnpm-lock.yaml" => pnpm::read,
        "poetry.lock" => poetry::read,
        "uv.lock" => uv::read,
        "go.mod" => golang::read,
        name if requirements::is_list(directory, name) => requirements::read,
        name if dpkg::is_status(directory, name) => dpkg::read,
        _ => return None,
    })
}
